"""YAML text in, a Document out in which every node keeps its place.

Scalars follow the core schema of YAML 1.2: `no`, `12:30:00`, `2024-01-01` and `1_000` are strings,
`010` is ten and `1e3` a number. Duplicate keys, merge keys, tags, further documents and keys that
are not scalars are refused. libyaml reads where it is there; PyYAML's own parser reads the same,
and words the syntax errors.
"""

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import yaml

from .diagnostics import Diagnostic, Source, Span, show, suggest
from .files import Files
from .nodes import (
    Entry,
    Mapping,
    Node,
    Scalar,
    Sequence,
    Value,
    locate,
    locate_key,
    span_within,
    to_plain,
)
from .syntax import explain_syntax_error

__all__ = [
    "Document",
    "Entry",
    "Mapping",
    "Node",
    "Scalar",
    "Sequence",
    "Value",
    "locate",
    "locate_key",
    "parse",
    "read_document",
    "resolve",
    "span_within",
    "to_plain",
]

MAX_DEPTH: Final = 64
MAX_ALIASED: Final = 100_000
_MAX_DIGITS: Final = 1000
# Compiled late: sets of Unicode take long, and a text that can be printed needs none of them.
_FORBIDDEN: Final = (
    r"[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_UNUSABLE: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]"
_PROPERTIES: Final = re.compile(r"(?:[&!][^\s,\[\]{}]*\s*|#.*|\s+)+")
_BREAK: Final = re.compile(r"\r\n|\r|\n")
_CONSTANTS: Final = MappingProxyType(
    {
        **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
        **dict.fromkeys(("true", "True", "TRUE"), True),
        **dict.fromkeys(("false", "False", "FALSE"), False),
        **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
        **{sign + word: math.inf for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
        **{"-" + word: -math.inf for word in (".inf", ".Inf", ".INF")},
    }
)
_NUMERIC: Final = "+-.0123456789"
_NUMBERS: Final[tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...]] = (
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"), float),
    (re.compile(r"0o[0-7]+"), lambda text: int(text[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text[2:], 16)),
)


class Document(NamedTuple):
    """One parsed text; `root` is None when there is nothing in it, or it could not be read."""

    root: Node | None
    source: Source


def parse(text: str, name: str) -> tuple[Document, list[Diagnostic]]:
    """Parse YAML text that users know as `name`."""
    source = Source(name, text.removeprefix("\ufeff"))
    forbidden = _search(_FORBIDDEN, source.text)
    if forbidden:
        return Document(None, source), [_forbidden_character(source, forbidden.start())]
    return _compose(source, getattr(yaml, "CLoader", yaml.SafeLoader))


def read_document(path: Path, name: str, files: Files) -> tuple[Document, list[Diagnostic]]:
    """Read and parse a file that users know as `name`."""
    code, problem = "unreadable-file", ""
    data = b""
    try:
        data = files.read(path)
    except IsADirectoryError:
        problem = "it is a folder"
    except FileNotFoundError as error:
        code, problem = "missing-file", str(error.strerror)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or str(error)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        if not problem:
            code = "not-utf8"
            problem = f"it is not UTF-8 text: byte 0x{data[error.start]:02x} in line {line}"
    if not problem:
        return parse(text, name)
    message = f"cannot read {show(name, 1000)}: {problem}"
    return Document(None, Source(name, "")), [Diagnostic(code, message)]


def resolve(text: str) -> Value:
    """Return the value of a plain scalar in the core schema of YAML 1.2.

    Raises ValueError for an integer that is too long to be meant.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _NUMERIC:
        return text
    for pattern, convert in _NUMBERS:
        if pattern.fullmatch(text):
            if len(text) > _MAX_DIGITS:
                raise ValueError(f"a number of {len(text)} characters")
            return convert(text)
    return text


def _search(pattern: str, text: str) -> re.Match[str] | None:
    """Return the first character of a set of those that cannot be printed."""
    if (
        text.isprintable()
        or text.replace("\n", "").replace("\t", "").replace("\r", "").isprintable()
    ):
        return None
    return re.search(pattern, text)


class _RefusedError(ValueError):
    """What composing cannot go on after."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class _Anchored(NamedTuple):
    """A node that aliases can stand for, how many nodes it is, and how deep they nest."""

    node: Node
    size: int
    height: int


def _compose(source: Source, loader: Any) -> tuple[Document, list[Diagnostic]]:
    """Compose the one document of a source with a PyYAML loader."""
    composer = _Composer(source, yaml.parse(source.text, Loader=loader))
    try:
        return Document(composer.document(), source), composer.diagnostics
    except _RefusedError as refusal:
        found = refusal.diagnostic
    except (yaml.YAMLError, ValueError) as error:
        found = explain_syntax_error(source, error)
    return Document(None, source), [*composer.diagnostics, found]


class _Composer:
    """Builds nodes from the events of one source, and gathers what is wrong on the way."""

    def __init__(self, source: Source, events: Iterator[Any]) -> None:
        self.source = source
        self.events = events
        self.diagnostics: list[Diagnostic] = []
        self.anchors: dict[str, _Anchored | None] = {}
        self.count = 0
        self.aliased = 0
        self.depth = 0
        self.deepest = 0
        self.last = (1, 1)

    def document(self) -> Node | None:
        """Return the root of the only document."""
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise _RefusedError(
                        self.error(
                            event,
                            "second-document",
                            "a second document",
                            "one file holds one document: remove the ---",
                        )
                    )
                root = self.node(next(self.events))
        if root is None or (isinstance(root, Scalar) and not root.text and not root.quoted):
            span = Span(self.source, 1, 1, 1, 1)
            raise _RefusedError(Diagnostic("empty-file", "there is nothing in this text", span))
        return root

    def node(self, event: Any) -> Node:
        """Return the node that begins with an event."""
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if event.tag is not None:
            self.diagnostics.append(self.tag_error(event))
        if event.anchor is None:
            return self.content(event)
        self.anchors[event.anchor] = None
        count, deepest, self.deepest = self.count, self.deepest, self.depth
        node = self.content(event)
        self.anchors[event.anchor] = _Anchored(node, self.count - count, self.deepest - self.depth)
        self.deepest = max(deepest, self.deepest)
        return node

    def tag_error(self, event: Any) -> Diagnostic:
        """Return what to say about a tag, at the tag or the anchor before it."""
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        written = re.compile(r"![^\s,\[\]{}]*").search(self.source.lines[line - 1], column - 1)
        start, end = written.span() if written else (column - 1, column)
        tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
        help = "quote a value to make it a string" if tag == "!!str" else "leave it out"
        span = Span(self.source, line, start + 1, line, end + 1)
        text = f"the tag {show(tag)[1:-1]} is not part of the language"
        return Diagnostic("yaml-tag", text, span, help)

    def alias(self, event: Any) -> Node:
        """Return the node that an alias stands for; bounded, as aliases of aliases multiply."""
        if event.anchor not in self.anchors:
            message = f'no anchor "&{event.anchor}" stands before this alias'
            help = suggest(event.anchor, self.anchors) or f"write the value as &{event.anchor} …"
            raise _RefusedError(self.error(event, "unknown-alias", message, help))
        anchored = self.anchors[event.anchor]
        if anchored is None:
            message = f'"*{event.anchor}" stands inside of what it repeats'
            raise _RefusedError(self.error(event, "alias-cycle", message))
        self.count += anchored.size
        self.aliased += anchored.size
        self.deepest = max(self.deepest, self.depth + anchored.height)
        if self.aliased > MAX_ALIASED:
            message = f"aliases expand to more than {MAX_ALIASED} values"
            raise _RefusedError(self.error(event, "alias-bomb", message))
        if self.deepest > MAX_DEPTH:
            raise self.too_deep(event)
        span = self.span(event)
        self.last = (span.end_line, span.end_column)
        return anchored.node._replace(notes=((f"used as *{event.anchor}", span),))

    def content(self, event: Any) -> Node:
        """Return a node that is written here."""
        self.count += 1
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event)
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)
        if self.depth > MAX_DEPTH:
            raise self.too_deep(event)
        collect = self.sequence if isinstance(event, yaml.SequenceStartEvent) else self.mapping
        node = collect(event)
        self.depth -= 1
        return node

    def too_deep(self, event: Any) -> _RefusedError:
        """Return the refusal of a value that lies in too many others."""
        message = f"values are nested more than {MAX_DEPTH} deep"
        return _RefusedError(self.error(event, "too-deep", message))

    def scalar(self, event: Any) -> Scalar:
        """Return a scalar with the value that the core schema gives it."""
        text, span = event.value, self.span(event)
        if not text and not event.style:
            span = Span(
                self.source, *self.last, *self.last
            )  # libyaml and PyYAML place it otherwise
        self.last = (span.end_line, span.end_column)
        unusable = _search(_UNUSABLE, text)
        if unusable:
            message = f"no value can hold the character U+{ord(unusable.group()):04X}"
            self.diagnostics.append(Diagnostic("bad-character", message, span))
        if event.style:
            return Scalar(text, text, True, span)
        try:
            return Scalar(resolve(text), text, False, span)
        except ValueError as error:
            self.diagnostics.append(
                Diagnostic("long-number", str(error), span, "quote it to make it a string")
            )
            return Scalar(text, text, False, span)

    def sequence(self, event: Any) -> Sequence:
        """Return a sequence, up to its end event."""
        items = []
        inner = next(self.events)
        while not isinstance(inner, yaml.SequenceEndEvent):
            items.append(self.node(inner))
            inner = next(self.events)
        return Sequence(tuple(items), self.collection_span(event, inner))

    def mapping(self, event: Any) -> Mapping:
        """Return a mapping, up to its end event."""
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        inner = next(self.events)
        while not isinstance(inner, yaml.MappingEndEvent):
            key = self.node(inner)
            value = self.node(next(self.events))
            if isinstance(key, Scalar) and key.text == "<<" and not key.quoted:
                self.diagnostics.append(self.merge_error(inner))
                # What the key stands for elsewhere is taken, so that nothing seems to be missing.
                merged |= value.entries if isinstance(value, Mapping) else {}
            else:
                self.enter(entries, inner, key, value)
            inner = next(self.events)
        span = self.collection_span(event, inner)
        return Mapping(MappingProxyType({**merged, **entries}), span, flow=bool(event.flow_style))

    def enter(self, entries: dict[str, Entry], event: Any, key: Node, value: Node) -> None:
        """Add an entry to a mapping, or what is wrong with its key to the diagnostics."""
        if not isinstance(key, Scalar):
            self.diagnostics.append(
                self.error(event, "complex-key", "a list or mapping cannot be a key")
            )
            return
        first = entries.setdefault(key.text, Entry(key, value))
        if first.key is not key:
            message = f"key {show(key.text)} is written twice"
            notes = (("first here", first.key.span),)
            self.diagnostics.append(
                Diagnostic("duplicate-key", message, self.span(event), None, notes)
            )

    def merge_error(self, event: Any) -> Diagnostic:
        """Return what to say about YAML's own way to merge."""
        advice = "write the keys out; definitions can share theirs with include and use"
        message = "the merge key << is not part of the language"
        return self.error(event, "merge-key", message, advice)

    def collection_span(self, event: Any, end: Any) -> Span:
        """Return the place of a collection: to its bracket, or to the end of its last node."""
        if event.flow_style:
            self.last = (end.end_mark.line + 1, end.end_mark.column + 1)
        span = self.span(event)
        # libyaml places the end of an empty item that a file ends with before its beginning.
        end_line, end_column = max(self.last, (span.line, span.column))
        return span._replace(end_line=end_line, end_column=end_column)

    def span(self, event: Any) -> Span:
        """Return the place of an event without its anchor and tag."""
        start, end = event.start_mark, event.end_mark
        line, column = start.line + 1, start.column + 1
        end_line, end_column = end.line + 1, end.column + 1
        if isinstance(event, yaml.NodeEvent) and (event.anchor or getattr(event, "tag", None)):
            line, column = _skip_properties(self.source, line, column, (end_line, end_column))
        if getattr(event, "style", None) in ("|", ">"):
            end_line, end_column = _skip_back(self.source, line, end_line, end_column)
        return Span(self.source, line, column, end_line, end_column)

    def error(self, event: Any, code: str, message: str, advice: str | None = None) -> Diagnostic:
        """Return a diagnostic at an event."""
        return Diagnostic(code, message, self.span(event), advice)


def _skip_properties(
    source: Source, line: int, column: int, end: tuple[int, int]
) -> tuple[int, int]:
    """Return where a node's content starts, behind its anchor and tag."""
    while (line, column) < end:
        text = source.lines[line - 1]
        skipped = _PROPERTIES.match(text, column - 1)
        column = skipped.end() + 1 if skipped else column
        if column <= len(text):
            break
        line, column = line + 1, 1
    return min((line, column), end)


def _skip_back(source: Source, first: int, line: int, column: int) -> tuple[int, int]:
    """Return where the text of a block scalar ends, before empty lines."""
    while line > first and not source.lines[line - 1][: column - 1].strip():
        line, column = line - 1, len(source.lines[line - 2]) + 1
    return line, column


def _forbidden_character(source: Source, offset: int) -> Diagnostic:
    before = _BREAK.split(source.text[:offset])
    span = Span(source, len(before), len(before[-1]) + 1, len(before), len(before[-1]) + 2)
    name = f"U+{ord(source.text[offset]):04X}"
    return Diagnostic("bad-character", f"the character {name} cannot stand in a YAML text", span)
