"""What is wrong with a site's file beyond its schema: its tree in, Diagnostics out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .backends.quoting import is_one_line, is_writable
from .diagnostics import Diagnostic, Span, nearest, show
from .execution import amount
from .nodes import Entry, Node, Scalar, Sequence
from .nodes import Mapping as MappingNode
from .profile import FLAVOUR, MAX_RUNTIME, is_attribute
from .shipped import read_schema

Json = Any
ATTRIBUTE: Final = re.compile(r"(?:\+|[Mm][Yy]\.)([A-Za-z_][A-Za-z0-9_]*)")
FOR_BATCH: Final = ("submit", "throttle", "priority", "retries", "memory", "walltime", "gpus")
TOLD: Final = {MAX_RUNTIME: "MaxRuntime", FLAVOUR: "JobFlavour"}


def check_site(root: MappingNode) -> list[Diagnostic]:
    """What cannot be written, is no command of HTCondor's, or is written by hcrc itself."""
    written = {key: entry.value for key, entry in root.items() if key != "help"}
    found = [each for key, node in written.items() for each in _find_breaks(key, node)]
    found += [*_check_cap(root), *_check_batch(root), *_check_submit(root)]
    container = root.get("container")
    if isinstance(container, MappingNode) and "image" in container.entries:
        found += _check_literal("image", container.entries["image"])
    return found


def _check_submit(root: MappingNode) -> Iterator[Diagnostic]:
    """The site's own submit commands, and attributes of jobs."""
    submit = root.get("submit")
    if not isinstance(submit, MappingNode):
        return
    keys, taken = json.loads(read_schema("submit-keys.json")), dict(_attributes(root))
    for key, entry in submit.items():
        if is_attribute(key):
            yield from _check_attribute(key, entry, taken)
        else:
            yield from _check_command(key, entry, keys)
        yield from _check_literal(key, entry)


def _find_breaks(key: str, node: Node) -> Iterator[Diagnostic]:
    """Texts that no line of a file can hold."""
    if isinstance(node, Scalar):
        if not is_one_line(node.text):
            message = f"{show(key)} has the end of a line in it, or the character NUL"
            help = "it stands in one line of the files of a bundle"
            yield Diagnostic("unwritable-value", message, node.span, help)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _find_breaks(key, item)
    else:
        for name, entry in node.items():
            yield from _find_breaks(name, entry.key)
            yield from _find_breaks(name, entry.value)


def _check_literal(key: str, entry: Entry) -> Iterator[Diagnostic]:
    """The one macro that HTCondor fills even in what another one stands for."""
    value = entry.value
    if isinstance(value, Scalar) and not is_writable(value.text):
        message = f"{show(key)} has $(DOLLAR) in it, which HTCondor makes a dollar of"
        help = "write the dollar itself: macros are not expanded here"
        yield Diagnostic("unwritable-value", message, value.span, help)


def _check_command(key: str, entry: Entry, keys: Json) -> list[Diagnostic]:
    """Whether a key of ``submit`` is a command that a site may give; their case is free."""
    span, name = entry.key.span, key.lower()
    if name in keys["written"]:
        message = f"{show(key)} is written by hcrc itself"
        help = "what it holds comes from the tasks and from the other keys of the site"
        return [Diagnostic("reserved-submit-key", message, span, help)]
    if name in keys["free"]:
        return []
    message = f"HTCondor has no submit command {show(key)}"
    near = nearest(name, [*keys["free"], *keys["written"]])
    help = f'did you mean "{near}"?' if near else "an attribute of the job is +NAME or MY.NAME"
    return [Diagnostic("unknown-submit-key", message, span, help)]


def _check_attribute(key: str, entry: Entry, taken: Mapping[str, str]) -> list[Diagnostic]:
    """Whether a key of ``submit`` names an attribute, which nothing else gives."""
    span, name = entry.key.span, ATTRIBUTE.fullmatch(key)
    if name is None:
        help = "an attribute is +NAME or MY.NAME: letters, digits and underscores"
        return [Diagnostic("bad-name", f"{show(key)} cannot be a name here", span, help)]
    giver = taken.get(name[1].lower())
    if giver is None:
        return []
    message = f"{show(key)} is written by hcrc itself"
    return [Diagnostic("reserved-submit-key", message, span, f'"{giver}" gives it')]


def _attributes(root: MappingNode) -> Iterator[tuple[str, str]]:
    """The attributes, in small letters, that other keys give, and those keys."""
    walltime, container = root.get("walltime"), root.get("container")
    if isinstance(walltime, Scalar) and walltime.text in TOLD:
        yield TOLD[walltime.text].lower(), "walltime"
    attribute = container.get("attribute") if isinstance(container, MappingNode) else None
    if isinstance(attribute, Scalar):
        yield attribute.text.lower(), "container.attribute"


def _check_batch(root: MappingNode) -> Iterator[Diagnostic]:
    """Keys that say something to a batch system, where there is none."""
    batch = root.get("batch")
    if isinstance(batch, Scalar) and batch.text == "none":
        for key in FOR_BATCH:
            if key in root.entries:
                message = f"{show(key)} is for a batch system, and there is none"
                note = ("that is said here", batch.span)
                span = root.entries[key].key.span
                yield Diagnostic("conflicting-keys", message, span, notes=(note,))


def _check_cap(root: MappingNode) -> Iterator[Diagnostic]:
    """Whether memory grows beyond what a job gets there."""
    cap, limit = _size(root, "memory", "cap"), _size(root, "limits", "memory")
    if cap and limit and cap[0] > limit[0]:
        message = f'"cap" is {cap[1]}, and a job gets at most {limit[1]}'
        yield Diagnostic("out-of-bounds", message, cap[2], None, (("the limit is here", limit[2]),))


def _size(root: MappingNode, *path: str) -> tuple[float, str, Span] | None:
    """A size in MB, as it is written, and its place; None where it is none."""
    node: Node | None = root
    for key in path:
        node = node.get(key) if isinstance(node, MappingNode) else None
    if not isinstance(node, Scalar):
        return None
    try:
        return amount("memory", node.value), node.text, node.span
    except (TypeError, ValueError):
        return None
