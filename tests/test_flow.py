"""What is written as YAML on one line is read again as the same."""

import math

import pytest
from hcrc.compiler.flow import write_flow
from hcrc.compiler.nodes import to_plain
from hcrc.compiler.parse import parse
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20) | st.sampled_from(
    ["", "no", "010", "1e3", "0o10", ".nan", "~", "a: b", "a #b", "{x}", "- a", "http://a/b", "a:"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda items: st.lists(items, max_size=4) | st.dictionaries(TEXTS, items, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(VALUES)
def test_values_come_back(value):
    document, problems = parse(f"key: {write_flow(value)}\n", "flow")
    assert problems == []
    assert to_plain(document.root) == {"key": value}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"epochs": 5, "schedule": "FixedStep"}, "{epochs: 5, schedule: FixedStep}"),
        (["A/result.json", "root://host//b"], "[A/result.json, root://host//b]"),
        (["1e3", "no", "true", "a b", 'q"'], '["1e3", no, "true", "a b", "q\\""]'),
        ([None, True, 0.01, 1e-05], "[null, true, 0.01, 1e-05]"),
        ({"0": [], "a": {}}, '{"0": [], a: {}}'),
        ("\x85\u2028", '"\\u0085\\u2028"'),
        ([math.inf, -math.inf, math.nan], "[.inf, -.inf, .nan]"),
    ],
)
def test_texts_have_quotes_where_they_need_them(value, text):
    assert write_flow(value) == text
