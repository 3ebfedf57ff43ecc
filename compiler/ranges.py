"""Ranges: `"0-2 4-6 8"` in, the integers 0, 1, 2, 4, 5, 6, 8 out; and back.

Nothing is clipped or dropped: what cannot be read is an error at its column.
"""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from .diagnostics import Diagnostic, Span, show
from .parse import Mapping, Node, Scalar, Sequence, span_within

MAX_VALUES: Final = 200_000
_EXAMPLE: Final = 'ranges look like "0-2 4-6 8"'
_PART: Final = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")


class RangeError(ValueError):
    """What is wrong with characters [start, end) of a range's text."""

    def __init__(self, code: str, message: str, start: int, end: int, help: str = _EXAMPLE) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.start = start
        self.end = end
        self.help = help


def parse_range(text: str) -> list[int]:
    """Return the values of a range in increasing order of its parts; raises RangeError."""
    parts = list(re.finditer(r"\S+", text))
    if not parts:
        raise RangeError("empty-range", "a range without values", 0, len(text))
    values: list[int] = []
    seen: set[int] = set()
    for part in parts:
        first, last = _read_part(part)
        if len(values) + last - first + 1 > MAX_VALUES:
            raise RangeError("long-range", f"more than {MAX_VALUES:,} values", *part.span())
        new = range(first, last + 1)
        twice = seen.intersection(new)
        if twice:
            raise RangeError(
                "overlapping-range",
                f"{_values(twice)} twice",
                *part.span(),
                "write every value once",
            )
        seen.update(new)
        values.extend(new)
    return values


def range_of(node: Node) -> list[int] | list[Diagnostic]:
    """Return the values of a node that is a range: a text, an integer or a list of integers.

    In their place a non-empty list of Diagnostics says what is wrong, each inside of the node.
    """
    match node:
        case Mapping():
            return [_error("wrong-type", "a mapping, expected a range", node.span, node)]
        case Sequence():
            return _list_values(node)
        case Scalar():
            return _scalar_values(node)


def format_range(values: Iterable[int]) -> str:
    """Return the shortest text of a range with these values, in increasing order."""
    ordered = sorted(set(values))
    starts = ordered[:1] + [b for a, b in pairwise(ordered) if b != a + 1]
    ends = [a for a, b in pairwise(ordered) if b != a + 1] + ordered[-1:]
    return " ".join(f"{a}-{b}" if a != b else f"{a}" for a, b in zip(starts, ends, strict=True))


def _read_part(part: re.Match[str]) -> tuple[int, int]:
    """Return first and last value of `3` or `0-2`."""
    text, (start, end) = part.group(), part.span()
    match = _PART.fullmatch(text)
    if match is None:
        raise RangeError(*_explain(text, start, end))
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise RangeError(
            "reversed-range", f"{text} runs backwards", start, end, f'write "{last}-{first}"'
        )
    return first, last


def _explain(text: str, start: int, end: int) -> tuple[str, str, int, int, str]:
    """Return what is wrong with a part that is neither a number nor two."""
    if re.fullmatch(r"-[0-9]+(-[0-9]+)?", text):
        return "negative-range", f"{text} is negative", start, end, "values of a range count from 0"
    if re.fullmatch(r"[0-9]+(-[0-9]+)?", text):
        return "long-range", f"{show(text)[1:-1]} is too large", start, end, _EXAMPLE
    if "," in text:
        comma = start + text.index(",")
        help = "separate with blanks: " + _EXAMPLE
        return "bad-range", '"," in a range', comma, comma + 1, help
    separated = re.fullmatch(r"([0-9]+)(?:\.{2,3}|:|–|—|to)([0-9]+)", text)
    help = f'write "{separated[1]}-{separated[2]}"' if separated else _EXAMPLE
    return "bad-range", f"{show(text)} is neither a number nor a range", start, end, help


def _scalar_values(node: Scalar) -> list[int] | list[Diagnostic]:
    if isinstance(node.value, bool | float) or node.value is None:
        message = f"{node.text or 'null'} is not a range"
        return [_error("wrong-type", message, node.span, node, _EXAMPLE)]
    text = node.text if isinstance(node.value, str) else str(node.value)
    try:
        return parse_range(text)
    except RangeError as error:
        span = span_within(node, error.start, error.end) if text == node.text else node.span
        return [_error(error.code, error.message, span, node, error.help)]


def _list_values(node: Sequence) -> list[int] | list[Diagnostic]:
    values: list[int] = []
    diagnostics = (
        [] if node.items else [_error("empty-range", "a range without values", node.span, node)]
    )
    seen: dict[int, Span] = {}
    for item in node.items:
        value = item.value if isinstance(item, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int):
            message = "the list of a range holds integers only"
            diagnostics.append(_error("wrong-type", message, item.span, item))
        elif value < 0:
            help = "values of a range count from 0"
            diagnostics.append(
                _error("negative-range", f"{value} is negative", item.span, item, help)
            )
        elif value in seen:
            help = "write every value once"
            diagnostics.append(_error("overlapping-range", f"{value} twice", item.span, item, help))
        else:
            seen[value] = item.span
            values.append(value)
    return diagnostics or values


def _error(code: str, message: str, span: Span, node: Node, help: str | None = None) -> Diagnostic:
    return Diagnostic(code, message, span, help, node.notes)


def _values(values: set[int]) -> str:
    return f"{show(format_range(values), 30)[1:-1]} is there"
