"""A selection or a weight in, what is wrong with it out, as far as can be told without the data.

What expressions may hold is written in `schemas/expression.json`, which the runtime reads too.
Branches are known when the job runs; here only functions, operators and what they combine.
"""

from __future__ import annotations

import ast
import functools
import json
import re
import warnings
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from .diagnostics import show, suggest
from .shipped import read_schema

BOOLEAN: Final = "true or false"
NUMBER: Final = "a number"
WANTED: Final[Mapping[str, str | None]] = {
    "selection": BOOLEAN,
    "weight": NUMBER,
    "output": NUMBER,
    "column": None,
}
INSTEAD: Final[Mapping[str, str]] = {
    "^": "write a != b",
    "FloorDiv": "there is / only",
    "IfExp": "write where(condition, a, b)",
    "In": "write (x == 1) | (x == 2)",
    "NotIn": "write (x != 1) & (x != 2)",
    "Is": "write ==",
    "IsNot": "write !=",
    "Attribute": "branches have plain names: CanJet_pt",
    "Subscript": "a branch has one value for each event",
    "Lambda": "a parameter of the workflow can name a value",
}


class Fault(NamedTuple):
    """What is wrong with characters [start, end) of an expression."""

    code: str
    message: str
    start: int
    end: int
    help: str | None = None


@functools.cache
def read_grammar() -> Any:
    """What an expression may hold."""
    return json.loads(read_schema("expression.json"))


@functools.lru_cache(maxsize=4096)
def check_expression(text: str, key: str) -> tuple[Fault, ...]:
    """What is wrong with the text of a selection, a weight, an output or a column."""
    line = re.sub(r"[\t\r\n]", " ", text).rstrip()
    grammar = read_grammar()
    foreign = re.search(f"[^{grammar['characters'][1:]}", line)
    if foreign:
        message = f"{show(foreign.group())} cannot stand in an expression"
        help = INSTEAD.get(foreign.group(), "an expression is made of branches and numbers")
        return (Fault("expression-syntax", message, foreign.start(), foreign.end(), help),)
    indent = len(line) - len(line.lstrip())
    if len(line) > grammar["max_length"]:
        message = f"an expression of {len(line)} characters; the limit is {grammar['max_length']}"
        return (Fault("expression-syntax", message, indent, len(line)),)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = ast.parse(line[indent:], mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return (_syntax(line, indent, error),)
    walk = _Walk(line, indent)
    walk.judge(tree, WANTED[key])
    return tuple(walk.faults)


def list_names(text: str) -> list[tuple[str, int, int]]:
    """The names of columns in an expression that nothing is wrong with, and where they stand."""
    line = re.sub(r"[\t\r\n]", " ", text).rstrip()
    indent = len(line) - len(line.lstrip())
    tree = ast.parse(line[indent:], mode="eval").body
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [
        (node.id, node.col_offset + indent, (node.end_col_offset or 0) + indent)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and id(node) not in functions
    ]
    return sorted(found, key=lambda name: name[1])


def _syntax(line: str, indent: int, error: Exception) -> Fault:
    reason = getattr(error, "msg", None) or str(error) or "too large"
    start = indent + max((getattr(error, "offset", None) or 1) - 1, 0)
    start = min(start, len(line) - 1)
    message = f"{show(line.strip())} is not an expression over branches: {reason}"
    return Fault("expression-syntax", message, start, start + 1)


class _Walk:
    """One walk over a tree; ``faults`` gathers what is wrong."""

    def __init__(self, line: str, indent: int) -> None:
        self.line = line
        self.indent = indent
        self.faults: list[Fault] = []
        self.depth = 0

    def judge(self, tree: ast.expr, wanted: str | None) -> None:
        """Walk a whole expression, which has to be of the kind wanted, if one is."""
        kind = self.kind(tree)
        if None not in (kind, wanted) and kind != wanted and not self.faults:
            help = "compare it with something: > 0" if wanted == BOOLEAN else None
            self.fault(tree, "expression-type", f"this is {kind}, expected {wanted}", help)

    def kind(self, node: ast.expr) -> str | None:
        """Whether a part is true or false, or a number; None where only the data can tell."""
        self.depth += 1
        if self.depth > read_grammar()["max_depth"]:
            limit = read_grammar()["max_depth"]
            self.fault(node, "expression-syntax", f"more than {limit} levels deep", once=True)
            found = None
        else:
            found = self._kind(node)
        self.depth -= 1
        return found

    def _kind(self, node: ast.expr) -> str | None:
        grammar = read_grammar()
        match node:
            case ast.Name(name):
                if name in grammar["functions"]:
                    message = f"{name} is a function: write {name}(…)"
                    self.fault(node, "function-arguments", message)
                return None
            case ast.Constant(bool()):
                return BOOLEAN
            case ast.Constant(int() | float() as value) if value <= grammar["max_integer"]:
                return NUMBER
            case ast.BinOp(left, operator, right) if _name(operator) in grammar["logic"]:
                return self.logic(operator, [left, right])
            case ast.BoolOp(operator, values):
                return self.logic(operator, values)
            case ast.UnaryOp(operator, operand) if _name(operator) in grammar["logic"]:
                return self.logic(operator, [operand])
            case ast.UnaryOp(_, operand):
                self.kind(operand)
                return NUMBER
            case ast.BinOp(left, operator, right) if _name(operator) in grammar["arithmetic"]:
                self.kind(left), self.kind(right)
                return NUMBER
            case ast.Compare():
                return self.compare(node)
            case ast.Call():
                return self.call(node)
        self.foreign(node)
        return None

    def logic(self, operator: ast.AST, operands: list[ast.expr]) -> str:
        """``& | ~ and or not`` combine what is true or false."""
        sign = read_grammar()["logic"][_name(operator)]
        for operand in operands:
            if self.kind(operand) == NUMBER:
                message = f'"{sign}" combines true and false, and this is a number'
                help = f'"{sign}" comes before comparisons: write (a > 1) {sign} (b > 2)'
                tight = sign in ("&", "|", "~")
                self.fault(operand, "expression-type", message, help if tight else None)
        return BOOLEAN

    def compare(self, node: ast.Compare) -> str:
        """Comparisons give true or false; their parts bind less than ``&`` and ``|``."""
        for operator in node.ops:
            if _name(operator) not in read_grammar()["comparisons"]:
                self.foreign(node, operator)
                return BOOLEAN
        before = len(self.faults)
        parts = [node.left, *node.comparators]
        for part in parts:
            self.kind(part)
        for part in parts if len(self.faults) == before else ():
            if isinstance(part, ast.BinOp) and isinstance(part.op, ast.BitAnd | ast.BitOr):
                self.check_brackets(part)
        return BOOLEAN

    def check_brackets(self, part: ast.BinOp) -> None:
        """``a & b > 2`` is ``(a & b) > 2``: if that is meant, brackets say so."""
        start, end = self.place(part)
        before, after = self.line[:start].rstrip(), self.line[end:].lstrip()
        if not (before.endswith("(") and after.startswith(")")):
            sign = read_grammar()["logic"][_name(part.op)]
            text = self.line[start:end]
            message = f'"{sign}" comes before the comparison here: this compares {show(text)}'
            help = f"write a {sign} (b > 2), or ({text}) if that is meant"
            self.faults.append(Fault("unclear-precedence", message, start, end, help))

    def call(self, node: ast.Call) -> str | None:
        """A function takes as many arguments as it says; ``where`` gives what it is given."""
        functions = read_grammar()["functions"]
        kinds = [self.kind(argument) for argument in node.args]
        if not isinstance(node.func, ast.Name) or node.func.id not in functions:
            name = ast.unparse(node.func)
            help = suggest(name.rpartition(".")[2], functions)
            self.fault(node.func, "unknown-function", f"there is no function {show(name)}", help)
            return None
        name, count = node.func.id, functions[node.func.id]
        if node.keywords or len(node.args) != count:
            message = f"{name} takes {count} argument{'s' * (count > 1)}, not {len(node.args)}"
            message = f"{name} takes no names of arguments" if node.keywords else message
            self.fault(node, "function-arguments", message)
            return None
        if name != "where":
            return NUMBER
        if kinds[0] == NUMBER:
            message = f"the first argument of where is {BOOLEAN}, and this is a number"
            self.fault(node.args[0], "expression-type", message)
        return (
            BOOLEAN if kinds[1:] == [BOOLEAN, BOOLEAN] else NUMBER if NUMBER in kinds[1:] else None
        )

    def foreign(self, node: ast.expr, part: ast.AST | None = None) -> None:
        """Something of Python that expressions do not have."""
        name = _name(part or getattr(node, "op", node))
        start, end = self.place(node)
        message = f"{show(self.line[start:end])}: expressions have no such thing"
        if isinstance(node, ast.Constant):
            message = f"{show(self.line[start:end])} is no number that an expression can hold"
        help = INSTEAD.get(name, f"there are {_signs()}")
        self.faults.append(Fault("not-in-expressions", message, start, end, help))

    def fault(
        self, node: ast.expr, code: str, message: str, help: str | None = None, once: bool = False
    ) -> None:
        """Add what is wrong with a part."""
        if not once or all(each.message != message for each in self.faults):
            self.faults.append(Fault(code, message, *self.place(node), help))

    def place(self, node: ast.expr) -> tuple[int, int]:
        """Where a part stands; expressions are one line of ASCII."""
        return node.col_offset + self.indent, (node.end_col_offset or 0) + self.indent


def _signs() -> str:
    grammar = read_grammar()
    signs = [*grammar["arithmetic"].values(), *grammar["comparisons"].values()]
    return " ".join([*signs, *grammar["logic"].values(), *grammar["functions"]])


def _name(node: object) -> str:
    return type(node).__name__
