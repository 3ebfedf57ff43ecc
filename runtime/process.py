"""A job's process: started with its share of the machine, its log and its lifeline."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .bundle import JobHead
from .errors import read_exit_codes
from .events import EventReader
from .machine import Share

TAIL_BYTES = 65536
ERROR_MARK = "hcrc: error: "


@dataclass(frozen=True)
class Launch:
    """How jobs are started: the command before ``job``, the specs, where state is kept."""

    command: Sequence[str]
    jobs: Path
    state: Path
    device: str | None
    force: bool


@dataclass(frozen=True)
class RunningJob:
    """A job whose process was started. Only its exit closes what it holds."""

    head: JobHead
    task: str
    cells: tuple[int, ...]
    attempt: int
    share: Share
    log: Path
    events: EventReader
    process: subprocess.Popen[bytes]
    started: float

    def stop(self) -> None:
        """Ask it to stop; it removes what it has not finished."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let go of the lifeline."""
        if self.process.stdin is not None:
            self.process.stdin.close()


def runtime_command() -> list[str]:
    """The command that starts this runtime again: from the zipapp it is in, or as a module."""
    archive = getattr(getattr(__spec__, "loader", None), "archive", None)
    if archive is not None:
        return [sys.executable, str(Path(archive).absolute())]
    return [sys.executable, "-m", __spec__.name.rpartition(".")[0]]


def start_job(
    launch: Launch, head: JobHead, task: str, cells: Sequence[int], attempt: int, share: Share
) -> RunningJob:
    """Start a job for some of its cells; raises :class:`OSError`."""
    log = _new_log(launch.state / "logs", head.number)
    events = launch.state / "events" / f"{head.number}.jsonl"
    events.parent.mkdir(parents=True, exist_ok=True)
    reader = EventReader(events)
    command = [*launch.command, "job", str(launch.jobs), str(head.number), "--lifeline"]
    command += ["--events", str(events), *_options(launch, head, cells)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=_environment(head, share),
            start_new_session=True,
        )
    return RunningJob(
        head, task, tuple(cells), attempt, share, log, reader, process, time.monotonic()
    )


def _environment(head: JobHead, share: Share) -> dict[str, str]:
    """This process's variables, those that keep the job to its share, and the job's own."""
    return {**os.environ, **share.environment(), "PYTHONUNBUFFERED": "1", **head.environment}


def _new_log(folder: Path, number: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    count = 1
    while (path := folder / f"{number}.{count}.log").exists():
        count += 1
    return path


def _options(launch: Launch, head: JobHead, cells: Sequence[int]) -> list[str]:
    """The share decides which GPU is seen, so that a device number would name another one."""
    device = launch.device or head.device
    options = ["--device", "cuda" if device.startswith("cuda") else device]
    if launch.force:
        options.append("--force")
    if len(cells) < len(head.cells):
        options += [word for index in cells for word in ("--cell", str(index))]
    return options


def describe_code(code: int) -> str:
    """An exit code in words: its name in the table, or the signal that ended the process."""
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"killed by {name}" + (", out of memory?" if -code == signal.SIGKILL else "")
    row = read_exit_codes().get(code)
    return f"{row['name']} ({code})" if row is not None else f"exit code {code}"


def is_retried(code: int) -> bool:
    """Whether the table says to try again."""
    row = read_exit_codes().get(code)
    return row is not None and row["retry"]


def last_error(log: Path) -> str:
    """The last error line of a log, or its last line where there is none."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    for line in reversed(lines):
        if line.startswith(ERROR_MARK):
            return line.removeprefix(ERROR_MARK)
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
