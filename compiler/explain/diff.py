"""Two plans in, what the change means for each cell out: it stays valid, runs again, comes or goes.

Of the earlier plan a few bytes a cell are kept, to find what lies in a folder; its cells are read
again where one runs again, and the later plan is read once, in order.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from ..grid import Places
from ..pattern import ByPlace
from ..plan import JobSpec, Plan
from ..table import Cell, CellTable
from ..values import Json
from .fields import compare_specs, references
from .jobs import Bundle

KEY_BYTES: Final = 16
HASH_DIGITS: Final = 32
SHOWN: Final = 3
VALID: Final = "valid"
AGAIN: Final = "again"
NEW: Final = "new"
DROPPED: Final = "dropped"


Place = tuple[int, int]


class PlannedCell(NamedTuple):
    """A cell of a plan; ``place`` is its job's number and its place there.

    ``spec`` makes its spec, references left out or not, and ``references`` those, when asked.
    """

    name: str
    task: str
    id: str
    output: str
    hash: str
    place: Place
    spec: Callable[[], Json]
    references: Callable[[], Iterable[Json]]


Find = Callable[[Place], PlannedCell]


class Planned(Protocol):
    """A plan, on disk or just made."""

    def tasks(self) -> list[str]:
        """The names of its tasks, in order."""

    def cells(self) -> Iterator[PlannedCell]:
        """All cells, each after those that it reads."""

    def opened(self) -> AbstractContextManager[Find]:
        """The cells by place, in any order, as long as it is open."""


class BundlePlan:
    """The plan of a bundle; raises :class:`.jobs.BundleError`."""

    def __init__(self, folder: Path) -> None:
        self._bundle = Bundle(folder)

    def tasks(self) -> list[str]:
        """The names of its tasks, in order."""
        return [task["name"] for task in self._bundle.plan["tasks"]]

    def cells(self) -> Iterator[PlannedCell]:
        """All cells, each after those that it reads."""
        for number, line in enumerate(self._bundle.lines()):
            job = self._bundle.load(line)
            yield from (_read(job, (number, place)) for place in range(len(job["cells"])))

    @contextmanager
    def opened(self) -> Iterator[Find]:
        """The cells by place, in any order, as long as it is open."""
        with self._bundle.opened() as line:
            load = functools.lru_cache(1)(lambda number: self._bundle.load(line(number)))
            yield lambda place: _read(load(place[0]), place)


def _read(job: Json, place: Place) -> PlannedCell:
    cell = job["cells"][place[1]]
    spec = cell["spec"]
    return PlannedCell(
        job["name"],
        job["task"],
        cell["id"],
        cell["output"],
        cell["hash"],
        place,
        lambda: spec,
        lambda: references(spec),
    )


class CompiledPlan:
    """A plan that was just made."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._columns = {task.name: _columns(task.table) for task in plan.tasks}
        self._slots = {task.name: task.table.slots for task in plan.tasks}

    def tasks(self) -> list[str]:
        """The names of its tasks, in order."""
        return [task.name for task in self._plan.tasks]

    def cells(self) -> Iterator[PlannedCell]:
        """All cells, each after those that it reads."""
        for number, job in enumerate(self._plan.jobs):
            for place, cell in enumerate(job.cells):
                yield self._read(job, cell, (number, place))

    @contextmanager
    def opened(self) -> Iterator[Find]:
        """The cells by place, in any order, as long as it is open."""

        def cell(place: Place) -> PlannedCell:
            job = self._plan.jobs[place[0]]
            return self._read(job, job.cells[place[1]], place)

        yield cell

    def _read(self, job: JobSpec, cell: Cell, place: Place) -> PlannedCell:
        columns, slots = self._columns[job.name], self._slots[job.name]

        def spec() -> Json:
            return {key: values[places[cell.number]] for key, values, places in columns}

        def refer() -> Iterator[Json]:
            for slot in slots:
                yield from references({slot.key: slot.references(cell.number)})

        return PlannedCell(job.name, job.task, cell.id, cell.output, cell.hash, place, spec, refer)


def _columns(table: CellTable) -> list[tuple[str, ByPlace, Sequence[int] | Places]]:
    """What each key stands for, and at which of its places each cell is."""
    return [(key, keyed.values, table.grid.places(keyed.grid)) for key, keyed in table.keys.items()]


class Reason(NamedTuple):
    """Why a cell runs again: an own field that changed, or the cells that it follows.

    ``label`` says the same of many cells, each with a ``text`` of its own.
    """

    text: str
    label: str


class CellChange(NamedTuple):
    """What a change means for a cell: ``kind`` is valid, again, new or dropped."""

    name: str
    id: str
    output: str
    kind: str
    reasons: tuple[Reason, ...] = ()

    def to_json(self) -> Json:
        """The change for programs."""
        reasons = [reason.text for reason in self.reasons]
        return {**self._asdict(), "reasons": reasons}


class Differ:
    """Compares two plans; ``changes`` is to be read once."""

    def __init__(self, old: Planned, new: Planned) -> None:
        self._old = old
        self._new = new
        self._by_output: dict[bytes, bytes] = {}
        self._by_id: dict[bytes, bytes] = {}
        self._moving: dict[bytes, None] = {}

    def changes(self) -> Iterator[CellChange]:
        """Every cell of the later plan, in order, then those of the earlier one that are gone."""
        for cell in self._old.cells():
            entry = _pack(cell.hash, cell.place)
            self._by_output[_key(cell.output)] = entry
            self._by_id[_key(cell.id)] = entry
        with self._old.opened() as before:
            for cell in self._new.cells():
                change = self._compare(cell, before)
                if change.kind != VALID:
                    self._moving[_key(f"{cell.output}/result.json")] = None
                yield change
        for cell in self._old.cells() if self._by_output else ():
            if _key(cell.output) in self._by_output:
                yield CellChange(cell.name, cell.id, cell.output, DROPPED)

    def _compare(self, cell: PlannedCell, find: Find) -> CellChange:
        there = self._by_output.pop(_key(cell.output), None)
        entry = there or self._by_id.get(_key(cell.id))
        if entry is None:
            return CellChange(cell.name, cell.id, cell.output, NEW)
        reasons = self._follows(cell)
        if there is not None and _hash(there) == cell.hash and not reasons:
            return CellChange(cell.name, cell.id, cell.output, VALID)
        reasons = (*self._own(cell, find(_place(entry))), *reasons)
        return CellChange(cell.name, cell.id, cell.output, AGAIN, reasons)

    def _own(self, cell: PlannedCell, before: PlannedCell) -> Iterator[Reason]:
        """What of a cell itself is not as it was."""
        if before.output != cell.output:
            self._by_output.pop(_key(before.output), None)
            text = f"output: {before.output} → {cell.output}"
            yield Reason(text, "the output is another folder")
        if before.hash == cell.hash:
            return
        if before.task != cell.task:
            yield _alike(f"task: {before.task} → {cell.task}")
            return
        fields = compare_specs(cell.task, before.spec(), cell.spec())
        yield from (_alike(str(field)) for field in fields)
        old, new = (list(each.references()) for each in (before, cell))
        read = list(self._reads(old, new))
        yield from read
        if not fields and not read and not any(map(self._is_moving, new)):
            yield _alike(f"what a {cell.task} task does changed")

    def _reads(self, old: list[Json], new: list[Json]) -> Iterator[Reason]:
        """What else a cell reads: other cells, or the same results, made anew."""
        before = {each["result"]: each["hash"] for each in old}
        if len(old) != len(new):
            yield _alike(f"reads {len(old)} → {len(new)} cells")
        elif any(each["result"] not in before for each in new):
            yield _alike("reads other cells")
        for each in new:
            known = before.get(each["result"], each["hash"])
            if known != each["hash"] and not self._is_moving(each):
                yield _alike(f"{each['cell']} is another result: {each['result']}")

    def _follows(self, cell: PlannedCell) -> tuple[Reason, ...]:
        """The cells that run before it; of many, the first and how many there are."""
        found = [each["cell"] for each in cell.references() if self._is_moving(each)]
        if not found:
            return ()
        more = f", … ({len(found)} cells)" if len(found) > SHOWN else ""
        tasks = dict.fromkeys(name.partition("[")[0] for name in found)
        text = f"after {', '.join(found[:SHOWN])}{more}"
        return (Reason(text, f"after what it reads of {', '.join(tasks)}"),)

    def _is_moving(self, reference: Json) -> bool:
        return _key(reference["result"]) in self._moving


def _alike(text: str) -> Reason:
    return Reason(text, text)


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest()


def _pack(hash: str, place: Place) -> bytes:
    return b"%b %d %d" % (hash.encode(), *place)


def _hash(entry: bytes) -> str:
    return entry[:HASH_DIGITS].decode()


def _place(entry: bytes) -> Place:
    _, number, place = entry.split()
    return int(number), int(place)
