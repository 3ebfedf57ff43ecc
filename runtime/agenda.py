"""What a run has to do: bundle and choice of tasks in, the jobs that have to run out.

The jobs are read one by one, and only the numbers and wishes of those to run are kept.
"""

from __future__ import annotations

import difflib
import os.path
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .bundle import Bundle, CellHead, JobHead, Request, Task
from .errors import JobError
from .record import RESULT
from .retire import is_retired
from .stale import KnownResults, stale_reason

Report = Callable[[CellHead, str | None], None]
SHOWN_ERRORS = 5


class UsageError(JobError):
    """What was asked for on the command line does not exist."""

    code = 2


class NotReadyError(JobError):
    """A task was asked for whose upstream is not up to date."""

    code = 1


@dataclass(frozen=True)
class Selection:
    """The tasks that are run, and those they depend on, which are only looked at."""

    chosen: frozenset[str]
    upstream: frozenset[str]
    force: bool


@dataclass(frozen=True, slots=True)
class Todo:
    """A job that has to run, after those of ``needs`` that have to run too.

    ``stale`` is how many of its cells have to.
    """

    number: int
    task: str
    stale: int
    needs: tuple[int, ...]
    request: Request
    device: str


@dataclass
class Tally:
    """Of a task's cells, how many there are and how many are up to date."""

    cells: int = 0
    current: int = 0


@dataclass
class Agenda:
    """The jobs to run by number, in an order in which each follows what it needs.

    ``again`` are the result files of cells that have to run although their results hold: files of
    them were removed, and what reads them has to run.
    """

    force: bool
    again: frozenset[str] = frozenset()
    todo: dict[int, Todo] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        """How many cells were looked at."""
        return sum(tally.cells for tally in self.tallies.values())

    @property
    def current(self) -> int:
        """How many of them are up to date."""
        return sum(tally.current for tally in self.tallies.values())


def select_tasks(
    tasks: Sequence[Task], only: Sequence[str], start: str | None, force: bool
) -> Selection:
    """The tasks that ``--only``, ``--from`` and ``--force`` mean; raises :class:`UsageError`."""
    for name in [*only, *([start] if start else [])]:
        _check_known(name, [task.name for task in tasks])
    if start is not None:
        chosen = _downstream(tasks, start)
    else:
        chosen = set(only) or {task.name for task in tasks}
    upstream = _upstream(tasks, chosen)
    return Selection(frozenset(chosen), frozenset(upstream), force or start is not None)


def _check_known(name: str, known: Sequence[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        rest = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise UsageError(f"there is no task {name!r}; {rest}")


def _downstream(tasks: Sequence[Task], start: str) -> set[str]:
    found = {start}
    for task in tasks:
        if found.intersection(task.needs):
            found.add(task.name)
    return found


def _upstream(tasks: Sequence[Task], chosen: set[str]) -> set[str]:
    wanted = set(chosen)
    for task in reversed(tasks):
        if task.name in wanted:
            wanted.update(task.needs)
    return wanted - chosen


def result_key(path: str) -> str:
    """One spelling for each path of a result."""
    return os.path.normpath(path)


def decide(bundle: Bundle, selection: Selection, report: Report | None = None) -> Agenda:
    """Which jobs have to run, telling ``report`` why each cell of the chosen tasks has to.

    Raises :class:`NotReadyError` where what a chosen task depends on is itself not up to date.
    """
    again: frozenset[str] = frozenset()
    while True:
        decision = _Decision(bundle, selection, again, report is not None)
        agenda = decision.make()
        if decision.wanted <= again:
            break
        again |= decision.wanted
    if decision.errors:
        raise NotReadyError(_join(decision.errors))
    if report is not None:
        for cell, reason in decision.reasons:
            report(cell, reason)
    return agenda


class _Decision:
    """One pass over the jobs, in order; ``again`` are results that earlier ones found wanted.

    ``wanted`` are those whose removed files a cell that has to run reads; ``reasons`` are kept if
    ``telling``.
    """

    def __init__(
        self, bundle: Bundle, selection: Selection, again: frozenset[str], telling: bool
    ) -> None:
        self._bundle = bundle
        self._selection = selection
        self._again = again
        self._telling = telling
        self.wanted: set[str] = set()
        self.errors: list[str] = []
        self.reasons: list[tuple[CellHead, str | None]] = []
        self._known = KnownResults()
        self._stale: dict[str, str] = {}  # result file of a cell that has no valid one → its id
        self._unmet: dict[str, tuple[str, str]] = {}  # the same of upstream tasks → id, reason
        self._agenda = Agenda(selection.force, again)

    def make(self) -> Agenda:
        for task in self._bundle.tasks:
            if task.name in self._selection.upstream:
                for head in self._bundle.heads(task.first, task.end):
                    self._look_at(head)
            elif task.name in self._selection.chosen:
                tally = self._agenda.tallies[task.name] = Tally()
                for head in self._bundle.heads(task.first, task.end):
                    self._choose(head, task.name, tally)
        return self._agenda

    def _look_at(self, head: JobHead) -> None:
        """Note which cells of a job that is not run here are not up to date."""
        for cell in head.cells:
            reason = self._reason(cell) or self._after(cell)
            if reason is not None:
                self._unmet[_key(cell)] = (cell.id, reason)

    def _choose(self, head: JobHead, task: str, tally: Tally) -> None:
        stale = [self._weigh(cell) for cell in head.cells]
        tally.cells += len(stale)
        tally.current += stale.count(False)
        if any(stale):
            needs = tuple(need for need in head.needs if need in self._agenda.todo)
            todo = Todo(head.number, task, stale.count(True), needs, head.request, head.device)
            self._agenda.todo[head.number] = todo

    def _weigh(self, cell: CellHead) -> bool:
        """Whether a cell has to run."""
        for path in cell.reads:
            if (unmet := self._unmet.get(result_key(path))) is not None:
                self.errors.append(f"{cell.id} needs {unmet[0]}, not up to date: {unmet[1]}")
        forced = "forced" if self._selection.force else None
        reason = self._after(cell) or self._reason(cell) or forced
        if reason is not None:
            self._stale[_key(cell)] = cell.id
            self._want(cell)
        if self._telling:
            self.reasons.append((cell, reason))
        return reason is not None

    def _reason(self, cell: CellHead) -> str | None:
        """Why a cell's own result does not hold, or is not enough."""
        if _key(cell) in self._again:
            return "files of it were removed, and are read again"
        return stale_reason(cell, self._known)

    def _want(self, cell: CellHead) -> None:
        """Note the results that a cell reads and that hold without all of their files."""
        for path in cell.reads:
            key = result_key(path)
            if key not in self._stale and key not in self._unmet and is_retired(path):
                self.wanted.add(key)

    def _after(self, cell: CellHead) -> str | None:
        """Which cell that has to run first this one reads."""
        for path in cell.reads:
            key = result_key(path)
            if key in self._stale:
                return f"after {self._stale[key]}"
            if key in self._unmet:
                return f"after {self._unmet[key][0]}"
        return None


def _key(cell: CellHead) -> str:
    return result_key(f"{cell.output}/{RESULT}")


def _join(errors: Sequence[str]) -> str:
    shown = "; ".join(errors[:SHOWN_ERRORS])
    more = f"; and {len(errors) - SHOWN_ERRORS} more" if len(errors) > SHOWN_ERRORS else ""
    return f"{shown}{more}: run without --only and --from, or run the upstream tasks first"
