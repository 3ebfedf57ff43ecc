"""Ranges: every value counts, every error has its column."""

import pytest
from hcrc.compiler.diagnostics import Diagnostic, render_text
from hcrc.compiler.parse import locate, parse
from hcrc.compiler.ranges import RangeError, format_range, parse_range, range_of
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0-2 4-6 8", [0, 1, 2, 4, 5, 6, 8]),
        ("3", [3]),
        ("3-3", [3]),
        ("8 0-1", [8, 0, 1]),
        ("  1\t2  ", [1, 2]),
        ("007", [7]),
    ],
)
def test_values(text: str, values: list[int]) -> None:
    assert parse_range(text) == values


@pytest.mark.parametrize(
    ("text", "message", "start", "end", "help"),
    [
        ("0 3-1 5", "3-1 runs backwards", 2, 5, 'write "1-3"'),
        ("1 -2", "-2 is negative", 2, 4, "values of a range count from 0"),
        ("-2-3", "-2-3 is negative", 0, 4, "values of a range count from 0"),
        ("0-3 2-5", "2-3 is there twice", 4, 7, "write every value once"),
        ("1 1", "1 is there twice", 2, 3, "write every value once"),
        ("1,2", '"," in a range', 1, 2, 'separate with blanks: ranges look like "0-2 4-6 8"'),
        ("a", '"a" is neither a number nor a range', 0, 1, 'ranges look like "0-2 4-6 8"'),
        ("1- 2", '"1-" is neither a number nor a range', 0, 2, 'ranges look like "0-2 4-6 8"'),
        ("1--2", '"1--2" is neither a number nor a range', 0, 4, 'ranges look like "0-2 4-6 8"'),
        ("1.5", '"1.5" is neither a number nor a range', 0, 3, 'ranges look like "0-2 4-6 8"'),
        ("٣", '"٣" is neither a number nor a range', 0, 1, 'ranges look like "0-2 4-6 8"'),
        ("", "a range without values", 0, 0, 'ranges look like "0-2 4-6 8"'),
        ("  ", "a range without values", 0, 2, 'ranges look like "0-2 4-6 8"'),
        ("0-200000", "more than 200,000 values", 0, 8, 'ranges look like "0-2 4-6 8"'),
        ("1 0-199999", "more than 200,000 values", 2, 10, 'ranges look like "0-2 4-6 8"'),
        ("9" * 19, "9" * 19 + " is too large", 0, 19, 'ranges look like "0-2 4-6 8"'),
    ],
)
def test_errors(text: str, message: str, start: int, end: int, help: str) -> None:
    with pytest.raises(RangeError) as caught:
        parse_range(text)
    error = caught.value
    assert (error.message, error.start, error.end, error.help) == (message, start, end, help)


def test_two_hundred_thousand_values_are_not_too_many() -> None:
    assert len(parse_range("0-199999")) == 200_000


def of(text: str) -> list[int] | list[Diagnostic]:
    document, _ = parse(f"offset: {text}", "w.yml")
    assert document.root is not None
    return range_of(locate(document.root, ["offset"]))


@pytest.mark.parametrize(
    ("text", "values"),
    [("3", [3]), ("'0-2 4'", [0, 1, 2, 4]), ("0-2", [0, 1, 2]), ("[4, 2]", [4, 2])],
)
def test_a_node_is_a_text_a_number_or_a_list(text: str, values: list[int]) -> None:
    assert of(text) == values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'0 3-1'", ["12 reversed-range: 3-1 runs backwards"]),
        ("0 3-1", ["11 reversed-range: 3-1 runs backwards"]),
        ("-3", ["9 negative-range: -3 is negative"]),
        ("''", ["10 empty-range: a range without values"]),
        ("1.5", ["9 wrong-type: 1.5 is not a range"]),
        ("true", ["9 wrong-type: true is not a range"]),
        ("", ["7 wrong-type: null is not a range"]),
        ("{a: 1}", ["9 wrong-type: a mapping, expected a range"]),
        ("[]", ["9 empty-range: a range without values"]),
        (
            "[1, 1, -2, a, true, [2]]",
            [
                "13 overlapping-range: 1 twice",
                "16 negative-range: -2 is negative",
                "20 wrong-type: the list of a range holds integers only",
                "23 wrong-type: the list of a range holds integers only",
                "29 wrong-type: the list of a range holds integers only",
            ],
        ),
    ],
)
def test_errors_of_a_node(text: str, expected: list[str]) -> None:
    found = [each for each in of(text) if isinstance(each, Diagnostic)]
    assert [f"{d.span.column} {d.code}: {d.message}" for d in found if d.span] == expected


def test_an_error_stands_at_its_column() -> None:
    found = [each for each in of('"0-2 5-4"') if isinstance(each, Diagnostic)]
    assert render_text(found) == (
        "w.yml:1:14: error[reversed-range]: 5-4 runs backwards\n"
        '  |\n1 | offset: "0-2 5-4"\n  |              ^^^\n  = help: write "4-5"\n'
    )


def test_format() -> None:
    assert format_range([8, 0, 1, 2, 4, 5, 6]) == "0-2 4-6 8"
    assert format_range([]) == ""


@given(st.sets(st.integers(0, 60) | st.integers(0, 10**17), min_size=1))
def test_round_trip(values: set[int]) -> None:
    assert parse_range(format_range(values)) == sorted(values)


@given(st.text(alphabet="0123- ,x\n", max_size=12))
def test_no_text_loses_a_value_or_raises_anything_else(text: str) -> None:
    values = try_to_parse(text)
    if isinstance(values, RangeError):
        assert 0 <= values.start <= values.end <= len(text)
        return
    assert len(values) == len(set(values))
    for part in text.split():
        low, _, high = part.partition("-")
        assert set(range(int(low), int(high or low) + 1)) <= set(values)


def try_to_parse(text: str) -> list[int] | RangeError:
    try:
        return parse_range(text)
    except RangeError as error:
        return error
