"""Parsing: values, places, what is refused, and that no text makes it raise."""

import math

import pytest
from hcrc.compiler.parse import (
    Mapping,
    Scalar,
    locate,
    locate_key,
    span_within,
    to_plain,
)

from .documents import WORKFLOW, good


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("false", False),
        ("null", None),
        ("~", None),
        ("Null", None),
        ("nULL", "nULL"),
        ("12:30:00", "12:30:00"),
        ("2024-01-01", "2024-01-01"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("+3", 3),
        ("-3", -3),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("1.5E-3", 0.0015),
        ("e3", "e3"),
        (".", "."),
        ("1.2.3", "1.2.3"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("inf", "inf"),
        ("nan", "nan"),
        ("=", "="),
        ("'5'", "5"),
        ('"true"', "true"),
        ('""', ""),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    node = good(f"a: {text}")
    assert isinstance(node, Mapping)
    scalar = node.get("a")
    assert isinstance(scalar, Scalar)
    assert type(scalar.value) is type(value)
    assert scalar.value == value
    assert scalar.quoted == (text[0] in "\"'")
    assert scalar.text == text.strip("\"'")


def test_not_a_number() -> None:
    node = locate(good("[.nan]"), [0])
    assert isinstance(node, Scalar)
    assert isinstance(node.value, float)
    assert math.isnan(node.value)


def test_a_workflow_as_plain_values() -> None:
    assert to_plain(good(WORKFLOW)) == {
        "hcrc": 1,
        "name": "SvB",
        "parameters": {
            "user": {"type": "string", "default": "{env:USER}", "help": "user name"},
            "norm": {"type": "number", "default": 6, "help": "total: ZZ, ZH"},
            "offset": {"type": "range", "default": "0-2 4-6 8"},
        },
        "include": ["hcr/datasets.yml", "hcr/svb.yml"],
        "tasks": {
            "train": {
                "task": "train",
                "kfolds": 3,
                "classifier": "HCR.SvB",
                "datasets": [{"use": "HCR", "norm": "{norm}"}, "HCR.SvB"],
                "note": "two\nlines\n",
                "long": "a plain text over two lines",
            }
        },
        "settings": {"torch.DataLoader": {"batch_eval": 100000.0, "empty": None}},
    }


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ([], (1, 1, 23, 47)),
        (["name"], (2, 7, 2, 10)),
        (["parameters"], (4, 3, 6, 46)),
        (["parameters", "user"], (4, 11, 4, 65)),
        (["parameters", "user", "default"], (4, 35, 4, 47)),
        (["include"], (7, 10, 7, 41)),
        (["include", 1], (7, 29, 7, 40)),
        (["tasks", "train", "classifier"], (12, 22, 12, 29)),
        (["tasks", "train", "datasets"], (14, 5, 15, 11)),
        (["tasks", "train", "datasets", 1], (12, 22, 12, 29)),
        (["tasks", "train", "note"], (16, 11, 18, 12)),
        (["tasks", "train", "long"], (20, 11, 21, 21)),
        (["tasks"], (9, 3, 21, 21)),
        (["settings", "torch.DataLoader", "empty"], (23, 44, 23, 44)),
    ],
)
def test_every_node_keeps_its_place(path: list[str | int], place: tuple[int, ...]) -> None:
    span = locate(good(WORKFLOW), path).span
    assert (span.line, span.column, span.end_line, span.end_column) == place


def test_keys_keep_their_place_and_text() -> None:
    root = good("{1: x, true: y, 'q': z, 2024-01-01: t}")
    assert to_plain(root) == {"1": "x", "true": "y", "q": "z", "2024-01-01": "t"}
    key = locate_key(root, ["q"])
    assert key is not None
    assert (key.text, key.quoted, key.span.column) == ("q", True, 17)
    assert locate_key(root, []) is None
    assert locate_key(good("[a]"), [0]) is None


def test_locate_refuses_what_is_not_there() -> None:
    with pytest.raises(KeyError):
        locate(good("a: 1"), ["a", "b"])


def test_an_alias_says_where_it_is_used() -> None:
    node = locate(good(WORKFLOW), ["tasks", "train", "datasets", 1])
    ((message, span),) = node.notes
    assert message == "used as *svb"
    assert span is not None
    assert (span.line, span.column) == (15, 7)


@pytest.mark.parametrize("prefix", ["&a", "&a  ", "&a # note\n  ", "&a\n  # note\n\n  "])
def test_an_anchor_is_no_part_of_the_value(prefix: str) -> None:
    node = locate(good(f"k: {prefix} value"), ["k"])
    assert node.span.source.lines[node.span.line - 1][node.span.column - 1 :] == "value"


@pytest.mark.parametrize(
    ("text", "start", "end", "place"),
    [
        ("k: abc", 1, 2, (1, 5, 6)),
        ("k: 'abc'", 1, 2, (1, 6, 7)),
        ('k: "a\\tbc {x}"', 5, 8, (1, 11, 14)),
        ('k: "\\t{x} {x}"', 5, 8, (1, 11, 14)),
        ("k: |\n  one {x}\n  two {x}\n", 12, 15, (3, 7, 10)),
        ("k: one\n  {x}\n", 4, 7, (2, 3, 6)),
        ('k: "\\x41"', 0, 1, (1, 4, 10)),
        ("k: 'abc'", 0, 0, (1, 5, 5)),
    ],
)
def test_places_within_a_scalar(text: str, start: int, end: int, place: tuple[int, ...]) -> None:
    node = locate(good(text), ["k"])
    assert isinstance(node, Scalar)
    span = span_within(node, start, end)
    assert (span.line, span.column, span.end_column) == place
