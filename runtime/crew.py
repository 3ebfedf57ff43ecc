"""The same work on many items, several at a time: what comes of it is taken in order.

Threads, not processes: reading and writing ROOT files, compressing and scoring leave the
interpreter to others most of the time, and nothing has to be sent or imported anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")
Room = tuple[Hashable, int]


class StoppedError(Exception):
    """Raised in a worker whose work nobody waits for any more."""


class Crew:
    """``size`` workers; one alone is the caller's own thread."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._stopping = threading.Event()

    def check(self) -> None:
        """For workers, between two steps; raises :class:`StoppedError` if the crew has to stop."""
        if self._stopping.is_set():
            raise StoppedError

    def work(
        self,
        items: Sequence[T],
        work: Callable[[T], R],
        take: Callable[[R], None],
        room: Callable[[T], Room] | None = None,
    ) -> None:
        """Do the work on each item and take the results, in order, in the caller's thread.

        ``room`` says what an item is one of, and how many of that are worked on at a time. What
        an item raises is raised here; of several, that of the first item.
        """
        if self.size == 1:
            for item in items:
                take(work(item))
            return
        with ThreadPoolExecutor(self.size) as pool:
            try:
                _Round(pool, self.size, items, work, room).run(take)
            except BaseException:
                self._stopping.set()
                raise


def share_cores(size: int, cpus: int) -> Crew:
    """A crew whose workers have the job's cores together."""
    torch.set_num_threads(max(1, cpus // size))
    return Crew(size)


@dataclass
class _Round(Generic[T, R]):
    """One list of items on its way through the workers."""

    pool: ThreadPoolExecutor
    size: int
    items: Sequence[T]
    work: Callable[[T], R]
    room: Callable[[T], Room] | None
    running: dict[Future[R], int] = field(default_factory=dict)
    done: dict[int, R] = field(default_factory=dict)
    failed: dict[int, BaseException] = field(default_factory=dict)

    def run(self, take: Callable[[R], None]) -> None:
        waiting = list(range(len(self.items)))
        taken = 0
        while waiting or self.running:
            waiting = self._submit(waiting)
            self._gather()
            if self.failed:
                waiting = [index for index in waiting if index < min(self.failed)]
            while taken in self.done and not self.failed:
                take(self.done.pop(taken))
                taken += 1
        if self.failed:
            raise self.failed[min(self.failed)]

    def _submit(self, waiting: list[int]) -> list[int]:
        """Start what there is room for; gives what still waits."""
        left = []
        for index in waiting:
            if len(self.running) < self.size and self._has_room(index):
                self.running[self.pool.submit(self.work, self.items[index])] = index
            else:
                left.append(index)
        return left

    def _has_room(self, index: int) -> bool:
        if self.room is None:
            return True
        kind, most = self.room(self.items[index])
        alike = [1 for other in self.running.values() if self.room(self.items[other])[0] == kind]
        return len(alike) < most

    def _gather(self) -> None:
        for future in wait(self.running, return_when=FIRST_COMPLETED).done:
            index = self.running.pop(future)
            error = future.exception()
            if error is not None:
                self.failed[index] = error
            else:
                self.done[index] = future.result()
