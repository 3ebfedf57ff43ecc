"""A draft in, the text of its workflow out, with the old file's comments where they belong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from ..parse import resolve
from .draft import Draft, Entry
from .modules import Comment

WIDTH: Final = 100
INDENT: Final = "  "
PLAIN: Final = re.compile(r"[A-Za-z0-9_./~](?:[A-Za-z0-9_./@+~ -]|:(?=\S))*(?<! )")
NUMBER_LIKE: Final = re.compile(r"[-+.0-9][-+.,:_0-9eE]*|0[xo].*")
WORDS: Final = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null|~")


def write_workflow(draft: Draft, name: str, includes: Iterable[str]) -> str:
    """The text of the workflow."""
    comments = _attach(draft)
    lines = [f"# {text}" for text in comments.pop(None, [])]
    lines += ["hcrc: 1", f"name: {scalar(name)}"]
    lines += _parameters(draft)
    found = list(includes)
    lines += [f"include: {flow(found)}"] if found else []
    lines.append("tasks:")
    for task in draft.tasks:
        lines.append(f"{INDENT}{task.name}:")
        lines += _entries(task.entries, comments, 2)
    if draft.settings:
        lines.append("settings:")
    for setting, entries in draft.settings.items():
        quiet = not any(id(entry) in comments for entry in entries)
        whole = f"{INDENT}{scalar(setting)}: {flow({e.key: e.value for e in entries})}"
        if quiet and len(whole) <= WIDTH:
            lines.append(whole)
        else:
            lines += [f"{INDENT}{scalar(setting)}:", *_entries(entries, comments, 2)]
    return "".join(f"{line}\n" for line in lines)


def scalar(value: Any) -> str:
    """A value as it stands in YAML, in flow and in block."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, default=str)
    safe = PLAIN.fullmatch(value) and resolve(value) == value and "//" not in value[:1]
    if not safe or NUMBER_LIKE.fullmatch(value) or WORDS.fullmatch(value):
        return _quote(value)
    return value


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{scalar(key)}: {flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    return scalar(value)


def block(key: str, value: Any, depth: int) -> list[str]:
    """A key with its value: on one line if that is short, else on several."""
    head = f"{INDENT * depth}{scalar(key)}:"
    if len(head) + len(flow(value)) < WIDTH or not value or not isinstance(value, dict | list):
        return [f"{head} {flow(value)}"]
    if isinstance(value, dict):
        return [head, *(line for part in value.items() for line in block(*part, depth + 1))]
    return [head, *(line for item in value for line in _item(item, depth + 1))]


def _item(value: Any, depth: int) -> list[str]:
    start = f"{INDENT * depth}- "
    if len(start) + len(flow(value)) <= WIDTH or not isinstance(value, dict) or not value:
        return [f"{start}{flow(value)}"]
    lines = [line for part in value.items() for line in block(*part, depth + 1)]
    return [start + lines[0].lstrip(), *lines[1:]]


def _quote(value: str) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return "".join([c if c.isprintable() else json.dumps(c)[1:-1] for c in text])


def _parameters(draft: Draft) -> list[str]:
    used = [each for each in draft.symbols.parameters.values() if each.used]
    width = max((len(each.name) for each in used), default=0) + 1
    lines = [f"{INDENT}{each.name + ':':{width}} {flow(each.declaration())}" for each in used]
    return ["parameters:", *lines] if used else []


def _entries(entries: list[Entry], comments: dict[int | None, list[str]], depth: int) -> list[str]:
    lines: list[str] = []
    for entry in entries:
        lines += [f"{INDENT * depth}# {text}" for text in comments.get(id(entry), [])]
        lines += block(entry.key, entry.value, depth)
    return lines


def _attach(draft: Draft) -> dict[int | None, list[str]]:
    """The comments by the entry that they stand before; those of the whole file under None."""
    entries = [entry for task in draft.tasks for entry in task.entries]
    entries += [entry for each in draft.settings.values() for entry in each]
    placed = [(entry.span, id(entry)) for entry in entries if entry.span is not None]
    found: dict[int | None, list[str]] = {}
    for comment in draft.expander.comments:
        lines = [(span.line, key) for span, key in placed if span.file == comment.span.file]
        after = [each for each in lines if each[0] >= comment.span.line]
        before = [each for each in lines if each[0] < comment.span.line]
        place = min(after, key=_line, default=max(before, key=_line, default=(0, None)))
        key = None if _is_head(comment) else place[1]
        found.setdefault(key, []).append(comment.text)
    return found


def _line(place: tuple[int, int | None]) -> int:
    return place[0]


def _is_head(comment: Comment) -> bool:
    """Whether only comments stand before it in its file."""
    lines = comment.span.source.lines[: comment.span.line]
    return all(line.lstrip().startswith("#") or not line.strip() for line in lines)
