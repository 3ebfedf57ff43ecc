"""Parameters that draw on an axis: inside of a task they have another value in each cell.

``tag: "offset{offset}"`` is bound once with the parameter ``offset``; where a task spans an axis of
that name, it is filled again with the axis's value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from .folders import absolute_path
from .nodes import Scalar
from .template import Binding, names_in, substitute


def reach(bindings: Mapping[str, Binding], names: Collection[str]) -> set[str]:
    """The names, and those that they draw on through the values of parameters."""
    found: set[str] = set()
    ahead = list(names)
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            template = bindings[name].template if name in bindings else None
            ahead += names_in(template) if template is not None else ()
    return found


def rebind(bindings: Mapping[str, Binding], axes: Mapping[str, Binding]) -> dict[str, Binding]:
    """The bindings at a point of some axes; those that draw on no axis stay as they are."""
    found = {**bindings, **axes}
    drawing = [name for name, binding in bindings.items() if binding.template is not None]
    changed = {name for name in drawing if reach(bindings, [name]) & axes.keys()} - axes.keys()
    done: set[str] = set()

    def refill(name: str) -> None:
        binding = bindings[name]
        if name in done or binding.template is None:
            return
        done.add(name)
        for other in names_in(binding.template) & changed:
            refill(other)
        node = substitute(binding.template, found).node
        text = node.text if isinstance(node, Scalar) else ""
        value = absolute_path(text, Path(binding.base)) if binding.base else text
        found[name] = binding._replace(value=value, node=node)

    for name in sorted(changed):
        refill(name)
    return found
