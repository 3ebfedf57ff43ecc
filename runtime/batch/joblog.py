"""HTCondor's logs of job events: a file in, what happened to which job out.

An event is a line ``005 (12.000.000) 2026-01-31 12:00:00 Job terminated.``, lines that say more,
and a line ``...``; one that is still being written is not there yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

END: Final = "...\n"
HEAD: Final = re.compile(r"(\d{3}) \((\d+)\.\d+\.\d+\) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\S* (.*)")
NODE: Final = re.compile(r"^\s*DAG Node: (\d+)\s*$", re.MULTILINE)
VALUE: Final = re.compile(r"\((?:return value|signal) (\d+)\)")
SIGNALLED: Final = "(0) Abnormal termination"
HOLD_CODE: Final = re.compile(r"^\s*Code (\d+) Subcode -?\d+", re.MULTILINE)


class Kind(IntEnum):
    """The events that change what a job does."""

    SUBMITTED = 0
    STARTED = 1
    EVICTED = 4
    ENDED = 5
    SHADOW_FAILED = 7
    REMOVED = 9
    HELD = 12
    RELEASED = 13
    POST_ENDED = 16


class LogEvent(NamedTuple):
    """What happened to a job of a cluster, when (seconds since 1970), and what else was said."""

    kind: int
    cluster: int
    moment: float
    said: str

    @property
    def node(self) -> int | None:
        """The node of the DAG, where the event names it."""
        found = NODE.search(self.said)
        return int(found[1]) if found else None

    @property
    def code(self) -> int | None:
        """The exit code, or a signal's number below 0, of what ended."""
        found = VALUE.search(self.said)
        if found is None:
            return None
        return -int(found[1]) if SIGNALLED in self.said else int(found[1])

    @property
    def hold(self) -> tuple[int, str]:
        """Why a job is held: the code, and the reason in HTCondor's words."""
        found = HOLD_CODE.search(self.said)
        lines = [line.strip() for line in self.said.splitlines()[1:]]
        reason = next((line for line in lines if line and not line.startswith("Code ")), "")
        return int(found[1]) if found else 0, reason


def read_log(path: Path) -> Iterator[LogEvent]:
    """The events of a log, in order; none where there is no log. Raises :class:`OSError`."""
    try:
        stream = path.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    with stream:
        lines: list[str] = []
        for line in stream:
            if line != END:
                lines.append(line)
                continue
            event = _parse("".join(lines))
            lines.clear()
            if event is not None:
                yield event


def _parse(text: str) -> LogEvent | None:
    head = HEAD.match(text)
    if head is None:
        return None
    moment = datetime.fromisoformat(head[3]).timestamp()
    return LogEvent(int(head[1]), int(head[2]), moment, text[head.start(4) :])
