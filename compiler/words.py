"""The command line of a command task: words that name declared inputs and outputs.

A word is filled like any string, with marks where inputs and outputs stand; then it is cut there.
The paths are only known when the job runs.
"""

from __future__ import annotations

import re
from typing import Any, Final

from .diagnostics import Diagnostic, show
from .nodes import Mapping, Node, Scalar
from .parameters import Binding

Json = Any
# No YAML text can hold it.
MARK: Final = "\0"
MARKED: Final = re.compile(f"{MARK}(input|output):([^{MARK}]*){MARK}")


def inputs_and_outputs(task: Mapping) -> dict[str, Binding]:
    """What the names of a task's inputs and outputs stand for in its words: a mark each."""
    found = {}
    for kind in ("input", "output"):
        node = task.get(f"{kind}s")
        for name, entry in node.items() if isinstance(node, Mapping) else ():
            found[name] = Binding(f"{MARK}{kind}:{name}{MARK}", entry.key, entry.key.span)
    return found


def split_word(word: str) -> list[Json]:
    """The pieces of a filled word, as ``job.schema.json`` has them."""
    pieces: list[Json] = []
    at = 0
    for mark in MARKED.finditer(word):
        pieces += [{"text": word[at : mark.start()]}] if mark.start() > at else []
        pieces.append({mark[1]: mark[2]})
        at = mark.end()
    return pieces + ([{"text": word[at:]}] if at < len(word) or not pieces else [])


def refuse_output(node: Node) -> Diagnostic | None:
    """What is wrong with the path of an output: it lies below the task's folder."""
    text = node.text if isinstance(node, Scalar) else ""
    steps = text.split("/")
    if text.startswith(("/", "~")) or ".." in steps or "://" in text:
        code, reason = "outside-output", "is not a path below the task's folder"
    elif not text.isprintable():
        code, reason = "bad-folder", "holds a line break or another character that is not printable"
    elif steps[0].startswith("try-") or text.strip("./") in ("", "result.json"):
        code, reason = "reserved-name", "is not free: results of hcrc itself lie there"
    else:
        return None
    return Diagnostic(code, f"{show(text)} {reason}", node.span, None, node.notes)
