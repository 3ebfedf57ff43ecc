"""A task typed as options in, the text of a workflow out, and the way back to the options.

The text is what ``hcrc task --as-workflow`` prints, and what is compiled. A place in it leads back
to the word of the command line that stands there.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from .defaults import WORKFLOW, resolve_reference, task_schema
from .diagnostics import Diagnostic, Source, Span
from .flow import write_flow
from .nodes import to_plain
from .parse import parse
from .template import is_encodable
from .violation import PLACEHOLDER, is_placeholder

Json = Any
INDENT: Final = "  "
FOLDER: Final = "./"


class Given(NamedTuple):
    """An option as it is typed, with its words: ``--kfolds 3``."""

    option: str
    words: Sequence[str]


class Piece(NamedTuple):
    """A stretch of a line of the text, from column ``start`` to before ``end``, and its word.

    ``exact`` says that the word stands there as it is typed, after ``shift`` other characters.
    """

    line: int
    start: int
    end: int
    source: Source
    exact: bool
    shift: int


class TypedTask(NamedTuple):
    """The text of a workflow of one task; ``command`` is the command line that types it.

    ``name`` is what the text is called where no option is meant.
    """

    name: str
    command: str
    text: str
    pieces: Sequence[Piece]

    def translate(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        """Diagnostics of the text, at the places of what was typed."""
        return [
            item._replace(
                span=self._typed(item.span),
                notes=tuple((words, self._typed(span)) for words, span in item.notes),
            )
            for item in diagnostics
        ]

    def _typed(self, span: Span | None) -> Span | None:
        """The place on the command line that a place in the text stands for."""
        if span is None or span.file != self.name:
            return span
        near = [piece for piece in self.pieces if piece.line == span.line]
        at = [piece for piece in near if piece.start <= span.column < piece.end]
        if not near:
            return whole(Source(self.name, self.command))
        piece = (at or near)[0]
        if not at or not piece.exact:
            return whole(piece.source)
        end = span.end_column if span.end_line == span.line else piece.end
        start, length = piece.start + piece.shift, len(piece.source.text)
        first = max(span.column - start, 0) + 1
        return Span(piece.source, 1, first, 1, max(min(end - start, length), first) + 1)


def type_task(
    kind: str,
    keys: Mapping[str, Given],
    include: Sequence[str] = (),
    settings: Sequence[tuple[str, str]] = (),
) -> tuple[TypedTask, list[Diagnostic]]:
    """The text for a task, its keys as they are typed, and what is wrong with single words.

    ``settings`` are names, each with a mapping; ``include`` are files of definitions.
    """
    command = command_line(kind, keys, include, settings)
    writer = Writer([f"# {command}", "hcrc: 1", f"name: {kind}"])
    if include:
        writer.add("", "include", Given("--include", include), LISTED)
    writer.lines += ["tasks:", f"{INDENT}{kind}:", f"{INDENT * 2}task: {kind}"]
    schema = task_schema(kind)["properties"]
    for key, given in keys.items():
        writer.add(INDENT * 2, key, given, form_of(schema[key]))
    writer.lines += [f"{INDENT * 2}settings:"] * bool(settings)
    for name, text in settings:
        writer.add(INDENT * 3, name, Given(f"--setting {name}", [text]), MAPPED)
    text = "".join(f"{line}\n" for line in writer.lines)
    return TypedTask(f"hcrc task {kind}", command, text, writer.pieces), writer.diagnostics


def command_line(
    kind: str,
    keys: Mapping[str, Given],
    include: Sequence[str],
    settings: Sequence[tuple[str, str]],
) -> str:
    """The command line that says no more than the text does, on one line."""
    words = ["hcrc", "task", kind]
    for given in keys.values():
        words += [given.option, *given.words]
    words += ["--include", *include] if include else []
    for name, text in settings:
        words += ["--setting", name, text]
    return shlex.join(word if word.isprintable() else ascii(word) for word in words)


class Form(NamedTuple):
    """What the words of a key are: names of types, and whether a word is text as it stands.

    A ``named`` value is text, unless it is written as a list or a mapping: the path of a result,
    there being no other task that it could name.
    """

    kinds: frozenset[str]
    literal: bool
    named: bool = False


LISTED: Final = Form(frozenset({"array"}), literal=True)
MAPPED: Final = Form(frozenset({"object"}), literal=False)


def form_of(schema: Json) -> Form:
    """The form of a key's words; that a placeholder may stand there makes no difference."""
    kinds = frozenset(_kinds(schema, WORKFLOW))
    return Form(kinds, kinds == {"string"}, "x-refers-to" in schema)


def _kinds(schema: Json, file: str) -> Iterable[str]:
    schema, file = resolve_reference(schema, file)
    for option in schema.get("anyOf", ()):
        yield from () if is_placeholder(option) else _kinds(option, file)
    if "enum" in schema:
        yield "string"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    alone = schema.get("pattern") == PLACEHOLDER and len(kinds) > 1
    yield from (kind for kind in kinds if not (alone and kind == "string"))


class Value(NamedTuple):
    """A word of the command line: its value, its YAML, and where the word stands in that."""

    value: Json
    text: str
    source: Source
    exact: bool
    shift: int = 0


class Writer:
    """Gathers the lines of a text, where words stand in it, and what is wrong with them."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.pieces: list[Piece] = []
        self.diagnostics: list[Diagnostic] = []

    def add(self, indent: str, key: str, given: Given, form: Form) -> None:
        """Add the line of a key: one value, or a list of several where it takes lists."""
        values = [self._read(given.option, word, form) for word in given.words]
        several = len(values) > 1
        if several and "array" not in form.kinds:
            message = f"{given.option} takes one value, not {len(values)}"
            self.diagnostics.append(Diagnostic("bad-argument", message, whole(values[1].source)))
        single = {"array"} == form.kinds and not isinstance(values[0].value, list)
        line = f"{indent}{write_flow(key)}: {'[' * (several or single)}"
        for number, value in enumerate(values):
            line += ", " * bool(number)
            start = len(line) + 1
            line += value.text
            place = (len(self.lines) + 1, start, len(line) + 1)
            self.pieces.append(Piece(*place, value.source, value.exact, value.shift))
        self.lines.append(line + "]" * (several or single))

    def _read(self, option: str, word: str, form: Form) -> Value:
        """A word as it stands in the text."""
        source = Source(option, word)
        if not is_encodable(word):
            message = f"{option} is not UTF-8 text: {word!a}"
            self.diagnostics.append(Diagnostic("not-utf8", message, whole(source)))
            return Value(None, "null", source, exact=False)
        if form.literal or (form.named and not word.startswith(("{", "["))):
            folder = FOLDER if form.named and not _is_path(word) else ""
            text = write_flow(folder + word)
            inside = text[1:-1] if text != folder + word else text
            shift = len(folder) + (inside != text)
            return Value(word, text, source, inside == folder + word, shift)
        if not word.strip():
            message = f"{option} has no value"
            self.diagnostics.append(Diagnostic("no-value", message, whole(source)))
            return Value(None, "null", source, exact=False)
        document, problems = parse(word, option)
        value = None if document.root is None else to_plain(document.root)
        self.diagnostics += problems
        exact = not problems and _is_flow(word, value)
        return Value(value, word if exact else write_flow(value), source, exact)


def whole(source: Source) -> Span:
    """All of a source."""
    return Span(source, 1, 1, len(source.lines), max(len(source.lines[-1]), 1) + 1)


def _is_path(word: str) -> bool:
    """Whether a reference is a path as it stands."""
    return "/" in word or word.endswith(".json") or not word


def _is_flow(word: str, value: Json) -> bool:
    """Whether a word has its value too where it stands as a value, or in a list."""
    if not word or "\n" in word:
        return False
    for text, expected in ((f"key: {word}", {"key": value}), (f"[{word}]", [value])):
        document, problems = parse(text, "")
        if problems or document.root is None:
            return False
        if json.dumps(to_plain(document.root)) != json.dumps(expected):
            return False
    return True
