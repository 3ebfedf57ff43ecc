"""The older tool's rules: workflow files and command lines in, modules with their words out.

Nothing is executed: what names a Python object is refused, what a shell would compute too.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from ..diagnostics import Diagnostic, Source, Span, show_path, suggest
from ..files import Files
from .data import Data, Items, Leaf, Table, literal, plain, read_csv, read_json, read_yaml, select
from .modules import (
    CATEGORIES,
    FLAG,
    MAIN,
    SCHEME,
    Arg,
    Comment,
    Expansion,
    Module,
    make_arg,
    read_module,
)
from .symbols import Symbol, Symbols, format_value
from .text import LegacyError, Text, fill, is_mark, split, stop

FROM: Final = "from"
TEMPLATE: Final = "template"
SELECT: Final = "@@"
RESERVED: Final = tuple(f"-{word}" for word in (*CATEGORIES, FROM, TEMPLATE, FLAG))
MAX_BYTES: Final = 1024 * 1024
SUFFIXES: Final = (".yml", ".yaml", ".json", ".csv")
_HEADING: Final = re.compile(r"\s*#\s*template\s*:\s*")
_HELP: Final = re.compile(r"\s*#\s*-\s*(\w[^:]*?)\s*:\s*(.*?)\s*")
_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#+\s?(.*)$")


class Template(NamedTuple):
    """The values for files: data by key; ``values`` collects what was asked for, by key.

    ``text`` is the mapping as the older tool was given it.
    """

    entries: dict[str, Data]
    values: dict[str, Any]
    text: str


class Group(NamedTuple):
    """Files that were expanded, and the template's values; for whoever expands them again."""

    files: tuple[tuple[str, str], ...]
    template: Template | None
    first: bool


class Expander:
    """Expands one command line, or some files."""

    def __init__(self, files: Files, folder: Path, symbols: Symbols) -> None:
        self.files = files
        self.folder = folder
        self.symbols = symbols
        self.main: Module | None = None
        self.modules: list[Module] = []
        self.comments: list[Comment] = []
        self.diagnostics: list[Diagnostic] = []
        self.steps: list[Module | Group] = []
        self.names: list[str] = []
        self.places: dict[str, Path] = {}

    def expansion(self) -> Expansion:
        """What was read so far."""
        name = self.names[0] if self.names else str(self.main.name) if self.main else ""
        parts = tuple(self.modules), tuple(self.comments), tuple(self.diagnostics)
        return Expansion(self.main, *parts, name)

    def expand_files(self, names: Iterable[str]) -> None:
        """Expand files named alone: as templates without values if they say that they are some."""
        for name in names:
            source = Source("FILE", name)
            arg = make_arg(name, Text.whole(source))
            text, _ = self.read(name, None)
            marked = any(map(_HEADING.fullmatch, text.lines))
            self.expand([arg], Template({}, {}, "{}") if marked else None, first=True)

    def expand_command(self, text: Text) -> None:
        """Expand a command line."""
        _refuse_marks(text.source)
        words = split(text, self.symbols.variable)
        args = deque(make_arg(self.symbols.filled(w.text.chars), w.text) for w in words)
        _drop_program(args)
        if not args:
            raise stop("legacy-workflow", "a command line names a task first", text.span())
        first = args.popleft()
        rest = _until_reserved(args)
        if first == FROM:
            self.expand(rest, None, first=True)
        elif first == TEMPLATE:
            self.expand(rest[1:], self.template(first, rest), first=True)
        else:
            self.set_main(Module(MAIN, first, tuple(rest)))
            self.steps.append(Module(MAIN, first, tuple(rest)))
        while args:
            self.section(args.popleft(), args)
        if self.main is None and first in (FROM, TEMPLATE):
            raise stop("legacy-workflow", "none of the first files has a main:", first.span)

    def section(self, word: Arg, args: deque[Arg]) -> None:
        """Read what follows ``-dataset`` and the like."""
        rest = _until_reserved(args)
        if not rest:
            raise stop("legacy-workflow", f"{word} names no module", word.span)
        if word == f"-{FROM}":
            self.expand(rest, None, first=False)
        elif word == f"-{TEMPLATE}":
            self.expand(rest[1:], self.template(word, rest), first=False)
        else:
            self.add(Module(word.removeprefix("-"), rest[0], tuple(rest[1:])))

    def set_main(self, module: Module) -> None:
        """Take the task; a later one wins."""
        if self.main is not None:
            message = f'"{self.main.name}" is not run: a later main: wins'
            self.ignored(message, self.main.name.span)
        self.main = module

    def add(self, module: Module) -> None:
        """Add a module of the command line."""
        self.modules.append(module)
        self.steps.append(module)

    def template(self, word: Arg, rest: list[Arg]) -> Template:
        """The mapping of a template."""
        if not rest:
            raise stop("legacy-workflow", f"{word} takes a mapping and files", word.span)
        data = self.mapping(rest[0])
        if not isinstance(data, Table):
            raise stop("legacy-template", "a template is a mapping", rest[0].span)
        entries = {key: field.value for key, field in data.fields.items()}
        return Template(entries, {}, str(rest[0]))

    def expand(self, names: Iterable[Arg], template: Template | None, *, first: bool) -> None:
        """Expand workflow files."""
        found = []
        for name in names:
            path, _, keys = str(name).rpartition(SELECT) if SELECT in name else (str(name), "", "")
            source, place = self.read(path, name.span if name.span.file != "FILE" else None)
            found.append((str(place), keys))
            data = select(self.data(source, template), keys, name.span)
            self.names.append(PurePosixPath(path).stem)
            self.comment(source)
            self.sections(data, first)
        self.steps.append(Group(tuple(found), template, first))

    def data(self, source: Source, template: Template | None) -> Data:
        """The data of a workflow file, its templates filled."""
        text = Text.whole(source)
        self.help(source)
        marked = filled = text
        if template is not None:
            marked = fill(text, lambda *found: self.mark(template, *found))
            filled = fill(text, lambda *found: self.value(template, *found))
        strict = source.name.endswith(".json")
        read = read_yaml(marked, filled, self.symbols.filled, strict=strict)
        self.diagnostics += read.diagnostics
        self.write_out(read.rigid)
        return read.data

    def write_out(self, spans: Iterable[Span]) -> None:
        """Say that placeholders stand for more than a text."""
        for span in spans:
            message = "the value of a template key is written out here"
            help = "it stands for more than a text, and is no parameter there"
            self.diagnostics.append(Diagnostic("template-written-out", message, span, help))

    def mark(self, template: Template, key: str, spec: str, span: Span) -> str:
        """The mark of a placeholder of a file."""
        data = template.entries.get(key)
        parameter = self.symbols.declare(key, data, data.span if data else None)
        template.values[key] = parameter.value
        return self.symbols.mark(Symbol(parameter.name, spec), span)

    def value(self, template: Template, key: str, spec: str, span: Span) -> str:
        """What a placeholder of a file is filled with."""
        return format_value(template.values[key], spec, span)

    def sections(self, data: Data, first: bool) -> None:
        """Read the sections of a workflow file."""
        if not isinstance(data, Table):
            raise stop("legacy-workflow", "a workflow file is a mapping", data.span)
        for key, field in data.fields.items():
            if key == MAIN and first:
                self.set_main(self.module(MAIN, field.value))
            elif key == MAIN:
                self.ignored("main: counts only in the files of the first task", field.key)
            elif key == FLAG:
                self.flags(field.value)
            elif key not in CATEGORIES:
                help = suggest(key, (MAIN, *CATEGORIES))
                self.ignored(f'the older tool ignored the section "{key}"', field.key, help)
        for category in CATEGORIES:
            found = data.get(category)
            if found is not None and not isinstance(found, Items):
                raise stop("legacy-workflow", f"{category}: takes a list of modules", found.span)
            for item in found.items if found else ():
                self.modules.append(self.module(category, item))

    def module(self, category: str, data: Data) -> Module:
        """A module of a file."""
        module, odd, rigid = read_module(category, data, self.symbols)
        self.diagnostics += odd
        self.write_out(rigid)
        return module

    def flags(self, data: Data) -> None:
        """Read the flags of a file."""
        for item in data.items if isinstance(data, Items) else (data,):
            if isinstance(item, Leaf) and isinstance(item.value, str) and item.text:
                self.modules.append(Module(FLAG, make_arg(item.value, item.text), ()))
            else:
                raise stop("legacy-workflow", "flag: takes a list of words", item.span)

    def ignored(self, message: str, span: Span, help: str | None = None) -> None:
        """Say that the older tool did not look at something."""
        self.diagnostics.append(Diagnostic("legacy-ignored", message, span, help))

    def mapping(self, arg: Arg) -> Data | None:
        """What a word with a prefix holds; None after a diagnostic."""
        if arg.data is not None:
            return arg.data
        if not arg:
            return Table({}, arg.span)
        scheme, found, rest = str(arg).partition(SCHEME)
        scheme, rest = (scheme, rest) if found else ("yaml", str(arg))
        if scheme == "yaml":
            return self.inline(arg, rest)
        if scheme == "json":
            return read_json(rest, arg.span)
        if scheme == "csv" and ("\n" in rest or not rest.endswith(".csv")):
            return read_csv(rest, arg.span)
        if scheme in ("file", "csv"):
            return self.from_file(rest, arg.span)
        if scheme == "py":
            message = f"{show_name(rest)} is not imported: nothing is executed"
            self.diagnostics.append(Diagnostic("not-executed", message, arg.span))
        else:
            message = f'there is no prefix "{scheme}:##"'
            help = suggest(scheme, ("yaml", "json", "csv", "file"))
            self.ignored(message, arg.span, help)
        return None

    def inline(self, arg: Arg, rest: str) -> Data:
        """The data of a YAML text that a word is."""
        marked = arg.marked
        if arg.parts > 1 or self.symbols.filled(marked.chars) != arg:
            marked = Text(str(arg), (marked.at[0],) * (len(arg) + 1), marked.source)
        if rest != arg:
            marked = marked.part(marked.chars.find(SCHEME) + len(SCHEME), len(marked.chars))
        read = read_yaml(marked, _fill_marks(marked, self.symbols), self.symbols.filled)
        self.diagnostics += read.diagnostics
        self.write_out(read.rigid)
        return read.data

    def from_file(self, name: str, span: Span) -> Data:
        """The data of a file that a word names."""
        path, _, keys = name.rpartition(SELECT) if SELECT in name else (name, "", "")
        source, _ = self.read(path, span)
        if path.endswith(".csv"):
            data = read_csv(source.text, span)
        else:
            text = Text.whole(source)
            strict = path.endswith(".json")
            data = read_yaml(text, text, str, strict=strict).data
        return literal(plain(select(data, keys, span)), span)

    def read(self, name: str, span: Span | None) -> tuple[Source, Path]:
        """A file beside the one that names it, or in the current folder."""
        if not name.endswith(SUFFIXES) or "://" in name:
            message = f"{show_name(name)} is no file to read: {', '.join(SUFFIXES)} are"
            raise stop("unreadable-file", message, span)
        places = [self.folder / name]
        if span is not None and PurePosixPath(span.file).parent.name:
            places.insert(0, self.folder / PurePosixPath(span.file).parent / name)
        known = self.places.get(name, places[-1])
        place = next((each for each in places if self.files.is_file(each)), known)
        try:
            data = self.files.read(place)
            text = data.decode("utf-8").removeprefix("\ufeff")
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError)
            reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
            code = "missing-file" if missing else "unreadable-file"
            raise stop(code, f"cannot read {show_name(name)}: {reason}", span) from None
        if len(data) > MAX_BYTES:
            raise stop("unreadable-file", f"{show_name(name)} is larger than 1 MiB", span)
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.places.setdefault(name, place)
        source = Source(show_path(place, self.folder), text)
        _refuse_marks(source)
        return source, place

    def help(self, source: Source) -> None:
        """Read the help of the template keys."""
        inside = False
        for line in source.lines:
            found = _HELP.fullmatch(line) if inside else None
            if found:
                self.symbols.helps.setdefault(found[1], found[2])
            inside = bool(found or _HEADING.fullmatch(line))

    def comment(self, source: Source) -> None:
        """Read the comments, without those that are the template's help."""
        self.comments += find_comments(source)


def find_comments(source: Source) -> list[Comment]:
    """The comments of a file that say something."""
    found = []
    inside = False
    for number, line in enumerate(source.lines, 1):
        help = bool(_HEADING.fullmatch(line)) or (inside and bool(_HELP.fullmatch(line)))
        inside = help
        comment = _COMMENT.search(line)
        if help or comment is None or not re.search(r"\w", comment[1]):
            continue
        before = line[: comment.start()]
        if before.count('"') % 2 or before.count("'") % 2:
            continue
        span = Span(source, number, comment.start() + 1, number, len(line) + 1)
        found.append(Comment(comment[1].strip(), span, not before.strip()))
    return found


def show_name(name: str) -> str:
    """A name as messages show it."""
    return f'"{name[:60]}"'


def _until_reserved(args: deque[Arg]) -> list[Arg]:
    found = []
    while args and args[0] not in RESERVED:
        found.append(args.popleft())
    return found


def _drop_program(args: deque[Arg]) -> None:
    """Leave out ``python pyml.py`` in front of a command line."""
    if args and re.fullmatch(r"(\S*/)?python[0-9.]*", args[0]):
        args.popleft()
    if args and args[0].endswith(".py"):
        args.popleft()


def _fill_marks(text: Text, symbols: Symbols) -> Text:
    """A text with its marks filled; characters keep their places."""
    chars: list[str] = []
    at: list[int] = []
    for character, place in zip(text.chars, text.at, strict=False):
        value = symbols.filled(character)
        chars.append(value)
        at += [place] * len(value)
    return Text("".join(chars), (*at, text.at[-1]), text.source)


def _refuse_marks(source: Source) -> None:
    for at, character in enumerate(source.text):
        if is_mark(character):
            message = f"no text can hold the character U+{ord(character):04X}"
            raise LegacyError(
                Diagnostic("bad-character", message, Text.whole(source).span(at, at + 1))
            )
