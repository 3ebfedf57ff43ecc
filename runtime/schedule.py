"""The local scheduler: starts each job when its inputs are ready and there is room for it.

What is done is computed from valid results: before a job starts and after it ended its cells are
looked at again, so that a job which died after its results were written is through, and one that
exited with success but left no valid result has failed.
"""

from __future__ import annotations

import heapq
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from .agenda import Agenda, result_key
from .bundle import Bundle, CellHead, JobHead, Request
from .console import Console, format_seconds
from .errors import DataError, StorageError
from .events import EventReader
from .journal import Journal
from .machine import Pool
from .order import Order
from .process import Launch, RunningJob, describe_code, is_retried, last_error, start_job
from .record import RESULT, load_result
from .signals import SignalWatch
from .stale import KnownResults, stale_reason


@dataclass(frozen=True)
class Policy:
    """How patient a run is: the wait before each retry, and for jobs that were told to stop."""

    delays_s: tuple[float, ...] = (2.0, 10.0)
    grace_s: float = 60.0


@dataclass(frozen=True)
class Failure:
    """A job that failed for good: what it said last, and where the rest is."""

    job: str
    code: int
    message: str
    log: Path


@dataclass
class TaskTime:
    """How many cells of a task were run, from the first start to the last end."""

    cells: int = 0
    first: float = 0.0
    last: float = 0.0

    def add(self, cells: int, started: float, ended: float) -> None:
        """Count a job that is through."""
        self.first = min(self.first or started, started)
        self.last = max(self.last, ended)
        self.cells += cells


@dataclass
class Outcome:
    """What came of a run: failures, what was run by task, and the signal that stopped it."""

    failures: list[Failure] = field(default_factory=list)
    tasks: dict[str, TaskTime] = field(default_factory=dict)
    signal: int | None = None
    missing: int = 0


class Schedule:
    """One run of an agenda's jobs."""

    def __init__(
        self,
        bundle: Bundle,
        agenda: Agenda,
        requests: Mapping[int, Request],
        pool: Pool,
        launch: Launch,
        console: Console,
        journal: Journal,
        policy: Policy,
    ) -> None:
        self._bundle = bundle
        self._agenda = agenda
        self._requests = requests
        self._pool = pool
        self._launch = launch
        self._console = console
        self._journal = journal
        self._policy = policy
        self._order = Order(agenda.todo, requests)
        self._known = KnownResults()
        self._running: dict[int, RunningJob] = {}
        self._attempts: dict[int, int] = {}
        self._forced: dict[int, dict[str, str | None]] = {}
        self._later: list[tuple[float, int]] = []
        self._through = 0
        self._killing_at: float | None = None
        self._outcome = Outcome()

    def run(self) -> Outcome:
        """Run what can be run, until all is done, a job fails for good or a signal comes."""
        try:
            with SignalWatch() as signals:
                self._start_ready()
                while self._running or (self._later and not self._is_stopping):
                    for number in signals.wait(self._pause()):
                        self._stop(number)
                    self._watch()
                    self._start_ready()
                    self._console.tick(self._through, len(self._agenda.todo))
        finally:
            self._console.close()
            self._kill()
            for job in self._running.values():
                job.process.wait()
                job.close()
        self._outcome.missing = len(self._agenda.todo) - self._through
        return self._outcome

    @property
    def _is_stopping(self) -> bool:
        return bool(self._outcome.failures) or self._outcome.signal is not None

    def _pause(self) -> float:
        if self._running or not self._later:
            return self._console.interval
        return max(0.0, min(self._console.interval, self._later[0][0] - time.monotonic()))

    def _start_ready(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            self._order.add(heapq.heappop(self._later)[1])
        while not self._is_stopping:
            number = self._order.take(self._pool.fits)
            if number is None:
                return
            self._start(number)

    def _start(self, number: int) -> None:
        head = self._bundle.head(number)
        if number not in self._forced:
            forced = [cell for cell in head.cells if self._is_forced(cell)]
            self._forced[number] = {cell.output: _uuid(cell) for cell in forced}
        stale = self._stale_cells(head, range(len(head.cells)))
        if number not in self._attempts:
            self._recount(number, len(stale))
        if not stale:
            self._finish(number)
            return
        attempt = self._attempts[number] = self._attempts.get(number, 0) + 1
        share = self._pool.take(self._requests[number])
        task = self._agenda.todo[number].task
        launch = replace(self._launch, force=bool(self._forced[number]))
        job = start_job(launch, head, task, list(stale), attempt, share)
        self._running[number] = job
        self._journal.write(
            "start", job=number, id=head.id, attempt=attempt, cells=list(stale), log=job.log.name
        )
        count = f" ({len(stale)} of {len(head.cells)} cells)" if len(head.cells) > 1 else ""
        self._console.start(number, head.id, next(iter(stale.values())) + count)

    def _is_forced(self, cell: CellHead) -> bool:
        """Whether a cell is made anew, even where its result holds."""
        return self._launch.force or result_key(f"{cell.output}/{RESULT}") in self._agenda.again

    def _recount(self, number: int, stale: int) -> None:
        """What its upstream made may leave a cell as it was, after all."""
        todo = self._agenda.todo[number]
        self._agenda.tallies[todo.task].current += todo.stale - stale

    def _stale_cells(self, head: JobHead, cells: Sequence[int]) -> dict[int, str]:
        """The cells that still have to run, and why."""
        before = self._forced.get(head.number, {})
        stale = {}
        for index in cells:
            cell = head.cells[index]
            reason = self._reason(cell)
            if reason is None and cell.output in before and before[cell.output] == _uuid(cell):
                reason = "forced"
            if reason is not None:
                stale[index] = reason
        return stale

    def _reason(self, cell: CellHead) -> str | None:
        """Why a cell's result does not hold, or is not known to."""
        try:
            return stale_reason(cell, self._known)
        except StorageError as error:
            return str(error)

    def _watch(self) -> None:
        for number, job in list(self._running.items()):
            self._follow(number, job.events)
            code = job.process.poll()
            if code is not None:
                self._end(number, job, code)
        if self._killing_at is not None and time.monotonic() >= self._killing_at:
            self._kill()

    def _follow(self, number: int, events: EventReader) -> None:
        for event in events.read():
            with suppress(KeyError, TypeError, ValueError):  # a killed job's half line
                if event["event"] == "progress":
                    done, total = int(event["done"]), int(event["total"])
                    self._console.progress(number, str(event["step"]), done, total)
                elif event["event"] == "message":
                    self._console.say(f"         {event['cell']}: {event['text']}")
                elif event["event"] == "failure" and event["traceback"] is not None:
                    for line in str(event["traceback"]).splitlines():
                        self._console.say(f"         {line}")

    def _end(self, number: int, job: RunningJob, code: int) -> None:
        job.close()
        self._follow(number, job.events)
        del self._running[number]
        self._pool.give_back(job.share)
        ended = time.monotonic()
        took = format_seconds(ended - job.started)
        stale = self._stale_cells(job.head, job.cells)
        self._journal.write(
            "end",
            job=number,
            id=job.head.id,
            attempt=job.attempt,
            code=code,
            seconds=round(ended - job.started, 3),
            missing=list(stale),
        )
        if len(stale) < len(job.cells):
            times = self._outcome.tasks.setdefault(job.task, TaskTime())
            times.add(len(job.cells) - len(stale), job.started, ended)
        if not stale:
            after = f", then {describe_code(code)}" if code else ""
            self._console.end(number, "done", took + after)
            self._finish(number)
        elif self._outcome.signal is not None:
            self._console.end(number, "stopped", took)
        elif self._may_retry(job, code):
            self._try_again(number, job, code)
        else:
            self._fail(number, job, code, stale)

    def _may_retry(self, job: RunningJob, code: int) -> bool:
        left = len(self._policy.delays_s) + 1 - job.attempt
        return is_retried(code) and left > 0 and not self._is_stopping

    def _finish(self, number: int) -> None:
        self._through += 1
        self._forced.pop(number, None)
        self._attempts.pop(number, None)
        self._order.finish(number)

    def _try_again(self, number: int, job: RunningJob, code: int) -> None:
        delay = self._policy.delays_s[job.attempt - 1]
        heapq.heappush(self._later, (time.monotonic() + delay, number))
        text = f"{describe_code(code)}: {last_error(job.log)}; in {format_seconds(delay)}"
        self._console.end(number, "again", text)

    def _fail(self, number: int, job: RunningJob, code: int, stale: Mapping[int, str]) -> None:
        if code:
            message = last_error(job.log)
        else:
            index, reason = next(iter(stale.items()))
            message = f"{job.head.cells[index].id} has no valid result: {reason}"
        self._outcome.failures.append(Failure(job.head.id, code, message, job.log))
        self._console.end(number, "failed", describe_code(code) if code else "no valid result")

    def _stop(self, number: int) -> None:
        if self._outcome.signal is not None:
            self._kill()
            return
        self._outcome.signal = number
        self._killing_at = time.monotonic() + self._policy.grace_s
        hint = "; once more to kill them" if number == signal.SIGINT else ""
        self._console.say(f"stopping what runs{hint}")
        for job in self._running.values():
            job.stop()

    def _kill(self) -> None:
        for job in self._running.values():
            job.kill()


def _uuid(cell: CellHead) -> str | None:
    try:
        return load_result(f"{cell.output}/{RESULT}").uuid
    except (DataError, StorageError):
        return None
