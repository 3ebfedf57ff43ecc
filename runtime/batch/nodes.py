"""What became of each node of a DAG: the events of its log in, a state each out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from .joblog import Kind, LogEvent

AGAIN: Final = 1


class State(StrEnum):
    """What a job does; ``RETRYING`` is between two tries."""

    WAITING = "waiting"
    IDLE = "idle"
    RUNNING = "running"
    HELD = "held"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    REMOVED = "removed"


@dataclass
class Node:
    """A node: its state and since when, how often it was started, and why it is held or ended."""

    state: State = State.WAITING
    since: float = 0.0
    cluster: int | None = None
    tries: int = 0
    seconds: float = 0.0
    code: int | None = None
    hold: tuple[int, str] | None = None
    started: float = field(default=0.0, repr=False)


class Nodes:
    """The nodes that a log names, by number, as they are after the events that it was told."""

    def __init__(self) -> None:
        self.known: dict[int, Node] = {}
        self.moment = 0.0
        self._of: dict[int, int] = {}

    def tell(self, events: Iterable[LogEvent]) -> None:
        """Take in what happened, in order."""
        for event in events:
            self.moment = max(self.moment, event.moment)
            number = event.node if event.node is not None else self._of.get(event.cluster)
            if number is not None:
                self._of[event.cluster] = number
                self._change(self.known.setdefault(number, Node()), event)

    def end(self) -> None:
        """DAGMan is gone: what was to be tried again is not, and what was queued is removed."""
        for node in self.known.values():
            if node.state is State.RETRYING:
                node.state = State.FAILED
            elif node.state in (State.IDLE, State.RUNNING, State.HELD):
                node.state = State.REMOVED

    def _change(self, node: Node, event: LogEvent) -> None:
        kind = event.kind
        if kind == Kind.SUBMITTED:
            node.tries += 1
            node.cluster = event.cluster
            self._enter(node, State.IDLE, event)
        elif kind == Kind.STARTED:
            node.started = event.moment
            self._enter(node, State.RUNNING, event)
        elif kind in (Kind.EVICTED, Kind.SHADOW_FAILED, Kind.RELEASED):
            self._enter(node, State.IDLE, event)
        elif kind == Kind.HELD:
            node.hold = event.hold
            self._enter(node, State.HELD, event)
        elif kind == Kind.ENDED:
            node.code = event.code
            node.seconds = event.moment - node.started
        elif kind == Kind.REMOVED:
            node.code = None
        elif kind == Kind.POST_ENDED:
            self._enter(node, _after(event.code), event)

    @staticmethod
    def _enter(node: Node, state: State, event: LogEvent) -> None:
        node.state, node.since = state, event.moment


def _after(code: int | None) -> State:
    """The state that the answer of a node's POST script leads to."""
    if code == 0:
        return State.DONE
    return State.RETRYING if code == AGAIN else State.FAILED
