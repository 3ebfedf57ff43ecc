"""Templates: strings with `{key}`, `{key:03d}` and `{{literal}}`, filled with bound values.

The grammar is that of `str.format` without attributes, indices, conversions, positions and nested
formats. Strings are filled once, all names together: a second pass would take `{{x}}` for `{x}`.
"""

import re
from collections import abc
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from .diagnostics import Diagnostic, Note, Span, show, suggest
from .parse import Entry, Mapping, Node, Scalar, Sequence, span_within

ENVIRONMENT: Final = "env"
TIMESTAMP: Final = "timestamp"
NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_LONE: Final = re.compile(r"([A-Za-z_]\w*)(?::[^{}]*)?", re.ASCII)
_MAX_WIDTH: Final = 999


class TemplateError(ValueError):
    """What is wrong with characters [start, end) of a template."""

    def __init__(
        self, code: str, message: str, start: int, end: int, help: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.start = start
        self.end = end
        self.help = help


class Placeholder(NamedTuple):
    """`{name}` or `{name:spec}` at characters [start, end) of a text."""

    name: str
    spec: str | None
    start: int
    end: int


class Binding(NamedTuple):
    """The plain value of a name, the node that it comes from, and where that was written.

    `text`, where there is one, stands for the value inside of longer strings, as for a range.
    `template` is the string that the value was filled from, if it holds names, and `base` the
    folder that a path in it starts from.
    """

    value: Any
    node: Node
    origin: Span | None
    text: str | None = None
    template: Node | None = None
    base: str | None = None


class Substitution(NamedTuple):
    """A node without placeholders, what was wrong with its strings, and the names they used."""

    node: Node
    diagnostics: list[Diagnostic]
    used: set[str]


def is_encodable(text: str) -> bool:
    """Tell whether a text can be written as UTF-8: not if it was read from other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def placeholders(text: str) -> list[Placeholder]:
    """Return the placeholders of a text in their order; raises TemplateError."""
    return [piece for piece in _split(text) if isinstance(piece, Placeholder)]


def names_in(node: Node) -> set[str]:
    """Return the names in the strings of a node; strings that are no templates have none."""
    match node:
        case Mapping():
            return set().union(*(names_in(entry.value) for _, entry in node.items()))
        case Sequence():
            return set().union(*(names_in(item) for item in node.items))
        case Scalar():
            return _names_in_text(node.value) if isinstance(node.value, str) else set()


def substitute(
    node: Node,
    bindings: abc.Mapping[str, Binding],
    deferred: Collection[str] = (),
    environment: abc.Mapping[str, str] | None = None,
) -> Substitution:
    """Fill the strings of a node's values; keys stay.

    A string that is one placeholder becomes the typed value, whole lists and mappings included.
    Placeholders of `deferred` names stay as they are. `{env:NAME}` needs an `environment`.
    """
    filler = _Filler(bindings, deferred, environment)
    return Substitution(filler.node(node), filler.diagnostics, filler.used)


def unquoted_placeholder(node: Node) -> Diagnostic | None:
    """Return what to say about a node that is `{norm}` without quotes, YAML for {norm: null}."""
    if not isinstance(node, Mapping) or not node.flow or len(node.entries) != 1:
        return None
    ((text, entry),) = node.items()
    value = entry.value
    if not isinstance(value, Scalar) or value.text or value.quoted or entry.key.quoted:
        return None
    if not _LONE.fullmatch(text):
        return None
    message = f"{{{text}}} without quotes is YAML for {{{text}: null}}"
    return Diagnostic("unquoted-placeholder", message, node.span, f'write "{{{text}}}"', node.notes)


def write_literally(value: Any) -> Any:
    """Return a plain value whose strings hold no placeholder: their braces are doubled."""
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, list):
        return [write_literally(item) for item in value]
    if isinstance(value, dict):
        return {key: write_literally(item) for key, item in value.items()}
    return value


def node_of(value: Any, span: Span, notes: tuple[Note, ...]) -> Node:
    """Return a plain value as a node that stands at one place."""
    if isinstance(value, dict):
        entries = {
            key: Entry(Scalar(key, key, True, span, notes), node_of(item, span, notes))
            for key, item in value.items()
        }
        return Mapping({}, span, notes).replace(entries)
    if isinstance(value, list | tuple):
        return Sequence(tuple(node_of(item, span, notes) for item in value), span, notes)
    return Scalar(value, plain_text(value), isinstance(value, str), span, notes, filled=True)


class _Filler:
    """Fills the strings of one node, and gathers what is wrong with them and the names used."""

    def __init__(
        self,
        bindings: abc.Mapping[str, Binding],
        deferred: Collection[str],
        environment: abc.Mapping[str, str] | None,
    ) -> None:
        self.bindings = bindings
        self.deferred = deferred
        self.environment = environment
        self.diagnostics: list[Diagnostic] = []
        self.used: set[str] = set()

    def node(self, node: Node) -> Node:
        """Return a node filled; the same object where there is nothing to fill."""
        match node:
            case Scalar():
                return self.scalar(node)
            case Sequence():
                items = tuple(map(self.node, node.items))
                same = all(map(_is, items, node.items))
                return node if same else node._replace(items=items)
            case Mapping():
                return self.mapping(node)

    def mapping(self, node: Mapping) -> Mapping:
        """Return a mapping filled, or say that a placeholder lacks its quotes."""
        found = unquoted_placeholder(node)
        name = next(iter(node.entries)).partition(":")[0] if found else ""
        if found and (name in self.bindings or name in self.deferred):
            self.used.add(name)
            self.diagnostics.append(found)
            return node
        values = {key: self.node(entry.value) for key, entry in node.items()}
        if all(values[key] is entry.value for key, entry in node.items()):
            return node
        filled = {key: Entry(entry.key, values[key], entry.replaced) for key, entry in node.items()}
        return node.replace(filled)

    def scalar(self, node: Scalar) -> Node:
        """Return a string filled; other scalars stay."""
        text = node.value
        if not isinstance(text, str) or ("{" not in text and "}" not in text):
            return node
        try:
            pieces = _split(text)
        except TemplateError as error:
            self.refuse(node, error)
            return node
        first = pieces[0]
        if len(pieces) == 1 and isinstance(first, Placeholder) and first.spec is None:
            return self.lone(node, first)
        return self.joined(node, pieces)

    def lone(self, node: Scalar, placeholder: Placeholder) -> Node:
        """Return the typed value that a string stands for that is one placeholder."""
        binding = self.look_up(node, placeholder)
        if binding is None:
            return node
        notes = (*node.notes, _note(placeholder.name, binding))
        return node_of(binding.value, node.span, notes)

    def joined(self, node: Scalar, pieces: list["str | Placeholder"]) -> Scalar:
        """Return a string with the texts of its placeholders."""
        texts: list[str] = []
        notes = list(node.notes)
        for piece in pieces:
            if isinstance(piece, str):
                texts.append(piece)
                continue
            text, note = self.text(node, piece)
            texts.append(text)
            notes += [note] if note and note not in notes else []
        text = "".join(texts)
        return Scalar(text, text, True, node.span, tuple(notes))

    def text(self, node: Scalar, placeholder: Placeholder) -> tuple[str, Note | None]:
        """Return what a placeholder stands for inside of a string, and the note that says so."""
        written = node.text[placeholder.start : placeholder.end]
        if placeholder.name == ENVIRONMENT and placeholder.spec is not None:
            return self.variable(node, placeholder, written)
        binding = self.look_up(node, placeholder)
        if binding is None:
            return written, None
        try:
            return format_value(binding, placeholder), _note(placeholder.name, binding)
        except TemplateError as error:
            self.refuse(node, error)
            return written, None

    def variable(
        self, node: Scalar, placeholder: Placeholder, written: str
    ) -> tuple[str, Note | None]:
        """Return the value of an environment variable."""
        name = placeholder.spec or ""
        place = placeholder.start, placeholder.end
        if self.environment is None:
            message = "environment variables are read in defaults of strings and paths only"
            help = "declare a parameter with this default"
            self.refuse(node, TemplateError("env-outside-default", message, *place, help))
        elif not name:
            message, help = "{env:} names no variable", "write {env:NAME}"
            self.refuse(node, TemplateError("bad-placeholder", message, *place, help))
        elif name not in self.environment:
            message = f"the environment variable {show(name)[1:-1]} is not set"
            help = f"export {name}=…, or give the parameter"
            self.refuse(node, TemplateError("unset-variable", message, *place, help))
        elif not is_encodable(self.environment[name]):
            message = f"the environment variable {show(name)[1:-1]} is not UTF-8 text"
            self.refuse(node, TemplateError("not-utf8", message, *place))
        else:
            value = self.environment[name]
            return value, (f"in expansion of {{env:{name}}} = {show(value)}", None)
        return written, None

    def look_up(self, node: Scalar, placeholder: Placeholder) -> Binding | None:
        """Return the binding of a placeholder; None, after a diagnostic, for an unknown name."""
        name = placeholder.name
        self.used.add(name)
        if name in self.deferred:
            return None
        if name not in self.bindings:
            span = span_within(node, placeholder.start, placeholder.end)
            help = suggest(name, [*self.bindings, *self.deferred])
            message = f"there is no parameter {show(name)}"
            if name == TIMESTAMP:
                message = f"{{{name}}} has no value here"
                help = "it stands for the start of a run in output and IO.output alone"
            self.diagnostics.append(
                Diagnostic("unknown-placeholder", message, span, help, node.notes)
            )
        return self.bindings.get(name)

    def refuse(self, node: Scalar, error: TemplateError) -> None:
        """Add an error of a template to the diagnostics."""
        span = span_within(node, error.start, error.end)
        found = Diagnostic(error.code, error.message, span, error.help, node.notes)
        self.diagnostics.append(found)


def _split(text: str) -> list[str | Placeholder]:
    """Return the pieces of a template: literal texts and placeholders."""
    pieces: list[str | Placeholder] = []
    at = 0
    for token in _TOKEN.finditer(text):
        pieces += [text[at : token.start()]] if token.start() > at else []
        at = token.end()
        if token.group() in ("{{", "}}"):
            pieces.append(token.group()[0])
        elif token[1] is None:
            help = f'write "{token.group() * 2}" for the character itself'
            message = f'a "{token.group()}" without its partner'
            raise TemplateError("stray-brace", message, token.start(), token.end(), help)
        else:
            pieces.append(_placeholder(token))
    return pieces + ([text[at:]] if at < len(text) else [])


def _placeholder(token: re.Match[str]) -> Placeholder:
    name, colon, spec = token[1].partition(":")
    if NAME.fullmatch(name):
        return Placeholder(name, spec if colon else None, token.start(), token.end())
    if not name:
        message = "a placeholder without a name"
    elif name.isdigit():
        message = f"{{{name}}}: placeholders go by name, not by position"
    elif re.match(r"\w+[.!\[]", name):
        message = f"{{{name}}}: a placeholder takes no attribute, index or conversion"
    else:
        message = f"{show(name)} is not the name of a parameter"
    help = "write {{ and }} for the characters themselves"
    raise TemplateError("bad-placeholder", message, token.start(), token.end(), help)


def format_value(binding: Binding, placeholder: Placeholder) -> str:
    """Return a value as text; raises TemplateError where it has none or the format does not fit."""
    value, spec = binding.value, placeholder.spec
    place = placeholder.start, placeholder.end
    if not spec and binding.text is not None:
        return binding.text
    if isinstance(value, list | tuple | dict):
        kind = "mapping" if isinstance(value, dict) else "list"
        message = f"{{{placeholder.name}}} is a {kind}: it cannot stand inside of a string"
        raise TemplateError("list-in-text", message, *place)
    if not spec:
        return plain_text(value)
    if any(int(digits) > _MAX_WIDTH for digits in re.findall(r"[0-9]{1,20}", spec)):
        message = f"the format {show(spec)} is wider than {_MAX_WIDTH} characters"
        raise TemplateError("bad-format", message, *place)
    try:
        return format(value, spec)
    except (ValueError, TypeError, OverflowError):
        message = f"the format {show(spec)} does not fit the value {show(value)}"
        raise TemplateError("bad-format", message, *place) from None


def plain_text(value: Any) -> str:
    """Return a scalar as YAML would write it, strings without quotes."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _note(name: str, binding: Binding) -> Note:
    return f"in expansion of {{{name}}} = {_brief(binding)}", binding.origin


def _brief(binding: Binding) -> str:
    return binding.text if binding.text is not None else show(binding.value)


def _names_in_text(text: str) -> set[str]:
    if "{" not in text:
        return set()
    try:
        return {placeholder.name for placeholder in placeholders(text)}
    except TemplateError:
        return set()


def _is(left: object, right: object) -> bool:
    return left is right
