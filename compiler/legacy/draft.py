"""The workflow on its way to a text: tasks and settings with the places that they come from.

Texts are templates of hcrc: what came through a placeholder is one again, braces are doubled.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..diagnostics import Diagnostic, Span
from ..ranges import RangeError, format_range, parse_range
from .data import Data, Leaf, Table
from .expand import Expander
from .modules import Arg
from .symbols import KINDS, Symbols, escape_braces
from .text import has_marks, stop

Field = tuple[str, str]


class Entry(NamedTuple):
    """A key of a task or a setting, and where it comes from."""

    key: str
    value: Any
    span: Span | None


class Task(NamedTuple):
    """A task of the workflow."""

    name: str
    entries: list[Entry]

    def add(self, key: str, value: Any, span: Span | None = None) -> None:
        """Add a key, unless there is nothing to say."""
        if value is not None:
            self.entries.append(Entry(key, value, span))


class Draft:
    """All of a workflow, with the fields of the old one that it has not, and those it adds."""

    def __init__(self, expander: Expander) -> None:
        self.expander = expander
        self.symbols: Symbols = expander.symbols
        self.tasks: list[Task] = []
        self.settings: dict[str, list[Entry]] = {}
        self.diagnostics: list[Diagnostic] = []
        self.unmatched: set[Field] = set()
        self.skipped: set[Field] = set()
        self.added: set[Field] = set()

    def task(self, kind: str) -> Task:
        """A new task of a kind, called like it."""
        count = sum(task.entries[0].value == kind for task in self.tasks)
        task = Task(f"{kind}_{count + 1}" if count else kind, [Entry("task", kind, None)])
        self.tasks.append(task)
        return task

    def none(self, field: Field, span: Span, message: str, help: str | None = None) -> None:
        """List something that has no counterpart."""
        self.unmatched.add(field)
        self.diagnostics.append(Diagnostic("no-counterpart", message, span, help))

    def skip(self, field: Field, span: Span, message: str) -> None:
        """Say that the older tool took no notice of a field."""
        self.skipped.add(field)
        self.ignored(message, span)

    def ignored(self, message: str, span: Span, help: str | None = None) -> None:
        """Say that the older tool did not take something as it looks."""
        self.diagnostics.append(Diagnostic("legacy-ignored", message, span, help))

    def text(self, arg: Arg) -> str:
        """A word as a template."""
        if not arg.symbolic:
            return escape_braces(str(arg))
        if arg.parts > 1:
            self.write_out(arg.marked.chars, arg.span)
            return escape_braces(str(arg))
        return self.template(arg.marked.chars, arg.span)

    def template(self, marked: str, span: Span) -> str:
        """A text with marks as a template, or written out where a parameter does not fit."""
        for parameter, kind in self.symbols.uses(marked):
            if not parameter.take(kind):
                self.write_out(marked, span)
                return escape_braces(self.symbols.filled(marked))
        return self.symbols.template(marked)

    def whole(self, arg: Arg) -> Any:
        """A word that is a whole number."""
        return self.typed(arg, int(arg), "integer")

    def number(self, arg: Arg) -> Any:
        """A word that is a number."""
        return self.typed(arg, int(arg) if arg.isdecimal() else float(arg), "number")

    def typed(self, arg: Arg, value: Any, kind: str) -> Any:
        """A value, or the placeholder that it came through."""
        if not arg.symbolic:
            return value
        parameter = self.symbols.lone(arg.marked.chars) if arg.parts == 1 else None
        if parameter is not None and parameter.take(kind):
            return f"{{{parameter.name}}}"
        self.write_out(arg.marked.chars, arg.span)
        return value

    def data(self, data: Data) -> Any:
        """Data as plain values, texts as templates."""
        if isinstance(data, Table):
            return {key: self.data(field.value) for key, field in data.fields.items()}
        if not isinstance(data, Leaf):
            return [self.data(item) for item in data.items]
        value = data.value
        if data.marks is None:
            plain = value is None or isinstance(value, bool | int | float)
            return value if plain else escape_braces(str(value))
        if isinstance(value, str):
            return self.template(data.marks.chars, data.span)
        parameter = self.symbols.lone(data.marks.chars)
        if parameter is not None and parameter.take(KINDS.get(type(value), "")):
            return f"{{{parameter.name}}}"
        self.write_out(data.marks.chars, data.span)
        return value

    def write_out(self, marked: str, span: Span) -> None:
        """Say that a value is written out; raises LegacyError where there is none."""
        names = self.symbols.names(marked)
        missing = [name for name in names if not self.symbols.parameters[name].given]
        if missing:
            message = f"{{{missing[0]}}} stands for more than a text here, and has no value"
            help = f'give it one: template "{{{missing[0]}: …}}" FILE'
            raise stop("legacy-template", message, span, help)
        self.expander.write_out([span])

    def range(self, words: tuple[Arg, ...], name: str, end: int | None = None) -> str | None:
        """Words such as ``0-3 5`` as a range; None where the older tool took nothing of it."""
        kept, clean = intervals(words, end)
        if not clean:
            text = format_range(kept)
            took = f"took {text} of it" if kept else "took nothing of it"
            self.ignored(f"{name} {' '.join(words)}: the older tool {took}", words[0].span)
            return text or None
        first = words[0]
        parameter = self.symbols.lone(first.marked.chars)
        same = all(word.marked is first.marked for word in words) and first.parts == len(words)
        if parameter is not None and same and parameter.take("range"):
            return f"{{{parameter.name}}}"
        if any(has_marks(word.marked.chars) for word in words):
            self.write_out("".join(word.marked.chars for word in words), first.span)
        return " ".join(map(str, words))


def intervals(words: tuple[Arg, ...], end: int | None = None) -> tuple[list[int], bool]:
    """The numbers that the older tool took of words such as ``0-3 5``, and whether of all."""
    kept: set[int] = set()
    for word in words:
        parts = word.split("-")
        if 1 <= len(parts) <= 2 and all(part.isdecimal() and len(part) < 10 for part in parts):
            low, high = int(parts[0]), int(parts[-1])
            kept.update(range(low, min(high, low + 1_000_000, end or high + 1) + 1))
    kept = {value for value in kept if end is None or value < end}
    try:
        meant = set(parse_range(" ".join(words)))
    except RangeError:
        return sorted(kept), False
    return sorted(kept), meant == kept
