"""Declared parameters and the values given for them in, bindings for templates out.

Declarations have passed the schema. What is given comes as layers of mappings, later over earlier:
those of `--template`, then those of `--param`.
"""

import graphlib
import math
import re
from collections import abc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from .diagnostics import Diagnostic, Note, show, suggest
from .folders import absolute_path
from .given import PARAM
from .mistaken import explain_type
from .parse import (
    Entry,
    Mapping,
    Node,
    Scalar,
    Sequence,
    locate_key,
    parse,
    to_plain,
)
from .ranges import range_of
from .template import ENVIRONMENT, TIMESTAMP, Binding, names_in, substitute, unquoted_placeholder

__all__ = ["Binding", "bind", "unused_parameters"]

DEFERRED: Final = (TIMESTAMP,)
RESERVED: Final = (ENVIRONMENT, *DEFERRED)
_NOUNS: Final = (
    ("string", "a string"),
    ("integer", "an integer"),
    ("number", "a number"),
    ("boolean", "true or false"),
    ("path", "a path"),
    ("range", "a range"),
    ("list", "a list"),
    ("mapping", "a mapping"),
)
_LIMITS: Final = (
    ("minimum", ("integer", "number", "range")),
    ("maximum", ("integer", "number", "range")),
    ("pattern", ("string", "path")),
    ("choices", ("string", "path", "integer", "number", "boolean")),
)


def bind(
    declarations: Node | None,
    given: abc.Sequence[Mapping],
    environment: abc.Mapping[str, str],
    cwd: Path,
) -> tuple[dict[str, Binding], list[Diagnostic]]:
    """Return the bindings of the declared parameters, in their order, and what is wrong.

    Defaults may refer to other parameters, in any order. Given paths are relative to `cwd`.
    """
    parameters = {parameter.name: parameter for parameter in _parameters(declarations)}
    diagnostics = [found for each in parameters.values() for found in each.check()]
    layers = {name: entry for layer in given for name, entry in layer.items()}
    for layer in given:
        diagnostics += _undeclared(layer, parameters)
    binder = _Binder(parameters, layers, environment, cwd, diagnostics)
    binder.bind_all()
    return {name: binder.bound[name] for name in parameters if name in binder.bound}, diagnostics


def unused_parameters(declarations: Node | None, used: abc.Set[str]) -> list[Diagnostic]:
    """Return a diagnostic for each parameter that is neither in `used` nor in another's default."""
    parameters = list(_parameters(declarations))
    known = set(used)
    for parameter in parameters:
        known |= parameter.references() - {parameter.name}
    help = "use it in a string, or remove it"
    return [
        Diagnostic("unused-parameter", f"{parameter} is never used", parameter.key.span, help)
        for parameter in parameters
        if parameter.name not in known
    ]


class _Parameter(NamedTuple):
    """A declaration whose type is one that the language knows."""

    key: Scalar
    type: str
    node: Mapping

    @property
    def name(self) -> str:
        """The name that templates use."""
        return self.key.text

    def __str__(self) -> str:
        return f"parameter {show(self.name)}"

    def references(self) -> set[str]:
        """Return the names of the parameters in the default."""
        default = self.node.get("default")
        return names_in(default) - set(RESERVED) if default else set()

    def note(self) -> Note:
        """Return where the parameter is declared."""
        return "declared here", self.key.span

    def limit(self, key: str) -> Any:
        """Return a plain value of the declaration; None without one."""
        node = self.node.get(key)
        return to_plain(node) if node is not None else None

    def check(self) -> Iterator[Diagnostic]:
        """Find what is wrong in the declaration itself."""
        if self.name in RESERVED:
            yield Diagnostic(
                "reserved-name", f"the name {show(self.name)} is reserved", self.key.span
            )
        for key, types in _LIMITS:
            written = locate_key(self.node, [key]) if self.node.get(key) else None
            if written is not None and self.type not in types:
                message = f"{dict(_NOUNS)[self.type]} has no {key}"
                help = f"{key} is for: {', '.join(types)}"
                yield Diagnostic("useless-limit", message, written.span, help)
        yield from self.check_pattern()
        yield from self.check_bounds()

    def check_pattern(self) -> Iterator[Diagnostic]:
        """Find a pattern that is no regular expression."""
        node = self.node.get("pattern")
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return
        try:
            re.compile(node.value)
        except (re.error, OverflowError, RecursionError) as error:
            message = f"the pattern is not a regular expression: {error}"
            yield Diagnostic("bad-regex", message, node.span)

    def check_bounds(self) -> Iterator[Diagnostic]:
        """Find bounds that leave no value."""
        low, high = self.limit("minimum"), self.limit("maximum")
        node = self.node.get("minimum")
        if node and _is_number(low) and _is_number(high) and low > high:
            message = f"the minimum {low} is larger than the maximum {high}"
            yield Diagnostic("empty-limits", message, node.span)


def _parameters(declarations: Node | None) -> Iterator[_Parameter]:
    """Find the declarations with a known type; the schema has spoken about others."""
    for _, entry in declarations.items() if isinstance(declarations, Mapping) else ():
        node = entry.value
        kind = node.get("type") if isinstance(node, Mapping) else None
        if isinstance(node, Mapping) and isinstance(kind, Scalar) and kind.text in dict(_NOUNS):
            yield _Parameter(entry.key, kind.text, node)


def _undeclared(layer: Mapping, declared: abc.Mapping[str, _Parameter]) -> list[Diagnostic]:
    return [
        Diagnostic(
            "unknown-parameter",
            f"there is no parameter {show(name)}",
            entry.key.span,
            suggest(name, declared) or "the workflow declares no parameters",
        )
        for name, entry in layer.items()
        if name not in declared
    ]


class _Binder:
    """Binds parameters one by one, each after those that its default refers to."""

    def __init__(
        self,
        parameters: dict[str, _Parameter],
        given: dict[str, Entry],
        environment: abc.Mapping[str, str],
        cwd: Path,
        diagnostics: list[Diagnostic],
    ) -> None:
        self.parameters = parameters
        self.given = given
        self.environment = environment
        self.cwd = cwd
        self.diagnostics = diagnostics
        self.bound: dict[str, Binding] = {}

    def bind_all(self) -> None:
        """Bind all parameters that can be."""
        graph = {
            name: names_in(self.template(parameter)) & self.parameters.keys()
            for name, parameter in self.parameters.items()
        }
        for name in self.in_order(graph):
            binding = self.bind_one(self.parameters[name])
            if binding is not None:
                self.bound[name] = binding

    def in_order(self, graph: dict[str, set[str]]) -> list[str]:
        """Return names after those they refer to; circles are reported and left out."""
        while True:
            try:
                return list(graphlib.TopologicalSorter(graph).static_order())
            except graphlib.CycleError as error:
                circle: list[str] = error.args[1]
                self.report_cycle(circle[::-1])
                graph = {name: names for name, names in graph.items() if name not in circle}
                graph = {name: names - set(circle) for name, names in graph.items()}

    def report_cycle(self, circle: list[str]) -> None:
        """Say which defaults refer to each other, at the one that is declared first."""
        names = circle[:-1]
        start = names.index(next(name for name in self.parameters if name in names))
        ordered = [*names[start:], *names[:start], names[start]]
        message = "defaults refer to each other: " + " → ".join(f"{{{name}}}" for name in ordered)
        default = self.parameters[ordered[0]].node.get("default")
        self.diagnostics.append(
            Diagnostic("parameter-cycle", message, default.span if default else None)
        )

    def template(self, parameter: _Parameter) -> Node:
        """Return what a parameter's value is filled from: a given text, or the default."""
        entry = self.given.get(parameter.name)
        if entry is None:
            return parameter.node.get("default") or Scalar(None, "", False, parameter.key.span)
        is_text = parameter.type in ("string", "path")
        return entry.value if is_text else Scalar(None, "", False, entry.value.span)

    def bind_one(self, parameter: _Parameter) -> Binding | None:
        """Return the binding of a parameter; None after diagnostics."""
        entry = self.given.get(parameter.name)
        node = self.read_given(parameter, entry) if entry else self.read_default(parameter)
        if node is None:
            return None
        value = self.convert(parameter, node)
        if value is None:
            return None
        if entry and parameter.type == "path":
            value = absolute_path(value, self.cwd)
        found = _outside(parameter, value, node)
        self.diagnostics += found
        origin = entry.value.span if entry else node.span
        text = node.text if parameter.type == "range" and isinstance(node, Scalar) else None
        raw = self.template(parameter)
        template = raw if parameter.type in ("string", "path") and names_in(raw) else None
        base = str(self.cwd) if entry and parameter.type == "path" else None
        return None if found else Binding(value, node, origin, text, template, base)

    def read_given(self, parameter: _Parameter, entry: Entry) -> Node | None:
        """Return a given value; a text of --param is read as YAML where the type is no text."""
        node = entry.value
        if parameter.type in ("string", "path"):
            return self.fill(node, None)
        if node.span.file != PARAM or parameter.type == "range":
            return node
        text = node.text if isinstance(node, Scalar) else ""
        if not text.strip():
            return Scalar(None, "", False, node.span)
        document, problems = parse(text, PARAM)
        if isinstance(document.root, Scalar):
            return document.root._replace(span=node.span)
        self.diagnostics += [problem._replace(span=node.span) for problem in problems]
        return document.root

    def read_default(self, parameter: _Parameter) -> Node | None:
        """Return the default with its placeholders filled; None if that or the default fails."""
        default = parameter.node.get("default")
        if default is None:
            message = f"{parameter} has no default and is not given"
            help = f"give it with --param {parameter.name}=…"
            span = parameter.key.span
            self.diagnostics.append(Diagnostic("missing-parameter", message, span, help))
            return None
        unquoted = unquoted_placeholder(default)
        if unquoted and parameter.type != "mapping":
            self.diagnostics.append(unquoted)
            return None
        return self.fill(
            default, self.environment if parameter.type in ("string", "path") else None
        )

    def fill(self, node: Node, environment: abc.Mapping[str, str] | None) -> Node | None:
        """Return a node with its placeholders filled; None if that fails."""
        failed = self.parameters.keys() - self.bound.keys()
        done = substitute(node, self.bound, {*failed, *DEFERRED}, environment)
        self.diagnostics += done.diagnostics
        return None if done.diagnostics or done.used & failed else done.node

    def convert(self, parameter: _Parameter, node: Node) -> Any:
        """Return the value that a parameter takes from a node; None after diagnostics."""
        if parameter.type == "range":
            values = range_of(node)
            problems = [value for value in values if isinstance(value, Diagnostic)]
            self.diagnostics += problems
            return None if problems else values
        value = _plain(parameter.type, node)
        if value is None:
            self.diagnostics.append(_wrong_type(parameter, node))
        return value


def _plain(kind: str, node: Node) -> Any:
    """Return the value that a type other than range takes from a node; None if it takes none."""
    if kind in ("list", "mapping"):
        return to_plain(node) if isinstance(node, Sequence if kind == "list" else Mapping) else None
    if not isinstance(node, Scalar):
        return None
    if kind in ("string", "path"):
        empty = node.value is None or (kind == "path" and not node.text)
        return None if empty else node.text
    if kind == "boolean":
        return node.value if isinstance(node.value, bool) else None
    types = (int,) if kind == "integer" else (int, float)
    return node.value if _is_number(node.value) and isinstance(node.value, types) else None


def _wrong_type(parameter: _Parameter, node: Node) -> Diagnostic:
    """Return what to say about a value of another type, with a hint at the likely mistake."""
    code, help = explain_type(node, [parameter.type])
    if isinstance(node, Scalar):
        shown = show(node.text) if node.quoted else node.text or "nothing"
        if parameter.type in ("string", "path") and help is None:
            help = "quote the value, or write a text"
    else:
        shown = "a mapping" if isinstance(node, Mapping) else "a list"
    message = f"{parameter} is {dict(_NOUNS)[parameter.type]}, not {shown}"
    notes = (*node.notes, parameter.note())
    return Diagnostic(code, message, node.span, help, notes)


def _outside(parameter: _Parameter, value: Any, node: Node) -> list[Diagnostic]:
    """Find which of its limits a value breaks."""
    messages: list[tuple[str, str, str | None]] = []
    low, high = parameter.limit("minimum"), parameter.limit("maximum")
    numbers = [] if any(parameter.check_bounds()) else value
    numbers = numbers if isinstance(numbers, list) else [numbers]
    numbers = [number for number in numbers if _is_number(number)]
    if _is_number(low) and any(number < low for number in numbers):
        messages.append(("out-of-bounds", f"{min(numbers)} is below the minimum {low}", None))
    if _is_number(high) and any(number > high for number in numbers):
        messages.append(("out-of-bounds", f"{max(numbers)} is above the maximum {high}", None))
    messages += _not_chosen(parameter, value) + _not_matched(parameter, value)
    notes = (*node.notes, parameter.note())
    return [
        Diagnostic(code, f"{parameter}: {message}", node.span, help, notes)
        for code, message, help in messages
    ]


def _not_chosen(parameter: _Parameter, value: Any) -> list[tuple[str, str, str | None]]:
    node = parameter.node.get("choices")
    if not isinstance(node, Sequence):
        return []
    choices = [item for item in node.items if isinstance(item, Scalar)]
    texts = [item.text for item in choices]
    flag = isinstance(value, bool)
    values = [item.value for item in choices if isinstance(item.value, bool) == flag]
    if value in (texts if isinstance(value, str) else values):
        return []
    message = f"{show(value)} is not one of its choices"
    return [("bad-choice", message, suggest(str(value), texts))]


def _not_matched(parameter: _Parameter, value: Any) -> list[tuple[str, str, str | None]]:
    pattern = parameter.limit("pattern")
    if not isinstance(pattern, str) or not isinstance(value, str) or any(parameter.check_pattern()):
        return []
    matches = re.fullmatch(pattern, value)
    message = f"{show(value)} does not match the pattern {pattern}"
    return [] if matches else [("bad-form", message, None)]


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)
