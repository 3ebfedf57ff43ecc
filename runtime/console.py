"""What a run shows while it goes on: bars on a terminal, lines everywhere else."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TextIO

PLAIN_INTERVAL_S = 10.0
LIVE_INTERVAL_S = 0.1
BAR_WIDTH = 20
COLOURS: Final = {"done": "32", "failed": "31", "again": "33"}


@dataclass
class Shown:
    """A running job as it is shown: its step, and how much of it is through."""

    id: str
    started: float = field(default_factory=lambda: time.monotonic())
    step: str = ""
    done: int = 0
    total: int = 0
    said: float = field(default_factory=lambda: time.monotonic())
    changed: bool = False

    def update(self, step: str, done: int, total: int) -> None:
        """Take over what the job last said."""
        self.step, self.done, self.total, self.changed = step, done, total, True

    @property
    def share(self) -> float:
        """How much of the step is through, from 0 to 1."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else 0.0


class Console(Protocol):
    """Where a run says what happens; lines stay, what runs is shown while it does."""

    interval: float

    def start(self, number: int, name: str, text: str) -> None:
        """A job was started."""

    def progress(self, number: int, step: str, done: int, total: int) -> None:
        """A running job said how far it is."""

    def end(self, number: int, word: str, text: str) -> None:
        """A job ended, ``word`` says how: done, failed, again, stopped."""

    def say(self, text: str) -> None:
        """One line for the user."""

    def tick(self, finished: int, total: int) -> None:
        """Show what has changed, if it is time to."""

    def close(self) -> None:
        """Leave only the lines."""


class PlainConsole:
    """Lines only: starts, ends, and progress now and then."""

    interval = 0.5

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._jobs: dict[int, Shown] = {}

    def start(self, number: int, name: str, text: str) -> None:
        """A job was started."""
        self._jobs[number] = Shown(name)
        self.say(f"start    {name}  {text}")

    def progress(self, number: int, step: str, done: int, total: int) -> None:
        """A running job said how far it is."""
        self._jobs[number].update(step, done, total)

    def end(self, number: int, word: str, text: str) -> None:
        """A job ended."""
        shown = self._jobs.pop(number)
        self.say(f"{word:<8} {shown.id}  {text}")

    def say(self, text: str) -> None:
        """One line for the user."""
        print(printable(text), file=self._stream, flush=True)

    def tick(self, finished: int, total: int) -> None:
        """Say how far each job is, where it has gone on and was not told for a while."""
        now = time.monotonic()
        for shown in self._jobs.values():
            if shown.changed and now - shown.said >= PLAIN_INTERVAL_S:
                shown.changed, shown.said = False, now
                self.say(f"         {shown.id}  {shown.step} {shown.done}/{shown.total}")

    def close(self) -> None:
        """Nothing is left to clear."""


class LiveConsole:
    """A bar for each running job below the lines, drawn again at most ten times a second."""

    interval = LIVE_INTERVAL_S

    def __init__(self, stream: TextIO, colour: bool) -> None:
        self._stream = stream
        self._colour = colour
        self._jobs: dict[int, Shown] = {}
        self._lines: list[str] = []
        self._height = 0
        self._drawn = 0.0
        self._bar = "█░" if _can_encode(stream, "█░…") else "#-"

    def start(self, number: int, name: str, text: str) -> None:
        """A job was started."""
        self._jobs[number] = Shown(name)

    def progress(self, number: int, step: str, done: int, total: int) -> None:
        """A running job said how far it is."""
        self._jobs[number].update(step, done, total)

    def end(self, number: int, word: str, text: str) -> None:
        """A job ended."""
        shown = self._jobs.pop(number)
        self._lines.append(f"{self._paint(word)} {printable(f'{shown.id}  {text}')}")

    def say(self, text: str) -> None:
        """One line for the user."""
        self._lines.append(printable(text))

    def tick(self, finished: int, total: int) -> None:
        """Draw the bars again."""
        now = time.monotonic()
        if now - self._drawn >= LIVE_INTERVAL_S:
            self._drawn = now
            self._draw([*self._bars(now), f"{finished} of {total} jobs are through"])

    def close(self) -> None:
        """Clear the bars."""
        self._draw([])

    def _draw(self, bars: list[str]) -> None:
        up = f"\x1b[{self._height}A" if self._height else ""
        width = shutil.get_terminal_size().columns - 1
        rows = [*self._lines, *(bar[:width] for bar in bars)]
        try:
            self._stream.write(f"{up}\r\x1b[J" + "".join(f"{row}\n" for row in rows))
            self._stream.flush()
        except OSError:  # the terminal was closed: SIGHUP ends the run, or nobody wants it to
            fall_silent(self._stream)
        self._lines.clear()
        self._height = len(bars)

    def _bars(self, now: float) -> list[str]:
        room = max(1, shutil.get_terminal_size().lines - 3)
        jobs = list(self._jobs.values())
        wide = max((len(shown.id) for shown in jobs[:room]), default=0)
        rows = [self._row(shown, min(wide, 40), now) for shown in jobs[:room]]
        return rows + ([f"and {len(jobs) - room} more"] if len(jobs) > room else [])

    def _row(self, shown: Shown, wide: int, now: float) -> str:
        full = round(shown.share * BAR_WIDTH)
        bar = self._bar[0] * full + self._bar[1] * (BAR_WIDTH - full)
        clock = format_seconds(now - shown.started)
        return printable(f"{shown.id:<{wide}} {bar} {shown.share:4.0%} {clock:>8}  {shown.step}")

    def _paint(self, word: str) -> str:
        padded = f"{word:<8}"
        return (
            f"\x1b[{COLOURS[word]}m{padded}\x1b[0m" if self._colour and word in COLOURS else padded
        )


def open_console(stream: TextIO, plain: bool, environment: Mapping[str, str]) -> Console:
    """Bars where they can be drawn and are wanted, lines otherwise."""
    if plain or not stream.isatty() or environment.get("TERM", "dumb") == "dumb":
        return PlainConsole(stream)
    return LiveConsole(stream, colour=not environment.get("NO_COLOR"))


def standard_console(plain: bool) -> Console:
    """The console on this process's standard output."""
    return open_console(sys.stdout, plain, os.environ)


def open_closed_streams() -> None:
    """Let closed standard streams lead nowhere: a file would take their numbers, and the output."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def fall_silent(stream: TextIO) -> None:
    """Nobody reads this stream any more: let what is written to it go nowhere."""
    gone, errors = stream.fileno(), sys.stderr.fileno()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if os.path.sameopenfile(gone, errors):
        os.dup2(nowhere, errors)
    os.dup2(nowhere, gone)
    os.close(nowhere)


def _can_encode(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def printable(text: str) -> str:
    """The text in one line, without what would move the cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def format_seconds(seconds: float) -> str:
    """A time that is easy to read: ``0.4 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
