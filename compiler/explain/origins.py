"""Plain values and the nodes that they were made from in, the origin of each leaf out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..diagnostics import Note, Span
from ..nodes import Entry, Node, Scalar, Sequence
from ..nodes import Mapping as MappingNode
from ..values import Json

EXPANSION: Final = "in expansion of "
PLACELESS: Final = ("--param", "--template")


@dataclass(frozen=True)
class Step:
    """One thing on the way to a value: in words, and where it is written."""

    text: str
    span: Span | None = None


@dataclass(frozen=True)
class Origin:
    """Where a value is written, or else, in words, what it is; and the steps up to it.

    ``used`` says by which use of which definition the value came in.
    """

    span: Span | None
    words: str = ""
    steps: tuple[Step, ...] = ()
    used: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Leaf:
    """A value of a job, by its dotted path."""

    path: str
    value: Json
    origin: Origin


@dataclass(frozen=True)
class Expansions:
    """What is known of the places that parameters and axes got their values at.

    ``known`` holds for each place what it is, in words, and the notes of what stands there.
    """

    known: Mapping[Span, tuple[str, tuple[Note, ...]]] = field(default_factory=dict)

    def steps(self, notes: tuple[Note, ...], depth: int = 0) -> Iterator[Step]:
        """The expansions of a value, each followed by those of what it stands for."""
        for text, span in notes:
            kind, deeper = self._look_up(text, span)
            text = text.removeprefix(EXPANSION)
            yield Step(f"{'  ' * depth}{text}{kind and f', {kind}'}", span)
            if depth < 20:
                yield from self.steps(deeper, depth + 1)

    def _look_up(self, text: str, span: Span | None) -> tuple[str, tuple[Note, ...]]:
        if span is None:
            return ("of the environment" if text.startswith(EXPANSION) else ""), ()
        return self.known.get(span, ("given by " + span.file if span.file in PLACELESS else "", ()))


def notes_of(node: Node) -> tuple[Note, ...]:
    """The notes of a node and of all that it holds, each once."""
    found = dict.fromkeys(node.notes)
    items: list[Node] = []
    if isinstance(node, MappingNode):
        items = [entry.value for entry in node.entries.values()]
    elif isinstance(node, Sequence):
        items = list(node.items)
    for item in items:
        found |= dict.fromkeys(notes_of(item))
    return tuple(found)


@dataclass(frozen=True)
class Walk:
    """Walks a plain value beside its node and its schema; ``used`` is the use that it is in."""

    expansions: Expansions
    used: tuple[Step, ...] = ()

    def written(self, node: Node, above: tuple[Step, ...] = ()) -> Origin:
        """The origin of what a node says."""
        steps = (*self.expansions.steps(notes_of(node)), *above)
        return Origin(node.span, "", steps, self.used)

    def default(self, place: str, above: tuple[Step, ...] = ()) -> Origin:
        """The origin of what a schema says where nothing is written."""
        return Origin(None, f"default of the schema ({place})", above, self.used)

    def leaves(
        self, path: str, value: Json, node: Node | None, place: str, above: tuple[Step, ...] = ()
    ) -> Iterator[Leaf]:
        """The leaves of a value; ``place`` is what its schema is called.

        ``above`` are the steps that concern the whole value.
        """
        if isinstance(value, dict) and value and (node is None or isinstance(node, MappingNode)):
            for key, item in value.items():
                inner, more = self._entry(node, key, above)
                yield from self.leaves(f"{path}.{key}", item, inner, f"{place}.{key}", more)
        elif isinstance(value, list) and isinstance(node, Sequence) and is_nested(value, node):
            for number, (item, each) in enumerate(zip(value, node.items, strict=False)):
                yield from self.leaves(f"{path}.{number}", item, each, f"{place}[]", above)
        elif node is None:
            yield Leaf(path, value, self.default(place, above))
        elif isinstance(value, (dict, list)) and value and isinstance(node, Scalar):
            yield from self._spread(path, value, self.written(node, above))
        else:
            yield self._leaf(path, value, node, above)

    def _leaf(self, path: str, value: Json, node: Node, above: tuple[Step, ...]) -> Leaf:
        if isinstance(node, Scalar) and node.value != value and node.text != str(value):
            above = (*above, Step(f"this hcrc reads {node.value!r} there"))
        return Leaf(path, value, self.written(node, above))

    def _spread(self, path: str, value: Any, origin: Origin) -> Iterator[Leaf]:
        """The leaves of a value that is made as a whole."""
        if not isinstance(value, (dict, list)) or not value:
            yield Leaf(path, value, origin)
            return
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            yield from self._spread(f"{path}.{key}", item, origin)

    def _entry(
        self, node: Node | None, key: str, above: tuple[Step, ...]
    ) -> tuple[Node | None, tuple[Step, ...]]:
        """The node at a key, and what happened to the key on the way."""
        if not isinstance(node, MappingNode):
            return None, above
        entry = node.entries.get(key)
        if entry is not None:
            return entry.value, (*above, *replaced(entry))
        return None, (*above, *removed(node, key))


def is_nested(value: list[Json], node: Sequence) -> bool:
    """Whether the items of a list have something to say each."""
    if len(value) != len(node.items):
        return False
    pairs = zip(value, node.items, strict=True)
    return any(isinstance(item, (dict, list)) or each.notes for item, each in pairs)


def replaced(entry: Entry) -> Iterator[Step]:
    """What stood at a key before a use or a later file changed it, last first."""
    before = entry.replaced
    while before is not None:
        value = before.value
        what = value.text if isinstance(value, Scalar) else "what is"
        yield Step(f"instead of {what or 'nothing'}", value.span)
        before = before.replaced


def removed(node: MappingNode, key: str) -> Iterator[Step]:
    """Where a null took a key out."""
    for name, span in node.removed:
        if name == key:
            yield Step("removed by null", span)


def within(leaf: Leaf, steps: tuple[Step, ...]) -> Leaf:
    """A leaf with further steps."""
    return replace(leaf, origin=replace(leaf.origin, steps=(*leaf.origin.steps, *steps)))
