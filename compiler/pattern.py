"""Texts of many cells at once: a Pattern is the text that they share, with columns in its gaps.

A column gives a text for each cell, in order, as often as it is asked, and keeps none of them. So
a line is spliced from what is written once and from what differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import repeat, tee
from typing import Any, Protocol

from .grid import Places
from .values import canonical


class Column(Protocol):
    """A text for each of many cells."""

    def __iter__(self) -> Iterator[str]:
        """The texts, in order."""

    def pieces(self, number: int) -> Iterable[str]:
        """One of the texts, in pieces: it may be as long as there are cells."""


class ByPlace(Protocol):
    """A value for each place: a sequence, or what makes them when asked."""

    def __iter__(self) -> Iterator[Any]:
        """The values, in order."""

    def __getitem__(self, place: int, /) -> Any:
        """One of the values."""


Parts = tuple[str | Column, ...]


class Values:
    """Values by place, each written where the cell's place says; without places, one a cell."""

    def __init__(
        self, values: ByPlace, write: Callable[[Any], str], places: Places | None = None
    ) -> None:
        self.values = values
        self.write = write
        self.places = places if places is None or not places.is_plain else None

    def __iter__(self) -> Iterator[str]:
        texts = map(self.write, self.values)
        return texts if self.places is None else map(list(texts).__getitem__, self.places)

    def pieces(self, number: int) -> Iterable[str]:
        """The one text."""
        place = number if self.places is None else self.places[number]
        return (self.write(self.values[place]),)


class Each:
    """What a function says of each number below ``size``."""

    def __init__(self, text: Callable[[int], str], size: int) -> None:
        self.text = text
        self.size = size

    def __iter__(self) -> Iterator[str]:
        return map(self.text, range(self.size))

    def pieces(self, number: int) -> Iterable[str]:
        """The one text."""
        return (self.text(number),)


class Pattern:
    """The texts of ``size`` cells: strings that all share, and a column where they differ."""

    def __init__(self, parts: Parts, size: int) -> None:
        self.parts = parts
        self.size = size

    def __iter__(self) -> Iterator[str]:
        columns = [part for part in self.parts if not isinstance(part, str)]
        if not columns:
            return repeat("".join(map(str, self.parts)), self.size)
        # A column that fills several gaps is read once; joining leaves no work to Python.
        gaps = Counter(map(id, columns))
        readers = {id(column): iter(tee(column, gaps[id(column)])) for column in columns}
        parts = [
            repeat(part) if isinstance(part, str) else next(readers[id(part)])
            for part in self.parts
        ]
        rows: Iterator[tuple[str, ...]] = zip(*parts)  # noqa: B905 - strings have no end
        return map("".join, rows)

    def __getitem__(self, number: int, /) -> str:
        return self.text(number)

    def pieces(self, number: int) -> Iterator[str]:
        """One of the texts, in pieces."""
        for part in self.parts:
            if isinstance(part, str):
                yield part
            else:
                yield from part.pieces(number)

    def text(self, number: int) -> str:
        """One of the texts."""
        return "".join(self.pieces(number))


def write_object(entries: Mapping[str, Parts]) -> Parts:
    """The canonical JSON of a mapping, from the parts of its values."""
    parts: list[str | Column] = []
    for key in sorted(entries):
        parts += [f"{',' if parts else '{'}{canonical(key)}:", *entries[key]]
    return (*parts, "}") if parts else ("{}",)
