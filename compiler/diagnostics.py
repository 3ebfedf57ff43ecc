"""What is wrong with the user's input, as data, and its rendering.

Phases return lists of Diagnostic; `sort_diagnostics` brings them into file order; `render_text`,
`render_json` and `render_github` turn them into what a person, a program or GitHub reads.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from .codes import CODES, WARNINGS

_WINDOW: Final = 100
_BLUE: Final = "1;34"
_STYLES: Final = (("error", "1;31"), ("warning", "1;33"))
_TAB: Final = "    "
_BREAK: Final = re.compile(r"\r\n|\r|\n")
# Compiled late: most texts can be printed, and a set of Unicode takes long.
_INVISIBLE: Final = (
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)


class Source:
    """A text and the name that users know it by: a path as they would write it, or an option."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def __repr__(self) -> str:
        return f"Source({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and (self.name, self.text) == (other.name, other.text)

    def __hash__(self) -> int:
        return hash((self.name, self.text))

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines of the text, without their breaks; at least one."""
        return tuple(_BREAK.split(self.text))


class Span(NamedTuple):
    """A stretch of a source: lines and columns from 1 in characters, the end column exclusive."""

    source: Source
    line: int
    column: int
    end_line: int
    end_column: int

    @property
    def file(self) -> str:
        """The name of the source."""
        return self.source.name

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


Note = tuple[str, Span | None]


class _Finding(NamedTuple):
    """The fields of a Diagnostic."""

    code: str
    message: str
    span: Span | None
    help: str | None
    notes: tuple[Note, ...]
    strict: bool


class Diagnostic(_Finding):
    """One mistake of the user: its code is in CODES, its message one line without a place.

    A warning is an error where one is `strict`.
    """

    __slots__ = ()

    def __new__(
        cls,
        code: str,
        message: str,
        span: Span | None = None,
        help: str | None = None,
        notes: tuple[Note, ...] = (),
        strict: bool = False,
    ) -> Self:
        """Raise ValueError for a code that is not registered."""
        if code not in CODES:
            raise ValueError(f"no such diagnostic code: {code}")
        return super().__new__(cls, code, message, span, help, notes, strict)

    @property
    def severity(self) -> str:
        """`error`, which stops, or `warning`."""
        return "warning" if self.code in WARNINGS and not self.strict else "error"


def errors_of(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return the diagnostics after which there is no plan."""
    return [diagnostic for diagnostic in diagnostics if diagnostic.severity == "error"]


def show_path(path: Path, cwd: Path) -> str:
    """Return the name of a file for its user: relative when it lies below `cwd`, else absolute."""
    absolute = cwd / path
    try:
        return str(absolute.relative_to(cwd))
    except ValueError:
        return str(absolute)


def show(value: object, limit: int = 60) -> str:
    """Return a value as JSON on one line, shortened to about `limit` characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= limit:
        return text
    return text[: limit - 1] + ("…" + text[-1] if text[0] in '"[{' else "…")


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed word that `word` was most likely meant to be, if one is close enough."""
    folded = {_fold(candidate): candidate for candidate in sorted(allowed, reverse=True)}
    key = _fold(word)
    if key in folded:
        return folded[key]
    import difflib

    cutoff = 0.8 if len(key) <= 2 else 0.6
    close = difflib.get_close_matches(key, folded, n=1, cutoff=cutoff)
    return folded[close[0]] if close else None


def suggest(word: str, allowed: Iterable[str], limit: int = 20) -> str | None:
    """Return `did you mean "x"?`, or else what is allowed; None where nothing is."""
    words = sorted(set(allowed))
    close = nearest(word, words)
    if close is not None:
        return f'did you mean "{close}"?'
    if not words:
        return None
    more = f", … ({len(words) - limit} more)" if len(words) > limit else ""
    return f"allowed: {', '.join(words[:limit])}{more}"


def sort_diagnostics(
    diagnostics: Iterable[Diagnostic], files: Sequence[str] = ()
) -> list[Diagnostic]:
    """Return diagnostics without exact duplicates, by file, line and column.

    Those without a place come first, then `files` in their order (the main file first), then
    others in the order in which they appear.
    """
    unique = list(dict.fromkeys(diagnostics))
    names = [*files, *(d.span.file for d in unique if d.span)]
    rank = {name: index for index, name in enumerate(dict.fromkeys(names))}

    def place(diagnostic: Diagnostic) -> tuple[int, int, int]:
        span = diagnostic.span
        return (rank[span.file], span.line, span.column) if span else (-1, 0, 0)

    return sorted(unique, key=place)


def render_text(diagnostics: Iterable[Diagnostic], color: bool = False) -> str:
    """Return diagnostics for a terminal, with their lines and carets, a blank line between two."""
    return "\n".join(_render_one(diagnostic, color) for diagnostic in diagnostics)


def summarize(diagnostics: Iterable[Diagnostic]) -> str:
    """Return how many there are of each kind: `2 errors, 1 warning`."""
    counts = Counter(diagnostic.severity for diagnostic in diagnostics)
    words = [f"{count} {kind}{'s' * (count > 1)}" for kind, count in sorted(counts.items())]
    return ", ".join(words)


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """Return diagnostics as a JSON list of objects."""
    objects = [_as_object(diagnostic) for diagnostic in diagnostics]
    return json.dumps(objects, indent=2) + "\n"


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """Return diagnostics as GitHub workflow commands, which annotate the lines of a change."""
    return "".join(_github_command(diagnostic) for diagnostic in diagnostics)


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")


def _render_one(diagnostic: Diagnostic, color: bool) -> str:
    span = diagnostic.span
    place = str(span) if span else "hcrc"
    style = dict(_STYLES)[diagnostic.severity]
    kind = _paint(f"{diagnostic.severity}[{diagnostic.code}]", style, color)
    lines = [f"{_escape(place)}: {kind}: {_escape(diagnostic.message)}"]
    gutter = len(str(span.line)) if span else 1
    if span:
        lines += _excerpt(span, gutter, style, color)
    remarks = [("note", _note_text(note)) for note in diagnostic.notes]
    if diagnostic.help:
        remarks.append(("help", diagnostic.help))
    mark = _paint("=", _BLUE, color)
    lines += [f"{' ' * gutter} {mark} {kind}: {_escape(text)}" for kind, text in remarks]
    return "".join(f"{line}\n" for line in lines)


def _note_text(note: Note) -> str:
    message, span = note
    return f"{message} ({span.file}:{span.line})" if span else message


def _excerpt(span: Span, gutter: int, style: str, color: bool) -> list[str]:
    """Return the first line of a span with carets below, cut to a window around it."""
    lines = span.source.lines
    line = lines[span.line - 1] if span.line <= len(lines) else ""
    first = min(span.column - 1, len(line))
    last = span.end_column - 1 if span.end_line == span.line else len(line)
    cells = [_cell(character) for character in line]
    low, high = _window([width for _, width in cells], first)
    shown = (
        "…" * (low > 0) + "".join(text for text, _ in cells[low:high]) + "…" * (high < len(line))
    )
    indent = (low > 0) + sum(width for _, width in cells[low:first])
    carets = max(1, sum(width for _, width in cells[first : min(last, high)]))
    bar = _paint("|", _BLUE, color)
    number = _paint(f"{span.line:>{gutter}}", _BLUE, color)
    caret_line = f"{' ' * gutter} {bar} {' ' * indent}{_paint('^' * carets, style, color)}"
    return [f"{' ' * gutter} {bar}", f"{number} {bar} {shown}".rstrip(), caret_line]


def _window(widths: list[int], first: int) -> tuple[int, int]:
    """Return which characters of a line to show: all of a short line, else those around `first`."""
    if sum(widths) <= _WINDOW:
        return 0, len(widths)
    low = 0 if sum(widths[: first + 1]) <= _WINDOW * 3 // 4 else first
    room = _WINDOW // 2
    while low > 0 and room > 0:
        low -= 1
        room -= widths[low]
    high, room = low, _WINDOW
    while high < len(widths) and widths[high] <= room:
        room -= widths[high]
        high += 1
    return low, high


def _cell(character: str) -> tuple[str, int]:
    """Return how a character is shown, and how many columns of a terminal it takes."""
    if character == "\t":
        return _TAB, len(_TAB)
    if not character.isprintable() and re.match(_INVISIBLE, character):
        return "\N{REPLACEMENT CHARACTER}", 1
    if character.isascii():
        return character, 1
    import unicodedata

    if unicodedata.category(character) in ("Mn", "Me"):
        return character, 0
    return character, 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _escape(text: str) -> str:
    """Return text without characters that would break a line, move a cursor or not print at all."""
    if text.isprintable():
        return text
    return re.sub(_INVISIBLE, lambda match: ascii(match.group())[1:-1], text)


def _paint(text: str, style: str, color: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if color else text


def _as_object(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "place": _place_object(diagnostic.span),
        "help": diagnostic.help,
        "notes": [
            {"message": message, "place": _place_object(span)} for message, span in diagnostic.notes
        ],
    }


def _place_object(span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def _github_command(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    fields = [("title", diagnostic.code)]
    if span:
        fields = [("file", span.file), ("line", str(span.line)), ("col", str(span.column)), *fields]
    lines = [diagnostic.message, *(f"note: {_note_text(note)}" for note in diagnostic.notes)]
    if diagnostic.help:
        lines.append(f"help: {diagnostic.help}")
    properties = ",".join(f"{name}={_github_property(value)}" for name, value in fields)
    message = _github_data("\n".join(line.replace("\n", " ") for line in lines))
    return f"::{diagnostic.severity} {properties}::{message}\n"


def _github_data(text: str) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return _escape(escaped)


def _github_property(text: str) -> str:
    return _github_data(text).replace(":", "%3A").replace(",", "%2C")
