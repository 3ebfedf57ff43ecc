"""Execute one job: its spec in, a result for each of its cells out, an exit code at the end."""

from __future__ import annotations

import json
import struct
import sys
import traceback
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Final

from .errors import JobError, SpecError
from .events import EventWriter
from .spec import Execution, Job, read_job

TASK_MODULES: Final = {
    task: f".tasks.{task}" for task in ("cache", "train", "evaluate", "merge", "plot")
}


@dataclass(frozen=True)
class Context:
    """What a task gets beside its cells: how to run, and where to say what happens."""

    execution: Execution
    events: EventWriter


def read_line(path: Path, number: int) -> str:
    """Line ``number``, from 0, of a JSON-lines file with an ``.idx`` of offsets beside it.

    The index holds the offset of each line as an unsigned 64-bit little-endian integer.
    """
    try:
        with path.with_suffix(".idx").open("rb") as index, path.open("rb") as lines:
            index.seek(8 * number)
            entry = index.read(8)
            if number < 0 or len(entry) < 8:
                raise SpecError(f"{path}: there is no job {number}")
            lines.seek(struct.unpack("<Q", entry)[0])
            return lines.readline().decode()
    except OSError as error:
        raise SpecError(f"{error.filename}: {error.strerror}") from error


def load_job(path: Path, number: int) -> Job:
    """One job of a bundle; raises :class:`SpecError`."""
    try:
        return read_job(json.loads(read_line(path, number)))
    except ValueError as error:
        raise SpecError(f"{path}: job {number}: not JSON: {error}") from error


def run_job(job: Job, events: EventWriter) -> None:
    """Run the job's cells; each leaves a result, or the error that ended it is raised."""
    module = import_module(TASK_MODULES[job.task], __package__)
    module.run(job.cells, Context(job.execution, events))


def main(path: Path, number: int, device: str | None, events: Path | None) -> int:
    """The ``job`` command: run one job, say in one line what is wrong, return the exit code."""
    try:
        job = load_job(path, number)
        if device is not None:
            job = with_device(job, device)
        run_job(job, EventWriter(events))
    except JobError as error:
        print(f"hcrc: error: {error}", file=sys.stderr)
        return error.code
    except Exception:
        traceback.print_exc()
        return JobError.code
    return 0


def with_device(job: Job, device: str) -> Job:
    """The same job on another device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""
    return replace(job, execution=replace(job.execution, device=device))
