"""A shell at a terminal of its own: keys in, what it shows out."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Mapping

LIMIT_S = 30
CONTROL = re.compile(r"\x1b\[[0-9;?<>=]*[a-zA-Z~]|\x1b\][^\x07]*\x07|\x1b[=>()][A-Z0-9]?")
# What shells ask of a terminal before they go on, and its answers.
ANSWERS = {b"\x1b[c": b"\x1b[?62;c", b"\x1b[6n": b"\x1b[1;1R", b"\x1b[0c": b"\x1b[?62;c"}


class Terminal:
    """A process at a terminal, killed at the end."""

    def __init__(self, command: list[str], environment: Mapping[str, str], folder: str) -> None:
        self.process, self.master = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, dict(environment))  # noqa: S606 - a shell of a test
        self.shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self.process, signal.SIGKILL)
        os.close(self.master)
        os.waitpid(self.process, 0)

    def press(self, keys: str) -> None:
        """Type keys; what was shown before them is forgotten."""
        self.shown = ""
        os.write(self.master, keys.encode())

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until the terminal shows a pattern."""
        until = time.monotonic() + LIMIT_S
        while not (found := re.search(pattern, CONTROL.sub("", self.shown))):
            ready, _, _ = select.select([self.master], [], [], until - time.monotonic())
            assert ready, f"no {pattern} in {self.shown!r}"
            data = os.read(self.master, 65536)
            for asked, answer in ANSWERS.items():
                if asked in data:
                    os.write(self.master, answer)
            self.shown += data.decode(errors="replace")
        return found
