"""Templates: the grammar of str.format, typed values, and where a value came from."""

from typing import Any

import pytest
from hcrc.compiler.diagnostics import Source, Span, render_text
from hcrc.compiler.parse import Mapping, Node, Scalar, locate, parse, to_plain
from hcrc.compiler.template import (
    Binding,
    Placeholder,
    Substitution,
    TemplateError,
    names_in,
    node_of,
    placeholders,
    substitute,
    unquoted_placeholder,
)
from hypothesis import given
from hypothesis import strategies as st

ORIGIN = Span(Source("svb.yml", "\n" * 9 + "offset: 4"), 10, 9, 10, 10)


def node(text: str) -> Node:
    document, diagnostics = parse(text, "w.yml")
    assert diagnostics == []
    assert document.root is not None
    return document.root


def bound(**values: Any) -> dict[str, Binding]:
    return {key: Binding(value, node("x"), ORIGIN) for key, value in values.items()}


def fill(text: str, **values: Any) -> Substitution:
    return substitute(node(text), bound(**values), ["timestamp"])


def messages(done: Substitution) -> list[str]:
    return [f"{d.span} {d.code}: {d.message} [{d.help}]" for d in done.diagnostics]


def test_placeholders() -> None:
    assert placeholders("a{x}{{y}}{z_1:>5}") == [
        Placeholder("x", None, 1, 4),
        Placeholder("z_1", ">5", 9, 17),
    ]
    assert placeholders("plain") == []


BRACES = "write {{ and }} for the characters themselves"


@pytest.mark.parametrize(
    ("text", "message", "start", "end", "help"),
    [
        ("a{", 'a "{" without its partner', 1, 2, 'write "{{" for the character itself'),
        ("a}b", 'a "}" without its partner', 1, 2, 'write "}}" for the character itself'),
        ("{x:{y}}", 'a "{" without its partner', 0, 1, 'write "{{" for the character itself'),
        ("a{}", "a placeholder without a name", 1, 3, BRACES),
        ("{0}", "{0}: placeholders go by name, not by position", 0, 3, BRACES),
        ("{x.y}", "{x.y}: a placeholder takes no attribute, index or conversion", 0, 5, BRACES),
        ("{x[0]}", "{x[0]}: a placeholder takes no attribute, index or conversion", 0, 6, BRACES),
        ("{x!r}", "{x!r}: a placeholder takes no attribute, index or conversion", 0, 5, BRACES),
        ("{a b}", '"a b" is not the name of a parameter', 0, 5, BRACES),
    ],
)
def test_malformed(text: str, message: str, start: int, end: int, help: str) -> None:
    with pytest.raises(TemplateError) as caught:
        placeholders(text)
    error = caught.value
    assert (error.message, error.start, error.end, error.help) == (message, start, end, help)
    (found,) = substitute(node(f'k: "{text}"'), {}).diagnostics
    assert (found.code, found.message, found.span) == (
        "bad-placeholder" if help is BRACES else "stray-brace",
        message,
        Span(Source("w.yml", f'k: "{text}"'), 1, 5 + start, 1, 5 + end),
    )


def test_a_lone_placeholder_takes_the_typed_value() -> None:
    done = fill("[6, '{a}', '{b}', '{c}', '{d}', '{e}', '{f}']",
                a=6, b=1.5, c=True, d=[1, "x"], e={"k": [2]}, f="{a}")  # fmt: skip
    assert to_plain(done.node) == [6, 6, 1.5, True, [1, "x"], {"k": [2]}, "{a}"]
    assert done.diagnostics == []
    assert done.used == {"a", "b", "c", "d", "e", "f"}


def test_a_filled_node_says_where_its_value_came_from() -> None:
    done = fill("k: '{offset}'", offset=[4])
    for filled in (locate(done.node, ["k"]), locate(done.node, ["k", 0])):
        assert (filled.span.line, filled.span.column, filled.span.end_column) == (1, 4, 14)
        assert filled.notes == (("in expansion of {offset} = [4]", ORIGIN),)
    done = fill("k: 'x{offset}{tag}{offset}'", offset=4, tag="a")
    assert locate(done.node, ["k"]).notes == (
        ("in expansion of {offset} = 4", ORIGIN),
        ('in expansion of {tag} = "a"', ORIGIN),
    )


def test_inside_of_a_string_a_value_is_text() -> None:
    done = fill(
        "k: '{a}-{b:03d}-{c:.2f}-{d}-{e}-{f:>4}-{{a}}'", a=1, b=2, c=1.5, d=True, e=None, f="x"
    )
    assert to_plain(done.node) == {"k": "1-002-1.50-true-null-   x-{a}"}
    assert done.diagnostics == []


def test_a_lone_placeholder_with_a_format_is_text() -> None:
    filled = locate(fill("k: '{a:03d}'", a=7).node, ["k"])
    assert isinstance(filled, Scalar)
    assert (filled.value, filled.text, filled.quoted) == ("007", "007", True)


def test_a_range_inside_of_a_string_keeps_its_text() -> None:
    binding = Binding([0, 1, 2], node("x"), ORIGIN, "0-2")
    done = substitute(node("['{r} 7', '{r}', '{r:3}']"), {"r": binding})
    assert to_plain(done.node) == ["0-2 7", [0, 1, 2], "{r:3}"]
    assert messages(done) == [
        "w.yml:1:19 list-in-text: {r} is a list: it cannot stand inside of a string [None]"
    ]


def test_errors_of_filling() -> None:
    done = fill(
        "k: 'x{l}{m}{n:03d}{n:9999}{kfold}{user}'\nl: '{usr}'", l=[1], m={}, n="s", kfolds=3, user=1
    )
    assert messages(done) == [
        "w.yml:1:6 list-in-text: {l} is a list: it cannot stand inside of a string [None]",
        "w.yml:1:9 list-in-text: {m} is a mapping: it cannot stand inside of a string [None]",
        'w.yml:1:12 bad-format: the format "03d" does not fit the value "s" [None]',
        'w.yml:1:19 bad-format: the format "9999" is wider than 999 characters [None]',
        'w.yml:1:27 unknown-placeholder: there is no parameter "kfold" [did you mean "kfolds"?]',
        'w.yml:2:5 unknown-placeholder: there is no parameter "usr" [did you mean "user"?]',
    ]


def test_an_unknown_name_stands_at_its_own_column() -> None:
    assert render_text(fill('output: "{store}/train/{tga}/"', store="s", tag="t").diagnostics) == (
        'w.yml:1:24: error[unknown-placeholder]: there is no parameter "tga"\n'
        '  |\n1 | output: "{store}/train/{tga}/"\n'
        '  |                        ^^^^^\n  = help: did you mean "tag"?\n'
    )


def test_keys_stay_and_what_needs_no_filling_is_the_same_object() -> None:
    done = fill("'{a}': ['{a}', {b: c}]\nd: [1, {e: f}]\ng: 'a'", a=1)
    assert to_plain(done.node) == {"{a}": [1, {"b": "c"}], "d": [1, {"e": "f"}], "g": "a"}
    before = node("d: [1, {e: f}]")
    assert substitute(before, bound(a=1)).node is before


def test_deferred_names_stay() -> None:
    done = fill("[ '{timestamp}', '{a}/{timestamp:%Y}/{{b}}' ]", a=1)
    assert to_plain(done.node) == ["{timestamp}", "1/{timestamp:%Y}/{b}"]
    assert (done.diagnostics, done.used) == ([], {"a", "timestamp"})


def test_environment_variables() -> None:
    done = substitute(node("['{env:USER}', 'x{env:USER}', '{env:NO}']"), {}, (), {"USER": "me"})
    assert to_plain(done.node) == ["me", "xme", "{env:NO}"]
    assert messages(done) == [
        "w.yml:1:32 unset-variable: the environment variable NO is not set "
        "[export NO=…, or give the parameter]"
    ]
    assert locate(done.node, [1]).notes == (('in expansion of {env:USER} = "me"', None),)
    assert messages(fill("k: '{env:USER}'")) == [
        "w.yml:1:5 env-outside-default: environment variables are read in defaults "
        "of strings and paths only [declare a parameter with this default]"
    ]


@pytest.mark.parametrize("text", ["{norm}", "{norm: }", "{norm:03d}"])
def test_an_unquoted_placeholder_is_found(text: str) -> None:
    written = text[1:-1].removesuffix(": ")
    found = unquoted_placeholder(locate(node(f"k: {text}"), ["k"]))
    assert found is not None
    assert found.code == "unquoted-placeholder"
    assert found.message == f"{{{written}}} without quotes is YAML for {{{written}: null}}"
    assert found.help == f'write "{{{written}}}"'


@pytest.mark.parametrize(
    "text", ["{norm: null}", "{norm: 1}", "{'norm'}", "{a, b}", "\n  norm:", "{a b}", "{}", "x"]
)
def test_other_mappings_are_no_unquoted_placeholders(text: str) -> None:
    assert unquoted_placeholder(locate(node(f"k: {text}"), ["k"])) is None


def test_an_unquoted_placeholder_of_a_known_name_is_an_error_when_filling() -> None:
    done = fill("a: {norm}\nb: {other}\nc: {timestamp}", norm=1)
    assert messages(done) == [
        "w.yml:1:4 unquoted-placeholder: {norm} without quotes is YAML for {norm: null} "
        '[write "{norm}"]',
        "w.yml:3:4 unquoted-placeholder: {timestamp} without quotes is YAML for "
        '{timestamp: null} [write "{timestamp}"]',
    ]
    assert done.used == {"norm", "timestamp"}


def test_names() -> None:
    assert names_in(node("a: ['{x}{y:3}', 7, {k: '{z}{{w}}'}]\n'{key}': '{'")) == {"x", "y", "z"}


def test_plain_values_as_nodes() -> None:
    value = {"a": [1, 1.5, None, True, "x"], "b": {}}
    made = node_of(value, ORIGIN, ())
    assert isinstance(made, Mapping)
    assert to_plain(made) == value
    assert [locate(made, ["a", i]).text for i in range(5)] == ["1", "1.5", "null", "true", "x"]


TEXTS = st.text(alphabet="{}ab:3d!.[] ", max_size=12)


@given(TEXTS)
def test_what_is_accepted_is_what_str_format_gives(text: str) -> None:
    values = {"a": "A", "b": "B"}
    scalar = Scalar(text, text, True, ORIGIN)
    done = substitute(scalar, bound(**values))
    if not done.diagnostics:
        assert to_plain(done.node) == text.format(**values)


@given(st.text(max_size=20))
def test_escaped_text_comes_back(text: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert to_plain(substitute(Scalar(escaped, escaped, True, ORIGIN), {}).node) == text
