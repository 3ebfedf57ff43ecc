"""What a run shows: lines, and bars on a terminal."""

from __future__ import annotations

import io
import os
import re

import pytest
from hcrc.runtime import console
from hcrc.runtime.console import LiveConsole, PlainConsole, format_seconds, open_console, printable


class Terminal(io.StringIO):
    """A stream that says it is a terminal of some encoding."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._name = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._name

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def size(monkeypatch: pytest.MonkeyPatch, columns: int, lines: int) -> None:
    answer = os.terminal_size((columns, lines))
    monkeypatch.setattr(console.shutil, "get_terminal_size", lambda: answer)


def test_lines_say_starts_ends_and_throttled_progress(clock: list[float]) -> None:
    stream = io.StringIO()
    plain = PlainConsole(stream)
    plain.start(1, "train[offset=3]", "no result yet")
    for done in range(30):
        clock[0] += 1
        plain.progress(1, "fold 0", done, 30)
        plain.tick(0, 1)
    plain.tick(0, 1)
    plain.end(1, "done", "30.0 s")
    plain.close()
    assert stream.getvalue().splitlines() == [
        "start    train[offset=3]  no result yet",
        "         train[offset=3]  fold 0 9/30",
        "         train[offset=3]  fold 0 19/30",
        "         train[offset=3]  fold 0 29/30",
        "done     train[offset=3]  30.0 s",
    ]


def test_a_bar_for_each_running_job(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    size(monkeypatch, 80, 24)
    stream = Terminal()
    live = LiveConsole(stream, colour=False)
    live.start(1, "train", "no result yet")
    live.start(2, "cache[a]", "forced")
    live.progress(1, "fold 0", 3, 4)
    clock[0] += 5
    live.tick(0, 3)
    assert stream.getvalue() == (
        "\r\x1b[J"
        "train    ███████████████░░░░░  75%    5.0 s  fold 0\n"
        "cache[a] ░░░░░░░░░░░░░░░░░░░░   0%    5.0 s  \n"
        "0 of 3 jobs are through\n"
    )
    stream.truncate(0)
    stream.seek(0)
    live.end(2, "done", "5.0 s")
    live.close()
    assert stream.getvalue() == "\x1b[3A\r\x1b[Jdone     cache[a]  5.0 s\n"


def test_bars_are_not_drawn_more_often_than_needed(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    size(monkeypatch, 80, 24)
    stream = Terminal()
    live = LiveConsole(stream, colour=False)
    for _ in range(200):
        clock[0] += 0.01
        live.tick(0, 1)
    assert stream.getvalue().count("\x1b[J") <= 21


def test_bars_keep_to_the_window(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    size(monkeypatch, 30, 6)
    stream = Terminal("ascii")
    live = LiveConsole(stream, colour=False)
    for number in range(20):
        live.start(number, f"train[offset={number}]", "")
        live.progress(number, "a step with a long name", 1, 1)
    live.tick(0, 20)
    rows = stream.getvalue().removeprefix("\r\x1b[J").splitlines()
    assert rows[-2:] == ["and 17 more", "0 of 20 jobs are through"]
    assert len(rows) == 5
    assert all(len(row) < 30 and row.isascii() for row in rows)


def test_colour_only_where_it_is_wanted() -> None:
    for environment, colour in (({"TERM": "x"}, True), ({"TERM": "x", "NO_COLOR": "1"}, False)):
        stream = Terminal()
        live = open_console(stream, plain=False, environment=environment)
        live.start(1, "a", "")
        live.end(1, "failed", "bug (70)")
        live.close()
        assert ("\x1b[31mfailed" in stream.getvalue()) is colour


def test_lines_where_bars_cannot_be_drawn() -> None:
    assert isinstance(open_console(Terminal(), True, {"TERM": "xterm"}), PlainConsole)
    assert isinstance(open_console(Terminal(), False, {"TERM": "dumb"}), PlainConsole)
    assert isinstance(open_console(Terminal(), False, {}), PlainConsole)
    assert isinstance(open_console(io.StringIO(), False, {"TERM": "xterm"}), PlainConsole)
    assert isinstance(open_console(Terminal(), False, {"TERM": "xterm"}), LiveConsole)


def test_text_of_jobs_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2Jb\nc Δφ") == "a [2Jb c Δφ"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_times_are_easy_to_read(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
    assert not re.search(r"60 s|60 min", format_seconds(seconds))
