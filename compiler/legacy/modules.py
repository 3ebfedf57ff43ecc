"""What the older tool reads: modules with their words, each with its place and its placeholders."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from ..diagnostics import Diagnostic, Span
from .data import Data, Items, Leaf, plain
from .symbols import Symbols
from .text import LegacyError, Text, Word, has_marks, split, stop

MAIN: Final = "main"
FLAG: Final = "flag"
CATEGORIES: Final = ("setting", "dataset", "model", "analysis")
SCHEME: Final = ":##"


class Arg(str):
    """A word as the older tool's parsers see it, with what it was written as.

    ``marked`` is the text with its placeholders, of which this is ``part`` of ``parts``;
    ``data`` is what it holds, where it was not written as a text.
    """

    span: Span
    marked: Text
    part: int
    parts: int
    data: Data | None

    @property
    def symbolic(self) -> bool:
        """Whether placeholders are in it."""
        return has_marks(self.marked.chars)


class Module(NamedTuple):
    """A module with its words; ``category`` is one of the sections, or ``main``."""

    category: str
    name: Arg
    words: tuple[Arg, ...]


class Comment(NamedTuple):
    """A comment of a file: its text, and whether it stands on a line of its own."""

    text: str
    span: Span
    alone: bool


class Expansion(NamedTuple):
    """What a command line comes to: the task, the modules in their order, and what was odd."""

    main: Module | None
    modules: tuple[Module, ...]
    comments: tuple[Comment, ...]
    diagnostics: tuple[Diagnostic, ...]
    name: str


def make_arg(value: str, marked: Text, *, part: int = 0, parts: int = 1) -> Arg:
    """A word that is written as a text."""
    arg = Arg(value)
    arg.span, arg.marked, arg.part, arg.parts = marked.span(), marked, part, parts
    arg.data = None
    return arg


def data_arg(data: Data, source: Text) -> Arg:
    """A word that is written as a list, a mapping or a number: JSON to the older tool."""
    try:
        value = f"json{SCHEME}{json.dumps(plain(data))}"
    except TypeError:
        message = "the older tool cannot pass on a date"
        raise stop("legacy-options", message, data.span, "quote it") from None
    arg = make_arg(value, source)
    arg.span, arg.data = data.span, data
    return arg


def read_module(
    category: str, data: Data, symbols: Symbols
) -> tuple[Module, list[Diagnostic], list[Span]]:
    """A module of a section, what in it was ignored, and where placeholders were written out."""
    name = data_field(data, "module")
    options = data_field(data, "option")
    if not isinstance(name, Leaf) or not isinstance(name.value, str) or name.text is None:
        message = f"a {category} has no module:" if name is None else "a module is a text"
        raise stop("legacy-workflow", message, name.span if name else data.span)
    if isinstance(options, Leaf) and options.value is None:
        options = Items((), options.span)
    if options is not None and not isinstance(options, Items):
        raise stop("legacy-workflow", "option: takes a list of words", options.span)
    args: list[Arg] = []
    rigid: list[Span] = []
    for item in options.items if options else ():
        found, moved = _words(item, symbols)
        args += found
        rigid += moved
    return Module(category, make_arg(name.value, name.text), tuple(args)), _odd(data), rigid


def data_field(data: Data, key: str) -> Data | None:
    """The value of a key of what has to be a mapping."""
    if isinstance(data, Leaf | Items):
        raise stop("legacy-workflow", "expected a mapping with module: and option:", data.span)
    return data.get(key)


def _odd(data: Data) -> list[Diagnostic]:
    fields = {} if isinstance(data, Leaf | Items) else data.fields
    return [
        Diagnostic("legacy-ignored", f'the older tool ignored the key "{key}"', field.key)
        for key, field in fields.items()
        if key not in ("module", "option")
    ]


def _words(item: Data, symbols: Symbols) -> tuple[list[Arg], list[Span]]:
    """The words of an option, and where placeholders were written out."""
    if isinstance(item, Leaf) and item.value is None:
        return [_empty(item)], []
    if not isinstance(item, Leaf) or not isinstance(item.value, str) or item.text is None:
        return [data_arg(item, _nothing(item))], []
    try:
        return _align(item.text, split(item.text), symbols), []
    except (LegacyError, _UnevenError) as error:
        filled = Text(item.value, (item.text.at[0],) * (len(item.value) + 1), item.text.source)
        if not has_marks(item.text.chars) and isinstance(error, LegacyError):
            raise
    return [make_arg(word.text.chars, word.text) for word in split(filled)], [item.span]


class _UnevenError(ValueError):
    """Placeholders change how a text splits into words."""


def _align(text: Text, words: list[Word], symbols: Symbols) -> list[Arg]:
    """The words of a text, of which a placeholder may stand for several."""
    args: list[Arg] = []
    for word in words:
        raw = symbols.filled(text.chars[word.start : word.end])
        values = [each.text.chars for each in split(_located(raw, text, word.start))]
        if not has_marks(word.text.chars):
            values = [word.text.chars]
        for part, value in enumerate(values):
            args.append(make_arg(value, word.text, part=part, parts=len(values)))
    whole = _located(symbols.filled(text.chars), text, 0)
    if [each.text.chars for each in split(whole)] != args:
        raise _UnevenError
    return args


def _located(value: str, text: Text, start: int) -> Text:
    return Text(value, (text.at[start],) * (len(value) + 1), text.source)


def _empty(item: Leaf) -> Arg:
    arg = make_arg("", _nothing(item))
    arg.span = item.span
    return arg


def _nothing(item: Any) -> Text:
    return Text("", (0,), item.span.source)
