"""Schemas for tests."""

from hcrc.compiler.parse import Node, parse


def node(text: str) -> Node:
    document, _ = parse(text, "w.yml")
    assert document.root is not None
    return document.root
