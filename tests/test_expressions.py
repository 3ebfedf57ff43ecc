"""Expressions when compiling: what is said of them, and that the runtime says the same."""

import ast

import pytest
from hcrc.compiler.expressions import check_expression, read_grammar
from hcrc.runtime.data import expression
from hcrc.runtime.errors import SpecError
from hypothesis import given, settings
from hypothesis import strategies as st

from .test_expression import COLUMNS

PIECES = [
    *("a", "b", "x", "n", "1", "2.5", "True", "(", ")", "(a", "x)", "[", "]", "'s'", ".", ",", ":"),
    *(" & ", " | ", "~", " and ", " or ", " not ", "+", "-", "*", "/", "//", "%", "**", "^", "@"),
    *(
        "<",
        "<=",
        "==",
        "!=",
        ">",
        " in ",
        " is ",
        " if ",
        " else ",
        "lambda x:",
        "await ",
        "9" * 30,
    ),
    *("abs(", "where(", "minimum(", "sum(", "ak.sum(", "x=", "*x", "\n", "\t", "é", "=", "1e999"),
]


def codes(text, key="selection"):
    return [fault.code for fault in check_expression(text, key)]


def test_the_runtime_has_the_functions_and_operators_of_the_grammar():
    grammar = read_grammar()
    assert set(expression.FUNCTIONS) == set(grammar["functions"])
    assert {kind.__name__ for kind in expression.ARITHMETIC} == set(grammar["arithmetic"])
    assert {kind.__name__ for kind in expression.COMPARISONS} == set(grammar["comparisons"])
    unary = {"Invert", "Not"}
    assert {kind.__name__ for kind in expression.LOGIC} | unary == set(grammar["logic"])
    assert all(issubclass(getattr(ast, name), ast.unaryop) for name in grammar["signs"])


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_compiler_and_runtime_take_the_same_texts(text):
    try:
        read = expression.parse(text)
    except SpecError:
        read = None
    found = codes(text)
    grammatical = [code for code in found if code not in ("expression-type", "unclear-precedence")]
    assert bool(grammatical) == (read is None)
    if "expression-type" in found and read is not None and set(read.branches) <= set(COLUMNS):
        with pytest.raises((SpecError, AssertionError)):
            assert read.evaluate(COLUMNS).dtype == bool


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sqr(x) > 1", ["unknown-function"]),
        ("ak.sum(x) > 1", ["unknown-function"]),
        ("sqrt > 1", ["function-arguments"]),
        ("minimum(x) > 1", ["function-arguments"]),
        ("minimum(a=1, b=2) > 1", ["function-arguments"]),
        ("x if a else b", ["not-in-expressions"]),
        ("x ^ a", ["expression-syntax"]),
        ("x in a", ["not-in-expressions"]),
        ("a.b", ["not-in-expressions"]),
        ("a[0]", ["expression-syntax"]),
        ("1", ["expression-type"]),
        ("x + 1", ["expression-type"]),
        ("a & 1", ["expression-type"]),
        ("~(x + 1)", ["expression-type"]),
        ("a > 1 & b > 2", ["expression-type"]),
        ("where(1, a, b)", ["expression-type"]),
        ("a & n > 1", ["unclear-precedence"]),
        ("(a & n) > 1", []),
        ("a & (n > 1)", []),
        ("where(a, b, a)", []),
        ("not a and b", []),
        ("-x < abs(n) < 3", []),
        ("(" * 90 + "a" + ")" * 90, []),
        ("~" * 100 + "a", ["expression-syntax"]),
        ("a" * 5000, ["expression-syntax"]),
    ],
)
def test_faults_of_a_selection(text, expected):
    assert codes(text) == expected


def test_a_weight_is_a_number():
    assert codes("a & b", "weight") == ["expression-type"]
    assert codes("a * (b > 1)", "weight") == []
    assert codes("where(a, 1, 2)", "weight") == []


def test_a_fault_says_where_and_what_is_near():
    (fault,) = check_expression(" a & (sqr(x) > 1)", "selection")
    assert (fault.start, fault.end) == (6, 9)
    assert fault.message == 'there is no function "sqr"'
    assert fault.help == 'did you mean "sqrt"?'
