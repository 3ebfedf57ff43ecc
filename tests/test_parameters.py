"""Binding: types, layers, defaults that refer to others, and everything that is refused."""

from pathlib import Path
from typing import Any

import pytest
from hcrc.compiler.diagnostics import Diagnostic, render_text
from hcrc.compiler.files import Disk
from hcrc.compiler.given import parse_param, parse_template
from hcrc.compiler.parameters import (
    Binding,
    bind,
    unused_parameters,
)
from hcrc.compiler.parse import Mapping, Node, parse, to_plain

CWD = Path("/here")


def declare(text: str) -> Node:
    document, diagnostics = parse(text, "w.yml")
    assert diagnostics == []
    assert document.root is not None
    return document.root


def template(text: str) -> Mapping:
    node, diagnostics = parse_template(text, CWD, Disk())
    assert diagnostics == []
    assert node is not None
    return node


def param(text: str) -> Mapping:
    node, diagnostics = parse_param(text)
    assert diagnostics == []
    assert node is not None
    return node


def bind_text(text: str, *layers: Mapping) -> tuple[dict[str, Binding], list[Diagnostic]]:
    return bind(declare(text), layers, {"USER": "me"}, CWD)


def values(text: str, *layers: Mapping) -> dict[str, Any]:
    bindings, diagnostics = bind_text(text, *layers)
    assert diagnostics == []
    return {name: binding.value for name, binding in bindings.items()}


def errors(text: str, *layers: Mapping) -> list[str]:
    _, diagnostics = bind_text(text, *layers)
    return [
        f"{d.span} {d.code}: {d.message}" + (f" [{d.help}]" if d.help else "") for d in diagnostics
    ]


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        ("string", "a", "a"),
        ("string", "2024", "2024"),
        ("string", "1.0", "1.0"),
        ("string", "true", "true"),
        ("string", "'null'", "null"),
        ("string", "''", ""),
        ("integer", "6", 6),
        ("integer", "0x10", 16),
        ("number", "6", 6),
        ("number", "1e3", 1000.0),
        ("boolean", "true", True),
        ("path", "root://x//y", "root://x//y"),
        ("range", "0-2 4", [0, 1, 2, 4]),
        ("range", "3", [3]),
        ("range", "[3, 1]", [3, 1]),
        ("list", "[1, a]", [1, "a"]),
        ("mapping", "{a: [1]}", {"a": [1]}),
    ],
)
def test_types(kind: str, written: str, value: object) -> None:
    by_default = values(f"p: {{type: {kind}, default: {written}}}")
    by_template = values(f"p: {{type: {kind}}}", template(f"{{p: {written}}}"))
    assert by_default == by_template == {"p": value}
    assert type(by_default["p"]) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "2024", "2024"),
        ("string", "null", "null"),
        ("string", "", ""),
        ("string", "a=b: {{c}}", "a=b: {c}"),
        ("integer", "6", 6),
        ("number", "1e3", 1000.0),
        ("boolean", "false", False),
        ("range", "0-2 4", [0, 1, 2, 4]),
        ("list", "[1, a]", [1, "a"]),
        ("mapping", "{a: [1]}", {"a": [1]}),
        ("path", "/abs", "/abs"),
        ("path", "~/x", "~/x"),
        ("path", "root://x//y", "root://x//y"),
        ("path", "a/b", "/here/a/b"),
    ],
)
def test_values_of_param(kind: str, text: str, value: object) -> None:
    assert values(f"p: {{type: {kind}}}", param(f"p={text}")) == {"p": value}


def test_paths_of_a_template_are_relative_to_the_current_folder_and_defaults_stay() -> None:
    text = "p: {type: path, default: a/b}"
    assert values(text) == {"p": "a/b"}
    assert values(text, template("{p: c}")) == {"p": "/here/c"}


def test_later_layers_win() -> None:
    text = "a: {type: integer, default: 1}\nb: {type: integer, default: 1}\nc: {type: integer}"
    layers = template("{b: 2, c: 2}"), param("c=3"), param("c=4")
    assert values(text, *layers) == {"a": 1, "b": 2, "c": 4}


def test_defaults_refer_to_each_other_in_any_order() -> None:
    text = """
store: {type: path, default: "root://x/{user}/{tag}"}
tag: {type: string, default: "{user}-{n:03d}"}
all: {type: list, default: ["{n}", "{user}"]}
same: {type: integer, default: "{n}"}
user: {type: string, default: "{env:USER}"}
n: {type: integer, default: 7}
when: {type: string, default: "{timestamp}{{x}}"}
"""
    assert values(text) == {
        "store": "root://x/me/me-007",
        "tag": "me-007",
        "all": [7, "me"],
        "same": 7,
        "user": "me",
        "n": 7,
        "when": "{timestamp}{x}",
    }
    assert values(text, param("user=you"))["store"] == "root://x/you/you-007"


def test_a_binding_knows_where_it_comes_from() -> None:
    bindings, _ = bind_text(
        "a: {type: integer, default: 1}\nb: {type: integer}\nc: {type: range}",
        template("{b: 2}"),
        param("c=0-2"),
    )
    assert [str(binding.origin) for binding in bindings.values()] == [
        "w.yml:1:29",
        "--template:1:5",
        "--param:1:3",
    ]
    assert bindings["c"].text == "0-2"
    assert bindings["a"].text is None


@pytest.mark.parametrize(
    ("declaration", "expected"),
    [
        (
            "type: integer, default: '3'",
            'w.yml:1:29 quoted-value: parameter "p" is an integer, not "3" [remove the quotes]',
        ),
        ("type: integer, default: 3.0",
         'w.yml:1:29 float-for-integer: parameter "p" is an integer, not 3.0 [write 3]'),
        ("type: integer, default: true",
         'w.yml:1:29 wrong-type: parameter "p" is an integer, not true'),
        ("type: number, default: .nan",
         'w.yml:1:28 wrong-type: parameter "p" is a number, not .nan'),
        ("type: boolean, default: yes",
         'w.yml:1:29 yaml-boolean: parameter "p" is true or false, not yes [write true]'),
        ("type: string, default: [a]",
         'w.yml:1:28 wrong-type: parameter "p" is a string, not a list'),
        ("type: string, default: null",
         'w.yml:1:28 no-value: parameter "p" is a string, not null '
         "[quote the value, or write a text]"),
        ("type: path, default: ''",
         'w.yml:1:26 wrong-type: parameter "p" is a path, not "" '
         "[quote the value, or write a text]"),
        ("type: list, default: a",
         'w.yml:1:26 not-a-list: parameter "p" is a list, not a [write a list: [a]]'),
        ("type: mapping, default: [a]",
         'w.yml:1:29 wrong-type: parameter "p" is a mapping, not a list'),
        ("type: range, default: 2-1",
         'w.yml:1:27 reversed-range: 2-1 runs backwards [write "1-2"]'),
        ("type: string",
         'w.yml:1:1 missing-parameter: parameter "p" has no default and is not given '
         "[give it with --param p=…]"),
        ("type: integer, default: 3, minimum: 4",
         'w.yml:1:29 out-of-bounds: parameter "p": 3 is below the minimum 4'),
        ("type: range, default: 0-7, maximum: 5",
         'w.yml:1:27 out-of-bounds: parameter "p": 7 is above the maximum 5'),
        ("type: string, default: zyx, choices: [xyx, 12]",
         'w.yml:1:28 bad-choice: parameter "p": "zyx" is not one of its choices '
         '[did you mean "xyx"?]'),
        ("type: integer, default: 1, choices: [true, 2]",
         'w.yml:1:29 bad-choice: parameter "p": 1 is not one of its choices [allowed: 2, true]'),
        ("type: string, default: ab, pattern: a",
         'w.yml:1:28 bad-form: parameter "p": "ab" does not match the pattern a'),
        ("type: string, default: a, pattern: '('",
         "w.yml:1:40 bad-regex: the pattern is not a regular expression: "
         "missing ), unterminated subpattern at position 0"),
        ("type: string, default: a, minimum: 1",
         "w.yml:1:31 useless-limit: a string has no minimum "
         "[minimum is for: integer, number, range]"),
        ("type: integer, default: 3, minimum: 4, maximum: 2",
         "w.yml:1:41 empty-limits: the minimum 4 is larger than the maximum 2"),
        ("type: integer, default: {q}",
         'w.yml:1:29 unquoted-placeholder: {q} without quotes is YAML for {q: null} [write "{q}"]'),
        ("type: string, default: '{q}'",
         'w.yml:1:29 unknown-placeholder: there is no parameter "q" [allowed: p, timestamp]'),
        ("type: string, default: '{'",
         'w.yml:1:29 stray-brace: a "{" without its partner '
         '[write "{{" for the character itself]'),
        ("type: string, default: '{env:NO}'",
         "w.yml:1:29 unset-variable: the environment variable NO is not set "
         "[export NO=…, or give the parameter]"),
        ("type: list, default: ['{env:USER}']",
         "w.yml:1:28 env-outside-default: environment variables are read in defaults "
         "of strings and paths only [declare a parameter with this default]"),
        ("type: string, default: '{p}'",
         "w.yml:1:28 parameter-cycle: defaults refer to each other: {p} → {p}"),
    ],
)  # fmt: skip
def test_errors(declaration: str, expected: str) -> None:
    assert errors(f"p: {{{declaration}}}")[0] == expected
    assert len(errors(f"p: {{{declaration}}}")) == 1


def test_reserved_names() -> None:
    text = "env: {type: string, default: a}\ntimestamp: {type: string, default: a}"
    assert errors(text) == [
        'w.yml:1:1 reserved-name: the name "env" is reserved',
        'w.yml:2:1 reserved-name: the name "timestamp" is reserved',
    ]


def test_circles_are_all_found_and_others_still_bound() -> None:
    text = """\
a: {type: string, default: "{b}"}
b: {type: string, default: "{c}"}
c: {type: string, default: "{a}"}
d: {type: string, default: "{d}"}
e: {type: string, default: "{a}"}
f: {type: string, default: x}
"""
    bindings, _ = bind_text(text)
    assert list(bindings) == ["f"]
    assert sorted(errors(text)) == [
        "w.yml:1:28 parameter-cycle: defaults refer to each other: {a} → {b} → {c} → {a}",
        "w.yml:4:28 parameter-cycle: defaults refer to each other: {d} → {d}",
    ]
    assert values(text.replace('"{d}"', "x"), param("b=1")) == {
        "a": "1", "b": "1", "c": "1", "d": "x", "e": "1", "f": "x"
    }  # fmt: skip


def test_a_failed_parameter_has_no_followups() -> None:
    assert errors('a: {type: string}\nb: {type: string, default: "x{a}"}') == [
        'w.yml:1:1 missing-parameter: parameter "a" has no default and is not given '
        "[give it with --param a=…]"
    ]


def test_given_but_not_declared() -> None:
    text = "kfolds: {type: integer, default: 3}"
    assert errors(text, template("{kflods: 3}"), param("zzz=1")) == [
        '--template:1:2 unknown-parameter: there is no parameter "kflods" [did you mean "kfolds"?]',
        '--param:1:1 unknown-parameter: there is no parameter "zzz" [allowed: kfolds]',
    ]
    _, (found,) = bind(None, [param("a=1")], {}, CWD)
    assert found.help == "the workflow declares no parameters"


def test_an_error_of_the_command_line_shows_it() -> None:
    _, found = bind_text("offset: {type: range, help: seeds}", param("offset=0 5-4"))
    assert render_text(found) == (
        "--param:1:10: error[reversed-range]: 5-4 runs backwards\n"
        '  |\n1 | offset=0 5-4\n  |          ^^^\n  = help: write "4-5"\n'
    )
    _, found = bind_text("norm: {type: number}", template("{norm: six}"))
    assert render_text(found) == (
        '--template:1:8: error[wrong-type]: parameter "norm" is a number, not six\n'
        "  |\n1 | {norm: six}\n  |        ^^^\n  = note: declared here (w.yml:1)\n"
    )


@pytest.mark.parametrize(
    ("text", "code"), [("list=[1", "unclosed"), ("list=a: b: c", "unquoted-text")]
)
def test_yaml_of_param_that_does_not_parse(text: str, code: str) -> None:
    _, found = bind_text("list: {type: list}", param(text))
    assert [each.code for each in found] == [code]


@pytest.mark.parametrize("text", ["tag", "=x", ""])
def test_param_without_a_key(text: str) -> None:
    node, (found,) = parse_param(text)
    assert node is None
    assert (found.code, found.message) == ("bad-argument", f'"{text}" is not key=value')
    assert found.help == "write --param key=value"


def test_a_template_is_a_mapping_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "t.yml").write_text("tag: x\n")
    (tmp_path / "list.yml").write_text("[x]\n")
    node, diagnostics = parse_template("t.yml", tmp_path, Disk())
    assert node is not None
    assert (to_plain(node), diagnostics, node.span.file) == ({"tag": "x"}, [], "t.yml")
    assert to_plain(template("tag: x")) == {"tag": "x"}
    assert to_plain(template(" {}")) == {}
    node, (found,) = parse_template("list.yml", tmp_path, Disk())
    assert node is None
    assert (found.code, found.message) == ("wrong-type", "a template is a mapping")
    node, (found,) = parse_template("none.yml", tmp_path, Disk())
    assert node is None
    assert found.message == 'cannot read "none.yml": No such file or directory'
    node, (found,) = parse_template("{a: ", tmp_path, Disk())
    assert node is None
    assert str(found.span) == "--template:1:5"


def test_unused_parameters() -> None:
    text = """\
a: {type: string, default: x}
b: {type: string, default: "{c}{env:USER}"}
c: {type: string, default: x}
d: {type: string, default: "{d}"}
"""
    found = unused_parameters(declare(text), {"b"})
    assert render_text(found) == (
        'w.yml:1:1: warning[unused-parameter]: parameter "a" is never used\n'
        "  |\n1 | a: {type: string, default: x}\n  | ^\n"
        "  = help: use it in a string, or remove it\n\n"
        'w.yml:4:1: warning[unused-parameter]: parameter "d" is never used\n'
        '  |\n4 | d: {type: string, default: "{d}"}\n  | ^\n'
        "  = help: use it in a string, or remove it\n"
    )
    assert unused_parameters(None, set()) == []


@pytest.mark.parametrize("text", ["[a]", "p: 3", "p: {}", "p: {type: foo}", "p: {type: [a]}"])
def test_declarations_that_the_schema_refuses_do_not_raise(text: str) -> None:
    assert bind_text(text) == ({}, [])


def test_a_given_text_may_draw_on_other_parameters() -> None:
    declared = "user: {type: string, default: me}\np: {type: string}\nq: {type: path}"
    found = values(declared, param("p=<{user}>{{x}}"), param("q={p}/{user}"))
    assert found == {"user": "me", "p": "<me>{x}", "q": str(CWD / "<me>{x}/me")}
