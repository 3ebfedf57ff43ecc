"""Execute one job: its spec in, a result for each of its cells out, an exit code at the end."""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from .bundle import STATE
from .console import printable
from .errors import JobError, MemoryShortageError, PreemptedError, SpecError, StorageError
from .events import EventWriter
from .lifeline import hold_lifeline
from .spec import Execution, Job, read_job
from .stale import KnownResults, stale_reason
from .timestamp import MARK, fill_job, note_moment

TASK_MODULES: Final = {
    task: f".tasks.{task}" for task in ("cache", "train", "evaluate", "merge", "plot", "command")
}
# What the allocator of torch says of memory that a CPU does not have.
TORCH_SHORTAGE: Final = "can't allocate memory"


@dataclass(frozen=True)
class Context:
    """What a task gets beside its cells: how to run, and where to say what happens."""

    execution: Execution
    events: EventWriter


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """How the ``job`` command runs a job.

    ``cells`` are indices of the job's cells, none for all; those whose result holds are left
    out unless ``force``. ``lifeline``: standard input ends when the job has to.
    """

    device: str | None = None
    events: Path | None = None
    cells: Sequence[int] = ()
    force: bool = False
    lifeline: bool = False


def read_line(path: Path, number: int) -> str:
    """Line ``number``, from 0, of a JSON-lines file with an ``.idx`` of offsets beside it.

    The index holds the offset of each line as an unsigned 64-bit little-endian integer.
    Raises :class:`SpecError`.
    """
    try:
        with path.with_suffix(".idx").open("rb") as index, path.open("rb") as lines:
            index.seek(8 * max(number, 0))
            entry = index.read(8)
            if number < 0 or len(entry) < 8:
                raise SpecError(f"{path}: there is no job {number}")
            lines.seek(struct.unpack("<Q", entry)[0])
            return lines.readline().decode()
    except OSError as error:
        raise SpecError(f"{error.filename or path}: {error.strerror}") from error
    except (ValueError, OverflowError) as error:
        raise SpecError(f"{path}: job {number}: {error}") from error


def load_job(path: Path, number: int) -> Job:
    """One job of a bundle, ``{timestamp}`` filled in its folders; raises :class:`SpecError`."""
    line = read_line(path, number)
    moment = note_moment(path.parent / STATE) if MARK in line else None
    try:
        return read_job(fill_job(json.loads(line), moment))
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path}: job {number}: not JSON: {error}") from error


def run_job(job: Job, events: EventWriter) -> None:
    """Run the job's cells; each leaves a result, or the error that ended it is raised."""
    try:
        module = import_module(TASK_MODULES[job.task], __package__)
    except ModuleNotFoundError as error:
        raise SpecError(f"a {job.task} task: {error.msg}, for {sys.executable}") from error
    module.run(job.cells, Context(job.execution, events))


def main(path: Path, number: int, options: JobOptions) -> int:
    """The ``job`` command: run one job, say in one line what is wrong, return the exit code."""
    if options.lifeline:
        hold_lifeline()
    try:
        stop_on_signals()
        job = select_cells(load_job(path, number), options)
        if options.device is not None:
            job = with_device(job, options.device)
        set_environment(job.execution)
        return run_and_tell(job, options) if job.cells else 0
    except Exception as error:
        if is_unexpected(error):
            traceback.print_exc()
        return _fail(as_job_error(error))


def _fail(error: JobError) -> int:
    print(f"hcrc: error: {printable(str(error))}", file=sys.stderr)
    return error.code


def run_and_tell(job: Job, options: JobOptions) -> int:
    """Run a job and return its exit code; say in its events, too, what ended it.

    The traceback of what nobody expected goes into the log, if there is one, and into the events
    if the job's execution says so; without events, standard error is all there is.
    """
    execution = job.execution
    with EventWriter(options.events, execution.log_level) as events:
        try:
            run_job(job, events)
        except Exception as error:
            told, trace = as_job_error(error), None
            if is_unexpected(error):
                trace = traceback.format_exc()
                if options.events is not None or execution.forward_exception:
                    print(trace, end="", file=sys.stderr)
            forwarded = trace if execution.forward_exception else None
            events.failure(job.cells[0].id, told.code, printable(str(told)), forwarded)
            return _fail(told)
    return 0


def is_unexpected(error: Exception) -> bool:
    """Whether an error is none that a job tells its user: a bug."""
    return not (isinstance(error, JobError | OSError) or is_memory_shortage(error))


def is_memory_shortage(error: Exception) -> bool:
    """Whether memory did not suffice: python's, or torch's, which has a type for GPUs alone."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and TORCH_SHORTAGE in str(error)
    )


def as_job_error(error: Exception) -> JobError:
    """An error as the user is told it."""
    if isinstance(error, JobError):
        return error
    if isinstance(error, OSError):
        return as_storage_error(error)
    if is_memory_shortage(error):
        return MemoryShortageError("out of memory")
    return JobError(f"a bug: {type(error).__name__}: {error}")


def as_storage_error(error: OSError) -> StorageError:
    """What the system refused, in one line: a full disk, a path that may not be written."""
    where = f"{error.filename}: " if error.filename else ""
    return StorageError(f"{where}{error.strerror or error}")


def select_cells(job: Job, options: JobOptions) -> Job:
    """The job with only the cells that have to run; raises :class:`SpecError`."""
    for index in options.cells:
        if not 0 <= index < len(job.cells):
            raise SpecError(f"{job.id}: there is no cell {index}")
    chosen = [job.cells[index] for index in sorted(set(options.cells))] or job.cells
    if not options.force:
        known = KnownResults()
        chosen = [cell for cell in chosen if stale_reason(cell, known) is not None]
    return replace(job, cells=chosen)


def with_device(job: Job, device: str) -> Job:
    """The same job on another device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""
    return replace(job, execution=replace(job.execution, device=device))


def set_environment(execution: Execution) -> None:
    """Set the job's variables, before libraries that read them are imported.

    Raises :class:`SpecError` for what cannot be one.
    """
    try:
        os.environ.update(execution.environment)
    except ValueError as error:
        raise SpecError(f"execution.environment: {error}") from error


def stop_on_signals() -> None:
    """Turn SIGTERM and SIGINT into :class:`PreemptedError`, so that the attempt is cleaned up.

    Only the first: a second SIGINT ends the process at once, a second SIGTERM is ignored,
    because batch systems and shells may send it to a whole group after the scheduler did.
    """
    process = os.getpid()

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        if os.getpid() != process:
            os._exit(PreemptedError.code)  # a forked worker has nothing to clean up
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise PreemptedError(f"stopped by {signal.Signals(number).name}")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
