"""What a run says at its end: each task's cells, time and place, and its results in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .agenda import Agenda
from .bundle import Bundle, Task
from .console import format_seconds, printable
from .errors import DataError, StorageError
from .process import describe_code
from .record import RESULT, load_result
from .schedule import Outcome, TaskTime

SHOWN_CELLS = 3
SHOWN_LINES = 4


def summarise(bundle: Bundle, agenda: Agenda, outcome: Outcome) -> Iterator[str]:
    """A line for each task that was looked at, with the first results' own lines below it."""
    wide = max((len(name) for name in agenda.tallies), default=0)
    for name, tally in agenda.tallies.items():
        task = bundle.task(name)
        times = outcome.tasks.get(name)
        took = format_seconds(times.last - times.first) if times else ""
        parts = [f"{times.cells} run in {took}"] if times else []
        parts += [f"{tally.current} up to date"] if tally.current else []
        missing = tally.cells - tally.current - (times.cells if times else 0)
        parts += [f"{missing} not done"] if missing else []
        yield f"{name:<{wide}}  {', '.join(parts)}  {task.root}"
        for line in _result_lines(bundle, task):
            yield f"{'':<{wide}}  {line}"


def _result_lines(bundle: Bundle, task: Task) -> Iterator[str]:
    """The lines in ``data["summary"]`` of the task's first results, and where their plots are."""
    shown = 0
    for head in bundle.heads(task.first, min(task.end, task.first + SHOWN_CELLS)):
        for cell in head.cells[: SHOWN_CELLS - shown]:
            shown += 1
            label = f"{cell.id}: " if task.cells > 1 else ""
            for line in _summary(f"{cell.output}/{RESULT}"):
                yield printable(label + line)


def _summary(path: str) -> list[str]:
    try:
        result = load_result(path)
    except (DataError, StorageError):
        return []
    lines = result.data.get("summary")
    known = [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
    plots = [str(result.place(name)) for name in result.files if name.endswith((".html", ".png"))]
    return known[:SHOWN_LINES] + plots[:SHOWN_LINES]


def report_failures(outcome: Outcome) -> Iterator[str]:
    """A line for each failed job."""
    for failure in outcome.failures:
        what = describe_code(failure.code) if failure.code else "done without result"
        yield printable(f"{failure.job}: {what}: {failure.message} (log: {failure.log})")


def count_run(tasks: Mapping[str, TaskTime]) -> int:
    """How many cells were run."""
    return sum(times.cells for times in tasks.values())
