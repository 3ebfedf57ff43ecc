"""The tree that parsing gives: scalars, sequences and mappings, each with its place."""

from collections import abc
from types import MappingProxyType
from typing import Any, NamedTuple

from .diagnostics import Note, Span

Value = None | bool | int | float | str


class Scalar(NamedTuple):
    """A leaf: its value, and its text as written, without quotes and escapes.

    `filled` says that the value came through a placeholder, or from an axis.
    """

    value: Value
    text: str
    quoted: bool
    span: Span
    notes: tuple[Note, ...] = ()
    filled: bool = False


class Sequence(NamedTuple):
    """A list of nodes."""

    items: tuple["Node", ...]
    span: Span
    notes: tuple[Note, ...] = ()


class Entry(NamedTuple):
    """One `key: value` of a mapping, and the entry that it replaced in a merge, as written."""

    key: Scalar
    value: "Node"
    replaced: "Entry | None" = None


class Mapping(NamedTuple):
    """Entries by the text of their keys, in the order of the file; no key is there twice.

    `removed` says where a merge took keys out.
    """

    entries: abc.Mapping[str, Entry]
    span: Span
    notes: tuple[Note, ...] = ()
    flow: bool = False
    removed: tuple[tuple[str, Span], ...] = ()

    def get(self, key: str) -> "Node | None":
        """Return the value of a key, or None without it."""
        entry = self.entries.get(key)
        return entry.value if entry else None

    def items(self) -> abc.ItemsView[str, Entry]:
        """Return the keys' texts, each with its entry."""
        return self.entries.items()

    def replace(self, entries: abc.Mapping[str, Entry]) -> "Mapping":
        """Return a mapping at the same place with other entries."""
        return self._replace(entries=MappingProxyType(dict(entries)))


Node = Scalar | Sequence | Mapping


def to_plain(node: Node) -> Any:
    """Return a node as dicts, lists and scalars."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [to_plain(item) for item in node.items]
        case Mapping():
            return {key: to_plain(entry.value) for key, entry in node.items()}


def without(node: Mapping, *keys: str) -> Mapping:
    """Return a mapping but for some of its keys."""
    return node.replace({key: entry for key, entry in node.items() if key not in keys})


def locate(node: Node, path: abc.Iterable[str | int]) -> Node:
    """Return the node below `node` that a path of keys and indices leads to."""
    for step in path:
        if isinstance(node, Mapping):
            node = node.entries[str(step)].value
        elif isinstance(node, Sequence):
            node = node.items[int(step)]
        else:
            raise KeyError(step)
    return node


def locate_key(node: Node, path: abc.Sequence[str | int]) -> Scalar | None:
    """Return the key that the last step of a path is written with; None for an index or no step."""
    if not path:
        return None
    parent = locate(node, path[:-1])
    return parent.entries[str(path[-1])].key if isinstance(parent, Mapping) else None


def span_within(scalar: Scalar, start: int, end: int) -> Span:
    """Return the place of characters of a scalar's text, or of all where escapes hide it."""
    span = scalar.span
    part = scalar.text[start:end]
    line = span.source.lines[span.line - 1] if span.line == span.end_line else ""
    raw = line[span.column - 1 : span.end_column - 1]
    body = raw[1:-1] if scalar.quoted else raw
    if body == scalar.text:
        column = span.column + start + scalar.quoted
        return span._replace(column=column, end_column=column + len(part))
    return _find_part(span, part, scalar.text.count(part, 0, start)) if part else span


def _find_part(span: Span, part: str, skip: int) -> Span:
    """Return the place of an occurrence of `part` in the source of a span, after `skip` others."""
    for number in range(span.line, span.end_line + 1):
        line = span.source.lines[number - 1]
        low = span.column - 1 if number == span.line else 0
        high = span.end_column - 1 if number == span.end_line else len(line)
        at = line.find(part, low, high)
        while at >= 0:
            if skip == 0:
                return Span(span.source, number, at + 1, number, at + 1 + len(part))
            skip -= 1
            at = line.find(part, at + len(part), high)
    return span
