"""Which job comes next: of those whose needs are done, the first that fits."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping

from .agenda import Todo
from .bundle import Request


class Order:
    """The jobs of an agenda that have not started, by what they wait for.

    Ready jobs are kept by request, so that finding the next one takes no longer for many jobs.
    """

    def __init__(self, todos: Mapping[int, Todo], requests: Mapping[int, Request]) -> None:
        self._requests = requests
        self._waiting = {todo.number: len(todo.needs) for todo in todos.values() if todo.needs}
        self._dependents: dict[int, list[int]] = {}
        self._ready: dict[Request, list[int]] = {}
        for todo in todos.values():
            for need in todo.needs:
                self._dependents.setdefault(need, []).append(todo.number)
            if not todo.needs:
                self.add(todo.number)

    def add(self, number: int) -> None:
        """Make a job ready, also one that is tried again."""
        heapq.heappush(self._ready.setdefault(self._requests[number], []), number)

    def take(self, fits: Callable[[Request], bool]) -> int | None:
        """The lowest ready job whose request fits, which is then no longer ready."""
        fitting = [heap for request, heap in self._ready.items() if heap and fits(request)]
        if not fitting:
            return None
        return heapq.heappop(min(fitting, key=lambda heap: heap[0]))

    def finish(self, number: int) -> None:
        """Let the jobs that wait only for this one become ready."""
        for dependent in self._dependents.pop(number, ()):
            self._waiting[dependent] -= 1
            if not self._waiting[dependent]:
                del self._waiting[dependent]
                self.add(dependent)

    @property
    def has_ready(self) -> bool:
        """Whether any job could start if there were room."""
        return any(self._ready.values())
