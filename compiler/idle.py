"""Keys that nothing acts on yet: their schemas say so as ``x-idle``, and what is not done.

In come a bound mapping and the name of its schema, out comes a warning for each such key that is
set to something else than its default; or a schema, and out comes its help.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .defaults import resolve_reference
from .diagnostics import Diagnostic
from .nodes import Mapping, Node, to_plain

Json = Any
IDLE: Final = "x-idle"
SWITCH: Final = "enable"


def tell_help(schema: Json) -> str:
    """What a key is for, and what is not done for it."""
    help = schema.get("description", "")
    return f"{help}; nothing acts on it yet: {schema[IDLE]}" if IDLE in schema else help


def idle_keys(node: Node, reference: str) -> list[Diagnostic]:
    """Warnings for a bound mapping, at all depths; what is switched off is passed over."""
    return [*_idle_keys(node, *resolve_reference({"$ref": reference}, ""))]


def _idle_keys(node: Node, schema: Json, file: str, above: str = "") -> Iterator[Diagnostic]:
    known = schema.get("properties", {})
    if not isinstance(node, Mapping) or _is_off(node):
        return
    for name, entry in node.entries.items():
        if name not in known:
            continue
        part, inside = resolve_reference(known[name], file)
        if IDLE in part and to_plain(entry.value) != part.get("default"):
            message = f'nothing acts on "{above}{name}" yet: {part[IDLE]}'
            yield Diagnostic("no-effect-yet", message, entry.key.span, None, entry.value.notes)
        yield from _idle_keys(entry.value, part, inside, f"{above}{name}.")


def _is_off(node: Mapping) -> bool:
    """Whether a mapping says of itself that it does not count."""
    switch = node.get(SWITCH)
    return switch is not None and to_plain(switch) is False
