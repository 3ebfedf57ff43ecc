"""Expressions over branches: ``passHLT & fourTag & (SR | SB)``, ``weight * pseudoTagWeight``.

The grammar is a small part of Python's, read from its syntax tree and never handed to ``eval``:
branches, numbers, True and False, ``+ - * / % **``, comparisons (also chained), ``& | ~`` and
``and or not`` on booleans, event by event, and the functions in :data:`FUNCTIONS`. Everything
else is a :class:`SpecError` that names the column.

Logic takes only booleans; in arithmetic, comparisons and functions true counts 1 and false 0.
``/`` and ``**`` are float64; ``+ - * %`` and signs of integers are exact, and refused beyond
±2**62 rather than wrapped. ``%`` has the divisor's sign. All other numbers are float64.
"""

from __future__ import annotations

import ast
import functools
import json
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import SpecError

Values: TypeAlias = NDArray[Any]
MAX_EXACT: Final = 2.0**62


def _modulo(left: Values, right: Values) -> Values:
    """The remainder with the divisor's sign; NaN where the divisor is zero, integers too."""
    rest: Values = np.mod(left, right)
    zero = right == 0
    return np.where(zero, np.nan, rest) if np.any(zero) else rest


ARITHMETIC: Final[Mapping[type[ast.operator], Callable[[Values, Values], Values]]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.Mod: _modulo,
    ast.Pow: np.float_power,
}
INEXACT: Final = (ast.Div, ast.Pow)
LOGIC: Final[Mapping[type[ast.AST], tuple[str, Callable[[Values, Values], Values]]]] = {
    ast.BitAnd: ("&", np.logical_and),
    ast.BitOr: ("|", np.logical_or),
    ast.And: ("and", np.logical_and),
    ast.Or: ("or", np.logical_or),
}
COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Values, Values], Values]]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
FUNCTIONS: Final[Mapping[str, Callable[..., Values]]] = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "log": np.log,
    "exp": np.exp,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "where": np.where,
}


@functools.cache
def read_grammar() -> Any:
    """What expressions may hold: the limits, and how many arguments each function takes.

    The compiler reads the same file, so that it says what is wrong before a job runs.
    """
    text = resources.files("hcrc.schemas").joinpath("expression.json").read_text("utf-8")
    return json.loads(text)


@dataclass(frozen=True)
class Expression:
    """An expression of the allowed grammar, and the branches that it reads, in order."""

    text: str
    branches: tuple[str, ...]
    tree: ast.expr

    def evaluate(self, columns: Mapping[str, Values]) -> Values:
        """The value for each event: float64, int64, uint64 or bool; 0-d without any branch.

        ``columns`` holds each of :attr:`branches`, one value an event. What has no value
        (0/0, log of a negative number) is NaN, without a warning. Raises :class:`SpecError`
        where an operator does not suit the branch's type.
        """
        with np.errstate(all="ignore"):
            return _Evaluation(self.text, columns).value(self.tree)


def parse(text: str) -> Expression:
    """The expression in a text; raises :class:`SpecError` with the column of what is wrong."""
    line = re.sub(r"[\t\r\n]", " ", text).rstrip()
    limit = read_grammar()["max_length"]
    if len(line) > limit:
        raise SpecError(f"expression of {len(line)} characters; the limit is {limit}")
    foreign = re.search(f"[^{read_grammar()['characters'][1:]}", line)
    if foreign:
        _refuse(line, foreign.start(), f"unexpected character {foreign.group()!r}")
    indent = len(line) - len(line.lstrip())
    tree = _parse_tree(line, indent)
    branches: dict[str, None] = {}
    _check(line, tree, 1, branches)
    return Expression(line, tuple(branches), tree)


def _parse_tree(line: str, indent: int) -> ast.expr:
    if not line.strip():
        raise SpecError("expression: empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = ast.parse(line[indent:], mode="eval").body
    except SyntaxError as error:
        column = indent + error.offset - 1 if error.offset else len(line)
        _refuse(line, column, error.msg)
    except (ValueError, MemoryError, RecursionError):
        _refuse(line, indent, "too large")
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            node.col_offset += indent
    return tree


def _refuse(text: str, column: int, reason: str) -> NoReturn:
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    shown = "".join(letter if letter.isprintable() else "?" for letter in shown)
    raise SpecError(f'expression "{shown}": column {column + 1}: {reason}')


def _check(text: str, node: ast.expr, depth: int, branches: dict[str, None]) -> None:
    limit = read_grammar()["max_depth"]
    if depth > limit:
        _refuse(text, node.col_offset, f"more than {limit} levels deep")
    for child in _operands(text, node):
        _check(text, child, depth + 1, branches)
    if isinstance(node, ast.Name):
        branches[node.id] = None


def _operands(text: str, node: ast.expr) -> list[ast.expr]:
    """What a node is made of; refuses nodes outside the grammar."""
    match node:
        case ast.BinOp(left, operator, right) if type(operator) in ARITHMETIC.keys() | LOGIC.keys():
            return [left, right]
        case ast.BoolOp(_, values):
            return values
        case ast.UnaryOp(_, operand):
            return [operand]
        case ast.Compare(left, operators, rest) if all(type(o) in COMPARISONS for o in operators):
            return [left, *rest]
        case ast.Call():
            return _arguments(text, node)
        case ast.Constant(bool() | int() | float() as value) if (
            value <= read_grammar()["max_integer"]
        ):
            return []
        case ast.Name(name):
            if name in FUNCTIONS:
                _refuse(text, node.col_offset, f"{name} is a function: write {name}(...)")
            return []
    _refuse(text, node.col_offset, f"{type(node).__name__.lower()} is not allowed here")


def _arguments(text: str, node: ast.Call) -> list[ast.expr]:
    if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
        _refuse(text, node.col_offset, f"unknown function; known: {', '.join(FUNCTIONS)}")
    count = read_grammar()["functions"][node.func.id]
    if node.keywords or len(node.args) != count:
        plural = "s" if count > 1 else ""
        _refuse(text, node.col_offset, f"{node.func.id} takes {count} argument{plural}")
    return node.args


class _Evaluation:
    """One walk over a checked tree, with the columns at hand."""

    def __init__(self, text: str, columns: Mapping[str, Values]) -> None:
        self.text = text
        self.columns = columns

    def value(self, node: ast.expr) -> Values:
        match node:
            case ast.Name(name):
                return self.columns[name]
            case ast.Constant(constant):
                return np.asarray(constant)
            case ast.BinOp(left, operator, right) if type(operator) in ARITHMETIC:
                return self.arithmetic(node, operator, self.number(left), self.number(right))
            case ast.BinOp(left, operator, right):
                return self.logic(operator, [left, right])
            case ast.BoolOp(operator, values):
                return self.logic(operator, values)
            case ast.UnaryOp():
                return self.unary(node)
            case ast.Compare():
                return self.compare(node)
            case ast.Call(ast.Name(name), arguments):
                return self.call(name, arguments)
        raise AssertionError(node)

    def number(self, node: ast.expr) -> Values:
        """The value as int64 or float64: narrow and unsigned types would wrap around."""
        value = self.value(node)
        if value.dtype.kind == "f":
            return value.astype(np.float64, copy=False)
        if value.dtype == np.uint64 and np.any(value > np.iinfo(np.int64).max):
            return value
        return value.astype(np.int64, copy=False)

    def arithmetic(
        self, node: ast.expr, operator: ast.operator, left: Values, right: Values
    ) -> Values:
        """The result of an operator; integers that might not fit int64 are refused."""
        function = ARITHMETIC[type(operator)]
        if "f" not in (left.dtype.kind, right.dtype.kind) and not isinstance(operator, INEXACT):
            parts = left.astype(np.float64), right.astype(np.float64)
            for value in (*parts, function(*parts)):
                if np.any(np.abs(value) > MAX_EXACT):
                    _refuse(self.text, node.col_offset, "integers beyond 2**62; write 1.0 * them")
        return function(left, right)

    def boolean(self, node: ast.expr, operator: str) -> Values:
        value = self.value(node)
        if value.dtype != np.bool_:
            reason = f'"{operator}" needs true or false on each side, not {value.dtype}'
            _refuse(self.text, node.col_offset, reason)
        return value

    def logic(self, operator: ast.AST, nodes: list[ast.expr]) -> Values:
        name, function = LOGIC[type(operator)]
        result = self.boolean(nodes[0], name)
        for node in nodes[1:]:
            result = function(result, self.boolean(node, name))
        return result

    def unary(self, node: ast.UnaryOp) -> Values:
        match node.op:
            case ast.Invert():
                return np.logical_not(self.boolean(node.operand, "~"))
            case ast.Not():
                return np.logical_not(self.boolean(node.operand, "not"))
            case ast.USub():
                zero = np.zeros((), np.int64)
                return self.arithmetic(node, ast.Sub(), zero, self.number(node.operand))
        return self.number(node.operand)

    def compare(self, node: ast.Compare) -> Values:
        values = [self.number(operand) for operand in (node.left, *node.comparators)]
        pairs = zip(node.ops, values[:-1], values[1:], strict=True)
        parts = [COMPARISONS[type(operator)](left, right) for operator, left, right in pairs]
        return functools.reduce(np.logical_and, parts)

    def call(self, name: str, nodes: list[ast.expr]) -> Values:
        if name != "where":
            return FUNCTIONS[name](*[self.number(node) for node in nodes])
        chosen = [self.value(node) for node in nodes[1:]]
        if any(value.dtype != np.bool_ for value in chosen):
            chosen = [self.number(node) for node in nodes[1:]]
        return np.where(self.boolean(nodes[0], "where"), *chosen)
