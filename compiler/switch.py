"""A filled ``enable`` in, true or false out: a text of a parameter is true unless it is empty."""

from __future__ import annotations

from .mistaken import means_boolean
from .nodes import Node, Scalar


def read_switch(node: Node) -> Node:
    """The node with true for a filled text, false for an empty one.

    A text such as ``false`` stays: it was meant as a boolean, and the schema refuses it.
    """
    if not isinstance(node, Scalar) or not node.filled or not isinstance(node.value, str):
        return node
    if means_boolean(node.text):
        return node
    return node._replace(value=bool(node.text.strip()))
