"""Template keys and shell variables in, marks and the parameters of the workflow out."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from ..diagnostics import Span
from ..parameters import RESERVED
from ..ranges import RangeError, parse_range
from .data import Data, Leaf, plain
from .text import MARKS, is_mark, stop

NUMBERS: Final = ("integer", "number")
KINDS: Final[Mapping[type, str]] = MappingProxyType(
    {bool: "boolean", int: "integer", float: "number"}
)
FIRST_STAND_IN: Final = 11
MAX_WIDTH: Final = 999


class Symbol(NamedTuple):
    """What a mark stands for: a parameter and a format, or a variable of the environment."""

    name: str
    spec: str
    variable: bool = False


class Parameter:
    """A parameter of the workflow: its template key, its value, and the types it is used with.

    Without a value ``value`` is a stand-in, which only comparing sees.
    """

    def __init__(self, name: str, value: Any, given: bool, default: str, span: Span | None) -> None:
        self.name = name
        self.value = value
        self.given = given
        self.default = default
        self.span = span
        self.help = ""
        self.type = ""
        self.used = False
        self.in_text = False

    def take(self, kind: str) -> bool:
        """Use it with a type; whether that goes together with its value and the other uses.

        The older tool wrote True and False into texts, which hcrc writes true and false.
        """
        if "boolean" in (kind, self.type) and (kind == "string" or self.in_text):
            return False
        if kind == "string":
            self.in_text = True
        elif self.type == kind or {self.type, kind} == set(NUMBERS):
            self.type = "number" if kind != self.type else kind
        elif self.type or not self.fits(kind):
            return False
        else:
            self.type = kind
        self.used = True
        return True

    def fits(self, kind: str) -> bool:
        """Whether its value is one of a type; a stand-in is a number."""
        value = self.value
        if "{env:" in self.default:
            return False
        if kind == "range":
            return _is_range(value)
        if kind == "boolean":
            return isinstance(value, bool)
        kinds = int if kind == "integer" else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool)

    def declaration(self) -> dict[str, Any]:
        """The parameter as the workflow declares it; texts are templates."""
        found: dict[str, Any] = {"type": self.type or "string"}
        if self.given:
            typed = self.type in (*NUMBERS, "boolean")
            found["default"] = self.value if typed else self.default
        return found | ({"help": self.help} if self.help else {})


class Symbols:
    """All marks and parameters of an import."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.parameters: dict[str, Parameter] = {}
        self.helps: dict[str, str] = {}
        self._symbols: list[Symbol] = []

    def mark(self, symbol: Symbol, span: Span | None = None) -> str:
        """The character that stands for a symbol."""
        if symbol not in self._symbols:
            self._symbols.append(symbol)
        index = self._symbols.index(symbol)
        if index >= len(MARKS):
            raise stop("legacy-template", "there are too many placeholders", span)
        return chr(MARKS[index])

    def find(self, mark: str) -> Symbol:
        """What a mark stands for."""
        return self._symbols[ord(mark) - MARKS.start]

    def variable(self, name: str) -> str:
        """The mark of a variable of the environment."""
        return self.mark(Symbol(name, "", variable=True))

    def filled(self, text: str) -> str:
        """A text with its marks filled."""
        if text.isascii():
            return text
        return "".join([self._value(each) if is_mark(each) else each for each in text])

    def template(self, text: str) -> str:
        """A text with marks as a template of hcrc; variables become parameters of their own."""
        return "".join([self._placeholder(each) for each in text])

    def default(self, text: str) -> str:
        """The same for the default of a parameter, where variables may stand."""
        return "".join([self._placeholder(each, default=True) for each in text])

    def names(self, text: str) -> list[str]:
        """The names of the parameters in a text with marks."""
        symbols = [self.find(each) for each in text if is_mark(each)]
        names = [self.of_variable(each.name) if each.variable else each.name for each in symbols]
        return [name for name in names if name in self.parameters]

    def uses(self, text: str) -> list[tuple[Parameter, str]]:
        """The parameters in a text with marks, each with the type that its format asks for."""
        found = []
        for mark in filter(is_mark, text):
            for name in self.names(mark):
                parameter = self.parameters[name]
                kind = KINDS.get(type(parameter.value), "string")
                found.append((parameter, kind if self.find(mark).spec else "string"))
        return found

    def lone(self, text: str) -> Parameter | None:
        """The parameter that a text consists of."""
        if len(text) != 1 or not is_mark(text):
            return None
        names = self.names(text)
        return None if self.find(text).spec or not names else self.parameters[names[0]]

    def declare(self, key: str, data: Data | None, span: Span | None) -> Parameter:
        """The parameter of a template key: one for each key and value."""
        value = _python(data) if data is not None else None
        default = str(value)
        if isinstance(data, Leaf) and data.marks is not None:
            default = self.default(data.marks.chars)
        elif data is not None:
            default = escape_braces(default)
        for parameter in self._called(key):
            same = type(parameter.value) is type(value) and parameter.value == value
            if data is None or (parameter.given and same and parameter.default == default):
                return parameter
        return self._add(key, value, data is not None, default, span)

    def of_variable(self, name: str) -> str:
        """The name of the parameter whose default is a variable of the environment."""
        default = f"{{env:{name}}}"
        for parameter in self.parameters.values():
            if parameter.default == default:
                return parameter.name
        value = self._value(self.variable(name))
        return self._add(name.lower(), value, True, default, None).name

    def _called(self, key: str) -> list[Parameter]:
        stem = parameter_name(key)
        return [
            parameter
            for name, parameter in self.parameters.items()
            if re.fullmatch(rf"{re.escape(stem)}(_[0-9]+)?", name)
        ]

    def _add(self, key: str, value: Any, given: bool, default: str, span: Span | None) -> Parameter:
        stem = name = parameter_name(key)
        number = 2
        while name in self.parameters:
            name, number = f"{stem}_{number}", number + 1
        if not given:
            value, default = FIRST_STAND_IN + len(self.parameters), ""
        parameter = Parameter(name, value, given, default, span)
        parameter.help = self.helps.get(key, "")
        self.parameters[name] = parameter
        return parameter

    def _value(self, mark: str) -> str:
        symbol = self.find(mark)
        if symbol.variable:
            return self.environment.get(symbol.name, symbol.name)
        if symbol.name not in self.parameters:
            return f"{{{symbol.name}}}"
        return format_value(self.parameters[symbol.name].value, symbol.spec, None)

    def _placeholder(self, character: str, *, default: bool = False) -> str:
        if not is_mark(character):
            return escape_braces(character)
        symbol = self.find(character)
        if symbol.variable and default:
            return f"{{env:{symbol.name}}}"
        name = self.of_variable(symbol.name) if symbol.variable else symbol.name
        return f"{{{name}:{symbol.spec}}}" if symbol.spec else f"{{{name}}}"


def format_value(value: Any, spec: str, span: Span | None) -> str:
    """A value as ``str.format`` writes it; raises LegacyError."""
    if any(int(digits) > MAX_WIDTH for digits in re.findall(r"[0-9]{1,20}", spec)):
        message = f"the format {spec[:20]} is wider than {MAX_WIDTH} characters"
        raise stop("legacy-template", message, span)
    try:
        return format(value, spec)
    except (ValueError, TypeError, OverflowError) as error:
        message = f'the format "{spec}" does not fit {str(value)[:40]}: {error}'
        raise stop("legacy-template", message, span) from None


def parameter_name(key: str) -> str:
    """A name that the language takes for a template key."""
    words = re.sub(r"\W+", "_", key, flags=re.ASCII).strip("_") or "key"
    name = f"{'_' * words[0].isdigit()}{words}"
    return f"{name}_" if name in RESERVED else name


def escape_braces(text: str) -> str:
    """A literal text as a template."""
    return text.replace("{", "{{").replace("}", "}}")


def _python(data: Data) -> Any:
    """The value that a template formats."""
    value = plain(data)
    return str(value) if isinstance(value, datetime.date) else value


def _is_range(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return False
    try:
        parse_range(str(value))
    except RangeError:
        return False
    return True
