"""Selections and weights: what they compute, and what is refused."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from hcrc.runtime.data.expression import parse
from hcrc.runtime.errors import SpecError
from hypothesis import given, settings
from hypothesis import strategies as st

from .data_files import error_text

COLUMNS = {
    "a": np.array([True, True, False, False]),
    "b": np.array([True, False, True, False]),
    "x": np.array([0.1, 1.5, -2.0, 0.0], np.float32),
    "n": np.array([4, 5, 6, 7], np.int32),
    "run": np.array([1, 2, 3, 4], np.uint32),
    "event": np.array([0, 1, 2**53 + 1, 2**62], np.uint64),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a & b", [True, False, False, False]),
        ("a | b", [True, True, True, False]),
        ("~a & b", [False, False, True, False]),
        ("a and not b", [False, True, False, False]),
        ("a or b and a", [True, True, False, False]),
        ("a & (x > 1)", [False, True, False, False]),
        ("5 <= n < 7", [False, True, True, False]),
        ("4 < n", [False, True, True, True]),
        ("a == 1", [True, True, False, False]),
        ("a != b", [False, True, True, False]),
        ("event == 9007199254740993", [False, False, True, False]),
        ("True | a", [True, True, True, True]),
        ("where(a, b, a)", [True, False, False, False]),
        ("n * 2 - 1", [7, 9, 11, 13]),
        ("run - 3", [-2, -1, 0, 1]),
        ("a + b", [2, 1, 1, 0]),
        ("-n + +n", [0, 0, 0, 0]),
        ("n % 4", [0, 1, 2, 3]),
        ("n / 2", [2, 2.5, 3, 3.5]),
        ("n ** 2", [16, 25, 36, 49]),
        ("abs(x)", np.abs(COLUMNS["x"].astype(float))),
        ("minimum(n, 5) + maximum(n, 6)", [10, 11, 11, 12]),
        ("where(n > 5, x, 1)", [1, 1, -2, 0]),
        ("sqrt(exp(log(n)))", [2, 5**0.5, 6**0.5, 7**0.5]),
        ("1e3 * a", [1000, 1000, 0, 0]),
        ("\n  a\n  & b\n", [True, False, False, False]),
    ],
)
def test_expression_is_computed_event_by_event(text: str, expected: object) -> None:
    value = parse(text).evaluate(COLUMNS)
    np.testing.assert_allclose(value, expected, rtol=1e-15)
    assert (value.dtype == bool) == (np.asarray(expected).dtype == bool)


def test_branches_are_those_named_once_and_in_order() -> None:
    expression = parse("passHLT & (SR | SB) & (abs(xW) < 2) & ~SR")
    assert expression.branches == ("passHLT", "SR", "SB", "xW")
    assert dataclasses.is_dataclass(expression)
    assert parse("1").branches == ()
    assert parse("2 * 3").evaluate({}) == 6


def test_a_float32_branch_is_compared_in_float64() -> None:
    assert not parse("x == 0.1").evaluate(COLUMNS)[0]


@pytest.mark.parametrize("text", ["x / 0", "n % 0", "log(x - 5)", "sqrt(-n)", "exp(n * 1000)"])
def test_values_that_do_not_exist_are_nan_or_inf_without_a_warning(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not np.isfinite(parse(text).evaluate(COLUMNS)).any()


def test_integers_beyond_int64_do_not_wrap() -> None:
    columns = {"event": np.array([2**64 - 1, 3], np.uint64)}
    assert parse("event > 9223372036854775807").evaluate(columns).tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "column"),
    [("event * event", 1), ("1 + (event + event)", 6), ("-(event * 4)", 3), ("~a | (-big < 0)", 7)],
)
def test_integers_that_would_wrap_are_refused(text: str, column: int) -> None:
    columns = COLUMNS | {"big": np.array([2**64 - 1] * 4, np.uint64)}
    with pytest.raises(SpecError) as error:
        parse(text).evaluate(columns)
    reason = f"column {column}: integers beyond 2**62; write 1.0 * them"
    assert str(error.value) == f'expression "{text}": {reason}'


def test_integers_in_floating_point_or_unsigned_do_not_wrap() -> None:
    assert parse("1.0 * event * event").evaluate(COLUMNS)[3] == 2.0**124
    assert parse("event / 2 ** 62").evaluate(COLUMNS)[3] == 1
    assert parse("0 - run").evaluate(COLUMNS).tolist() == [-1, -2, -3, -4]


WORDS = st.sampled_from([*COLUMNS, "1", "2.5", "7", "1e300", "True", *"+-*/%<>=&|~(),", "**", " "])
CALLS = st.sampled_from(["abs(", "log(", "where(", "minimum(", "and", "or", "not", "==", "in"])


@settings(max_examples=400, deadline=None)
@given(words=st.lists(st.one_of(WORDS, WORDS, CALLS, st.characters()), max_size=12))
def test_any_text_is_computed_or_refused_in_a_line(words: list[str]) -> None:
    found: list[np.ndarray] = []

    def compute() -> None:
        expression = parse(" ".join(words))
        columns = {name: COLUMNS.get(name, COLUMNS["x"]) for name in expression.branches}
        found.append(expression.evaluate(columns))

    text = error_text(compute)
    assert text.isprintable()
    assert bool(text) != any(value.shape in {(), (4,)} for value in found)


REFUSED = {
    "": "expression: empty",
    "  \n ": "expression: empty",
    "a &": 'expression "a &": column 4: invalid syntax',
    "  a & & b": 'expression "  a & & b": column 7: invalid syntax',
    "(a": "expression \"(a\": column 1: '(' was never closed",
    "__import__('os')": 'expression "__import__(\'os\')": column 12: unexpected character "\'"',
    "a.b": 'expression "a.b": column 1: attribute is not allowed here',
    "a & f(b)": 'expression "a & f(b)": column 5: unknown function; '
    "known: abs, sqrt, log, exp, minimum, maximum, where",
    "eval(a)": 'expression "eval(a)": column 1: unknown function; '
    "known: abs, sqrt, log, exp, minimum, maximum, where",
    "abs": 'expression "abs": column 1: abs is a function: write abs(...)',
    "abs(a, b)": 'expression "abs(a, b)": column 1: abs takes 1 argument',
    "where(a, b)": 'expression "where(a, b)": column 1: where takes 3 arguments',
    "abs(x=a)": 'expression "abs(x=a)": column 1: abs takes 1 argument',
    "abs(*a)": 'expression "abs(*a)": column 5: starred is not allowed here',
    "a if b else c": 'expression "a if b else c": column 1: ifexp is not allowed here',
    "x // 2": 'expression "x // 2": column 1: binop is not allowed here',
    "a << b": 'expression "a << b": column 1: binop is not allowed here',
    "a in b": 'expression "a in b": column 1: compare is not allowed here',
    "a is b": 'expression "a is b": column 1: compare is not allowed here',
    "a, b": 'expression "a, b": column 1: tuple is not allowed here',
    "x + None": 'expression "x + None": column 5: constant is not allowed here',
    "2j * x": 'expression "2j * x": column 1: constant is not allowed here',
    "x + ...": 'expression "x + ...": column 5: constant is not allowed here',
    "99999999999999999999 < x": 'expression "99999999999999999999 < x": column 1: '
    "constant is not allowed here",
    "a[0]": "expression \"a[0]\": column 2: unexpected character '['",
    "a # b": "expression \"a # b\": column 3: unexpected character '#'",
    "a; b": "expression \"a; b\": column 2: unexpected character ';'",
    "a\0": "expression \"a?\": column 2: unexpected character '\\x00'",
    "ℌ & a": "expression \"ℌ & a\": column 1: unexpected character 'ℌ'",
    "lambda: 1": "expression \"lambda: 1\": column 7: unexpected character ':'",
    "(yield)": 'expression "(yield)": column 2: yield is not allowed here',
    "1if a else 2": 'expression "1if a else 2": column 1: invalid decimal literal',
    "a" * 5000: "expression of 5000 characters; the limit is 4096",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_outside_the_grammar_is_refused_with_its_column(text: str) -> None:
    with pytest.raises(SpecError) as error:
        parse(text)
    message = str(error.value)
    assert "\n" not in message
    assert message == REFUSED[text]


@pytest.mark.parametrize(
    "text", ["(" * 1500 + "a" + ")" * 1500, "~" * 3000 + "a", "-" * 4000 + "1"]
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="column"):
        parse(text)


def test_a_hundred_levels_are_the_limit() -> None:
    assert parse(" + ".join("x" * 100)).branches == ("x",)
    with pytest.raises(SpecError, match="more than 100 levels deep"):
        parse(" + ".join("x" * 101))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a & n", 'column 5: "&" needs true or false on each side, not int32'),
        ("x | a", 'column 1: "|" needs true or false on each side, not float32'),
        ("a and x", 'column 7: "and" needs true or false on each side, not float32'),
        ("~n", 'column 2: "~" needs true or false on each side, not int32'),
        ("~x", 'column 2: "~" needs true or false on each side, not float32'),
        ("not x", 'column 5: "not" needs true or false on each side, not float32'),
        ("a & n > 1", 'column 5: "&" needs true or false on each side, not int32'),
        ("where(n, x, x)", 'column 7: "where" needs true or false on each side, not int32'),
    ],
)
def test_logic_on_numbers_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        parse(text).evaluate(COLUMNS)
    assert str(error.value) == f'expression "{text}": {message}'
