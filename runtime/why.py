"""Why cells have to run, or since when they are up to date: every reason, not only the first."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from .agenda import result_key
from .bundle import Bundle
from .console import format_seconds, printable
from .errors import DataError, SpecError
from .fields import compare_specs
from .job import read_line
from .record import RESULT, Result, is_missing, load_result
from .spec import Cell, Job, read_job
from .stale import KnownResults, find_changes
from .timestamp import fill_job

STALE: Final = 3
SHOWN: Final = 20
KNOWN_IDS: Final = 2000


@dataclass(frozen=True)
class Reason:
    """One thing that makes a cell's result not hold, or that a result is missing.

    ``kind`` is field, task, definition, result, output, input or upstream; ``name`` is the
    field's path, or the id of the other cell.
    """

    kind: str
    text: str
    name: str | None = None
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class Explanation:
    """A cell's reasons to run; without any, its result."""

    cell: str
    reasons: list[Reason]
    result: Result | None


class Explainer:
    """Explains cells of a bundle; what they read is looked at once."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._known = KnownResults()
        self._texts: dict[str, str | None] = {}

    def explain(self, job: Job, cell: Cell) -> Explanation:
        """All reasons of a cell; raises :class:`SpecError`."""
        home = f"{cell.output}/{RESULT}"
        result = None
        try:
            result = load_result(home)
            reasons = [*_definition(cell, result), *_changes(result, self._known)]
        except DataError as error:
            text = "no result yet" if is_missing(error) else str(error)
            reasons = [Reason("result", text)]
        after = list(self._upstream(job, cell))
        ahead = {reason.name for reason in after}
        reasons = [each for each in reasons if each.kind != "definition" or each.name not in ahead]
        return Explanation(cell.id, [*reasons, *after], result)

    def _upstream(self, job: Job, cell: Cell) -> Iterator[Reason]:
        """The cells that this one reads and that have to run first."""
        wanted = {result_key(reference.result) for reference in cell.references()}
        for number in job.needs:
            other = load_planned(self._bundle, number)
            for each in other.cells:
                key = result_key(f"{each.output}/{RESULT}")
                if key in wanted:
                    if key not in self._texts:
                        found = self.explain(other, each).reasons
                        self._texts[key] = found[0].text if found else None
                    text = self._texts[key]
                    if text is not None:
                        yield Reason("upstream", f"after {each.id}: {text}", each.id)


def _definition(cell: Cell, result: Result) -> Iterator[Reason]:
    """What of a cell's definition is not what its result was made from."""
    if result.hash == cell.hash:
        return
    if result.task != cell.task:
        yield Reason("task", f"it was a {result.task} task", None, result.task, cell.task)
        return
    found = compare_specs(cell.task, result.spec, cell.raw)
    for change in found:
        if change.path.endswith(".hash"):
            name = _referred(change.path.removesuffix(".hash"), cell.raw)
            yield Reason("definition", f"the definition of {name} changed", name)
        else:
            yield Reason("field", str(change), change.path, change.before, change.after)
    if not found:
        text = f"what a {cell.task} task does changed: the result is of another version of hcrc"
        yield Reason("task", text, None, result.hash, cell.hash)


def _referred(path: str, spec: dict[str, Any]) -> str:
    """The cell that a reference of a spec names."""
    key, bracket, name = path.partition("[")
    cell: str = name.removesuffix("]") if bracket else spec[key]["cell"]
    return cell


def _changes(result: Result, known: KnownResults) -> Iterator[Reason]:
    for change in find_changes(result, known):
        kind = change.reason.partition(" ")[0]
        kind = kind if kind in ("output", "input") else "upstream"
        text = change.reason
        if change.before is not None:
            text += f": {change.before} → {change.after}"
        yield Reason(kind, text, None, change.before, change.after)


def load_planned(bundle: Bundle, number: int) -> Job:
    """One job of a bundle; raises :class:`SpecError`."""
    return _read(read_line(bundle.jobs, number), bundle)


def _read(line: str, bundle: Bundle) -> Job:
    try:
        return read_job(fill_job(json.loads(line), bundle.moment))
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{bundle.jobs}: not JSON: {error}") from error


def find_cells(bundle: Bundle, word: str) -> Iterator[tuple[Job, Cell]]:
    """The cells of a job by its number or id, one cell by its id, or all cells of a task.

    Raises :class:`SpecError` with the nearest id where there is none.
    """
    if word.isdecimal() and len(word) < 10:
        job = load_planned(bundle, int(word))
        yield from ((job, cell) for cell in job.cells)
    elif any(task.name == word for task in bundle.tasks):
        task = bundle.task(word)
        for number in range(task.first, task.end):
            job = load_planned(bundle, number)
            yield from ((job, cell) for cell in job.cells)
    else:
        job, cells = _find_named(bundle, word)
        yield from ((job, cell) for cell in cells)


def _find_named(bundle: Bundle, word: str) -> tuple[Job, list[Cell]]:
    """A job by its id with all its cells, or with the one cell that has the id."""
    quoted = f'"id":{json.dumps(word, ensure_ascii=False)}'
    ids: list[str] = [task.name for task in bundle.tasks]
    try:
        with bundle.jobs.open(encoding="utf-8") as lines:
            for line in lines:
                if quoted in line:
                    job = _read(line, bundle)
                    cells = [cell for cell in job.cells if word in (job.id, cell.id)]
                    if cells:
                        return job, cells
                elif len(ids) < KNOWN_IDS and f'"id":"{word.partition("[")[0]}[' in line:
                    ids += [cell.id for cell in _read(line, bundle).cells]
    except (OSError, ValueError) as error:
        raise SpecError(f"{bundle.jobs}: {getattr(error, 'strerror', None) or error}") from error
    near = difflib.get_close_matches(word, ids, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(ids[:SHOWN])}"
    raise SpecError(f"there is no job or cell {word!r}: {hint}")


def answer_why(bundle: Bundle, word: str, format: str) -> tuple[int, list[str]]:
    """The answer of the ``why`` command: its exit code and lines, text or JSON.

    The code is 0 if every cell is up to date, else :data:`STALE`.
    """
    explainer = Explainer(bundle)
    found = [explainer.explain(job, cell) for job, cell in find_cells(bundle, word)]
    code = STALE if any(each.reasons for each in found) else 0
    if format == "json":
        return code, [json.dumps([_to_json(each) for each in found], indent=1, ensure_ascii=False)]
    return code, [printable(line) for line in _render_all(found)]


def _render_all(found: list[Explanation]) -> Iterator[str]:
    """The lines of cells; of many, those of the first that have to run, and how many there are."""
    stale = [each for each in found if each.reasons]
    shown = found if len(found) <= SHOWN else stale[:SHOWN]
    for each in shown:
        yield from _render(each)
    if len(found) > SHOWN:
        rest = len(stale) - len(shown)
        yield from [f"and {rest} more cells have to run: --format json has all"] * (rest > 0)
        yield f"{len(stale)} of {len(found)} cells have to run, the rest is up to date"


def _render(found: Explanation) -> Iterator[str]:
    if not found.reasons and found.result is not None:
        made = found.result.provenance
        seconds = format_seconds(float(made.get("seconds", 0)))
        place = f"made in {seconds} on {made.get('host', 'an unknown host')}"
        yield f"{found.cell}: up to date since {since(found.result)}, {place}"
        return
    yield f"{found.cell}: has to run"
    for reason in found.reasons[:SHOWN]:
        yield f"  {reason.text}"
    if len(found.reasons) > SHOWN:
        yield f"  and {len(found.reasons) - SHOWN} more reasons: --format json has all"


def since(result: Result) -> str:
    """When a result was made, in UTC."""
    made = result.provenance
    moment = float(made.get("started", 0)) + float(made.get("seconds", 0))
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _to_json(found: Explanation) -> dict[str, Any]:
    result = found.result
    return {
        "cell": found.cell,
        "current": not found.reasons,
        "since": since(result) if result and not found.reasons else None,
        "result": result.uuid if result else None,
        "reasons": [asdict(reason) for reason in found.reasons],
    }
