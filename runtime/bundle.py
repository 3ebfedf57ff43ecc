"""A bundle as the scheduler sees it: its tasks, and of each job only what scheduling needs.

A job's whole spec is read, and checked, by the process that runs it.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from .errors import SpecError
from .timestamp import FORMAT, MARK, REFERENCE_KEYS, fill, fill_job, read_moment

T = TypeVar("T")
STATE: Final = "run"


@dataclass(frozen=True, slots=True)
class Task:
    """One task of the plan: its jobs are numbered from ``first`` to before ``end``."""

    name: str
    first: int
    end: int
    cells: int
    root: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CellHead:
    """A cell's id, folder and hash, and the result files of other cells that it reads."""

    id: str
    output: str
    hash: str
    reads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What a job wants of the machine while it runs."""

    cpus: int
    memory_mb: int
    gpus: int


@dataclass(frozen=True, slots=True)
class JobHead:
    """The part of a job that says when it can start and whether it has to."""

    id: str
    number: int
    needs: tuple[int, ...]
    cells: tuple[CellHead, ...]
    request: Request
    device: str
    environment: Mapping[str, str]
    timestamp: str


@dataclass(frozen=True)
class Bundle:
    """A plan on disk. The tasks' jobs are numbered one task after the other, needs first.

    ``moment`` is when its run began, if it did: what ``{timestamp}`` in folders stands for.
    """

    folder: Path
    name: str
    hash: str
    tasks: tuple[Task, ...]
    moment: time.struct_time | None = None

    @property
    def jobs(self) -> Path:
        """The job specs, one a line."""
        return self.folder / "jobs.jsonl"

    @property
    def state(self) -> Path:
        """Where a run keeps its logs, its journal and its lock."""
        return self.folder / STATE

    def task(self, name: str) -> Task:
        """The task of that name; it has to be one of the bundle's."""
        return next(task for task in self.tasks if task.name == name)

    def heads(self, first: int, end: int) -> Iterator[JobHead]:
        """The jobs from ``first`` to before ``end``, one at a time; raises :class:`SpecError`."""
        try:
            with self.jobs.with_suffix(".idx").open("rb") as index, self.jobs.open("rb") as lines:
                index.seek(8 * first)
                if entry := index.read(8):
                    lines.seek(struct.unpack("<Q", entry)[0])
                for number in range(first, end):
                    yield _read_head(lines.readline(), number, self.jobs, self.moment)
        except (OSError, struct.error) as error:
            raise SpecError(f"{self.jobs}: {getattr(error, 'strerror', None) or error}") from error

    def head(self, number: int) -> JobHead:
        """One job; raises :class:`SpecError`."""
        return next(self.heads(number, number + 1))

    def at(self, moment: time.struct_time | None) -> Bundle:
        """The bundle of a run that began then; raises :class:`SpecError`."""
        tasks = tuple(
            replace(task, root=fill(task.root, moment, self.head(task.first).timestamp))
            if moment is not None and MARK in task.root and task.end > task.first
            else task
            for task in self.tasks
        )
        return replace(self, tasks=tasks, moment=moment)


def open_bundle(folder: Path) -> Bundle:
    """The bundle in a folder; raises :class:`SpecError` if there is none, or a part is missing."""
    path = folder / "plan.json"
    try:
        plan = json.loads(path.read_bytes())
        count = (folder / "jobs.idx").stat().st_size // 8
    except OSError as error:
        raise SpecError(
            f"{error.filename}: {error.strerror}: a bundle has plan.json and jobs.idx"
        ) from error
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path}: not JSON: {error}") from error
    try:
        if plan["hcrc"] != 1:
            raise SpecError(f"{path}: not a plan of hcrc 1")
        tasks = tuple(_read_task(row) for row in plan["tasks"])
        _check_ranges(tasks, _typed(int, plan["jobs"]), count, path)
        names = _typed(str, plan["name"]), _typed(str, plan["hash"])
        bundle = Bundle(folder.absolute(), *names, tasks)
    except (KeyError, TypeError, ValueError) as error:
        raise SpecError(f"{path}: not a plan of hcrc 1: {error}") from error
    return bundle.at(read_moment(bundle.state))


def _read_task(row: Any) -> Task:
    first, end = row["jobs"]
    needs = tuple(_typed(str, name) for name in row["needs"])
    return Task(
        _typed(str, row["name"]),
        _typed(int, first),
        _typed(int, end),
        _typed(int, row["cells"]),
        _typed(str, row["root"]),
        needs,
    )


def _check_ranges(tasks: Sequence[Task], jobs: int, count: int, path: Path) -> None:
    ends = [0, *(task.end for task in tasks)]
    if [task.first for task in tasks] != ends[:-1] or ends[-1] != jobs or jobs != count:
        raise SpecError(f"{path}: the tasks' jobs are not those of jobs.jsonl: compile again")


def _read_head(line: bytes, number: int, path: Path, moment: time.struct_time | None) -> JobHead:
    try:
        value = fill_job(json.loads(line), moment if MARK.encode() in line else None)
        if value["number"] != number:
            raise SpecError(f"{path}: line {number} holds another job: compile again")
        needs = tuple(_typed(int, need) for need in value["needs"])
        if any(not 0 <= need < number for need in needs):
            raise SpecError(f"{path}: job {number} needs one that does not come before it")
        run = value["execution"]
        request = Request(*(_typed(int, run[key]) for key in ("cpus", "memory_mb", "gpus")))
        cells = tuple(_read_cell(cell) for cell in value["cells"])
        return JobHead(
            _typed(str, value["id"]),
            number,
            needs,
            cells,
            request,
            _typed(str, run["device"]),
            _read_environment(run.get("environment", {})),
            _typed(str, run.get("timestamp", FORMAT)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise SpecError(f"{path}: job {number} is not a job of hcrc 1: {error}") from error


def _read_environment(value: Any) -> dict[str, str]:
    """Variables that a process can be given."""
    found = {_typed(str, name): _typed(str, text) for name, text in value.items()}
    for name, text in found.items():
        if not name or "=" in name or "\0" in name + text:
            raise ValueError(f"{name!r} cannot be an environment variable")
    return found


def _read_cell(cell: Any) -> CellHead:
    reads = tuple(_references(cell["spec"]))
    return CellHead(
        _typed(str, cell["id"]), _typed(str, cell["output"]), _typed(str, cell["hash"]), reads
    )


def _references(spec: dict[str, Any]) -> Iterator[str]:
    """The result files that a spec refers to, as :meth:`.spec.Cell.references` does."""
    for value in spec.values():
        values = value.values() if _is_named(value) else (value,)
        for each in values:
            for item in each if type(each) is list else (each,):
                if type(item) is dict and item.keys() == REFERENCE_KEYS:
                    yield _typed(str, item["result"])


def _is_named(value: Any) -> bool:
    """Whether a value holds others by name, and is no reference itself."""
    return type(value) is dict and value.keys() != REFERENCE_KEYS


def _typed(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        _refuse(kind, value)
    return value


def _refuse(kind: type, value: Any) -> NoReturn:
    raise TypeError(f"expected {kind.__name__}, got {value!r:.60}")
