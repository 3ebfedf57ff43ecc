"""Sleep until a child ends, a stop signal comes or time is over."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType
from typing import Any, Final, Self

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalWatch:
    """While it is entered, stop signals are collected instead of ending the process."""

    def __init__(self) -> None:
        self._pending: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._reading, writing = os.pipe()
        self._writing = writing
        os.set_blocking(self._reading, False)
        os.set_blocking(writing, False)
        self._wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            if number == signal.SIGCHLD or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._reading)
        os.close(self._writing)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._pending.append(number)

    def wait(self, seconds: float) -> list[int]:
        """The stop signals since the last call, after at most that time."""
        if select.select([self._reading], [], [], seconds)[0]:
            os.read(self._reading, 4096)
        pending, self._pending = self._pending, []
        return pending
