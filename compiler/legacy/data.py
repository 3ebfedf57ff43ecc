"""YAML 1.1, JSON and CSV texts in, data out in which every value keeps its place and its marks.

A text is read twice, once with marks and once filled: where both have the same form, a value knows
its placeholders; elsewhere a placeholder stood for more than a text, and its value is taken.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import yaml

from ..diagnostics import Diagnostic, Source, Span
from ..parse import MAX_ALIASED, MAX_DEPTH
from ..syntax import explain_syntax_error
from .text import LegacyError, Text, has_marks, stop

STR: Final = "tag:yaml.org,2002:str"
MERGE: Final = "tag:yaml.org,2002:merge"
COLLECTIONS: Final = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
Fill = Callable[[str], str]


class Leaf(NamedTuple):
    """A scalar: its value in YAML 1.1, and its text, with marks where it came through a template.

    ``text`` is None for a value that is written out, and for one that is no text and has no marks.
    """

    value: Any
    text: Text | None
    span: Span

    @property
    def marks(self) -> Text | None:
        """The text, if placeholders are in it."""
        return self.text if self.text is not None and has_marks(self.text.chars) else None


class Items(NamedTuple):
    """A list."""

    items: tuple[Data, ...]
    span: Span


class Field(NamedTuple):
    """A value of a mapping, and where its key is written."""

    key: Span
    value: Data


class Table(NamedTuple):
    """A mapping; keys are texts."""

    fields: Mapping[str, Field]
    span: Span

    def get(self, key: str) -> Data | None:
        """The value of a key; None without it."""
        field = self.fields.get(key)
        return field.value if field else None


Data = Leaf | Items | Table


def plain(data: Data) -> Any:
    """Data as dicts, lists and values."""
    if isinstance(data, Leaf):
        return data.value
    if isinstance(data, Items):
        return [plain(item) for item in data.items]
    return {key: plain(field.value) for key, field in data.fields.items()}


def literal(value: Any, span: Span) -> Data:
    """Plain values as data that stands at one place."""
    if isinstance(value, dict):
        fields = {key_text(key): Field(span, literal(item, span)) for key, item in value.items()}
        return Table(fields, span)
    if isinstance(value, list | tuple):
        return Items(tuple(literal(item, span) for item in value), span)
    return Leaf(value, None, span)


def key_text(key: Any) -> str:
    """A key as JSON has it, through which the older tool passed mappings on."""
    return key if isinstance(key, str) else json.dumps(key, default=str)


class Read(NamedTuple):
    """Data, the warnings about it, and where placeholders were written out."""

    data: Data
    diagnostics: list[Diagnostic]
    rigid: list[Span]


def read_yaml(marked: Text, filled: Text, fill: Fill, *, strict: bool = False) -> Read:
    """The data of a YAML 1.1 text, of JSON if ``strict``; raises LegacyError.

    ``fill`` replaces the marks of a text by what they stand for.
    """
    builder = _Builder(marked, filled, fill, strict)
    return Read(builder.root(), builder.diagnostics, builder.rigid)


def read_json(text: str, span: Span) -> Data:
    """The data of a JSON text that stands at one place; raises LegacyError."""
    try:
        return literal(json.loads(text), span)
    except (ValueError, RecursionError) as error:
        raise stop("syntax", f"this is not JSON: {error}", span) from None


def read_csv(text: str, span: Span) -> Data:
    """The columns of a CSV text with a line of names, as lists; raises LegacyError."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error as error:
        raise stop("syntax", f"this is not CSV: {error}", span) from None
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise stop("syntax", "this is not CSV: its rows are not equally long", span)
    columns = [[_number(row[at]) for row in rows[1:]] for at in range(len(rows[0]))]
    return literal(dict(zip(rows[0], columns, strict=True)), span)


def select(data: Data, keys: str, span: Span) -> Data:
    """What ``@@a.b`` leads to; raises LegacyError."""
    for key in filter(None, keys.split(".")):
        found: Data | None = None
        if isinstance(data, Table):
            found = data.get(key)
        elif isinstance(data, Items) and key.isdecimal() and int(key) < len(data.items):
            found = data.items[int(key)]
        if found is None:
            raise stop("unknown-list", f'there is no "{key}" in what @@{keys} selects from', span)
        data = found
    return data


class _Builder:
    """Builds data from the two trees of a text; bounded, as aliases of aliases multiply."""

    def __init__(self, marked: Text, filled: Text, fill: Fill, strict: bool) -> None:
        self.marked = marked
        self.filled = filled
        self.fill = fill
        self.strict = strict
        self.diagnostics: list[Diagnostic] = []
        self.rigid: list[Span] = []
        self.count = 0
        self.inside: list[int] = []
        self.loader: Any = None

    def root(self) -> Data:
        """The data of the whole text; an empty one is null."""
        one, two = self.compose(self.filled), None
        try:
            two = self.compose(self.marked)
        except LegacyError:
            self.rigid.append(self.filled.span(0, 1))
        if one is None:
            return Leaf(None, None, self.filled.span(0, 0))
        return self.same(two, one) if two is not None else self.node(one, one, self.filled)

    def compose(self, text: Text) -> Any:
        """The tree of a text; None for an empty one. Raises LegacyError."""
        depth = 0
        try:
            for event in yaml.parse(text.chars, Loader=yaml.SafeLoader):
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                if depth > MAX_DEPTH:
                    message = f"values are nested more than {MAX_DEPTH} deep"
                    raise stop("too-deep", message, self.span(text, event))
            self.loader = yaml.SafeLoader(text.chars)
            return self.loader.get_single_node()
        except yaml.YAMLError as error:
            raise LegacyError(_syntax(text, error)) from None

    def same(self, two: Any, one: Any) -> Data:
        """The data of a marked and a filled node; where they differ, of the filled one alone."""
        if self.alike(two, one):
            return self.node(two, one, self.marked)
        self.rigid.append(self.span(self.filled, one))
        return self.node(one, one, self.filled)

    def alike(self, two: Any, one: Any) -> bool:
        """Whether two nodes have the same form, marks filled."""
        if type(two) is not type(one):
            return False
        if isinstance(one, yaml.ScalarNode):
            return bool(self.fill(two.value) == one.value)
        if len(two.value) != len(one.value):
            return False
        if isinstance(one, yaml.MappingNode):
            pairs = zip(two.value, one.value, strict=True)
            return all(self.same_key(left[0], right[0]) for left, right in pairs)
        return True

    def same_key(self, two: Any, one: Any) -> bool:
        """Whether two keys are alike; what is no scalar is refused later."""
        return not isinstance(one, yaml.ScalarNode) or self.alike(two, one)

    def node(self, two: Any, one: Any, text: Text) -> Data:
        """The data of two nodes of the same form; places are those of ``text``."""
        self.count += 1
        if self.count > MAX_ALIASED:
            message = f"aliases expand to more than {MAX_ALIASED} values"
            raise stop("alias-bomb", message, self.span(text, two))
        if isinstance(one, yaml.ScalarNode):
            return self.scalar(two, one, text)
        if id(one) in self.inside:
            message = "an alias stands inside of what it repeats"
            raise stop("alias-cycle", message, self.span(text, two))
        if one.tag not in COLLECTIONS:
            message = "tags such as !!set are not imported"
            raise stop("yaml-tag", message, self.span(text, two))
        self.inside.append(id(one))
        data = self.collection(two, one, text)
        self.inside.pop()
        return data

    def collection(self, two: Any, one: Any, text: Text) -> Data:
        """The data of a list or a mapping."""
        span = self.span(text, two)
        if isinstance(one, yaml.MappingNode):
            return self.mapping(two, one, text)
        pairs = zip(two.value, one.value, strict=True)
        return Items(tuple(self.child(left, right, text) for left, right in pairs), span)

    def child(self, two: Any, one: Any, text: Text) -> Data:
        """The data below a node: two trees go on as two."""
        return self.node(one, one, text) if text is self.filled else self.same(two, one)

    def mapping(self, two: Any, one: Any, text: Text) -> Table:
        """The data of a mapping; the last of equal keys wins, as it did."""
        fields: dict[str, Field] = {}
        merged: dict[str, Field] = {}
        for (mark, value), (key, content) in zip(two.value, one.value, strict=True):
            span = self.span(text, mark)
            child = self.child(value, content, text)
            if key.tag == MERGE:
                if merged or not isinstance(child, Table):
                    raise stop("merge-key", "<< takes one mapping here", span)
                merged.update(child.fields)
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise stop("complex-key", "a list or mapping cannot be a key", span)
            name = key_text(self.construct(key, span))
            if name in fields:
                message = f'key "{name}" is written twice: the older tool took the last'
                self.diagnostics.append(Diagnostic("legacy-ignored", message, fields[name].key))
                del fields[name]
            fields[name] = Field(span, child)
        return Table({**merged, **fields}, self.span(text, two))

    def scalar(self, two: Any, one: Any, text: Text) -> Leaf:
        """The data of a scalar."""
        span = self.span(text, two)
        value = self.construct(one, span)
        start, end = two.start_mark.index, two.end_mark.index
        written = text.inner(two.value, start, end)
        if text is self.filled:
            return Leaf(value, written if isinstance(value, str) else None, span)
        if not isinstance(value, str) and not has_marks(two.value):
            return Leaf(value, None, span)
        return Leaf(value, written, span)

    def construct(self, node: Any, span: Span) -> Any:
        """The value of a scalar in YAML 1.1, in JSON if that is what the text is."""
        try:
            if self.strict and not node.style:
                return json.loads(node.value)
            value = self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            problem = str(getattr(error, "problem", None) or error)
            raise stop("syntax", f"this value cannot be read: {problem}", span) from None
        if isinstance(value, bytes):
            raise stop("yaml-tag", "tags such as !!binary are not imported", span)
        return value

    def span(self, text: Text, node: Any) -> Span:
        """Where a node is written, to the end of its first line."""
        start, end = node.start_mark.index, node.end_mark.index
        return text.span(start, end)


def _syntax(text: Text, error: yaml.YAMLError) -> Diagnostic:
    """What is wrong with a text, at its place in the source that it came from."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = getattr(error, "position", None)
    at = mark.index if mark else position if isinstance(position, int) else 0
    span = text.span(at, at + 1)
    if isinstance(error, yaml.reader.ReaderError):
        message = f"YAML cannot hold the character U+{ord(text.chars[at]):04X}"
        return Diagnostic("bad-character", message, span)
    found = explain_syntax_error(Source(span.file, text.chars), error)
    return found._replace(span=span, notes=())


def _number(text: str) -> Any:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text
