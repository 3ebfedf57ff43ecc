"""What the keys of a task are made of, and what is made of them, by place on the axes.

A place is the texts of a point's values on the axes that a key draws on.
"""

from __future__ import annotations

from collections.abc import Iterator

from .nodes import Node
from .uses import Use
from .values import Json

Place = tuple[str, ...]


class Made:
    """What a key stands for at one place: a value, or definitions that make one.

    The specs that the definitions make are by place on ``axes``: those that they draw on.
    """

    def __init__(self, value: Json, uses: tuple[Use, ...] = (), axes: Place = ()) -> None:
        self.value = value
        self.uses = uses
        self.axes = axes
        self.specs: dict[Place, Json] = {}


class Part:
    """One key of a task, and the axes that its value draws on; without a node, one fills it."""

    def __init__(self, key: str, node: Node | None, axes: Place, schema: str) -> None:
        self.key = key
        self.node = node
        self.axes = axes
        self.schema = schema
        self.made: dict[Place, Made | None] = {}

    def drawn_on(self) -> Iterator[str]:
        """The axes that the key's value differs by, as far as it is made."""
        yield from self.axes
        for made in self.made.values():
            yield from made.axes if made else ()
