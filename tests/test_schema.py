"""Violations of schemas as diagnostics, and the shipped schemas themselves."""

import pytest
from hcrc.compiler.diagnostics import render_text, sort_diagnostics
from hcrc.compiler.schema import validate, without_placeholders
from hcrc.compiler.template import Binding, substitute
from hcrc.compiler.violation import PLACEHOLDER

from .schemas import node

COUNT = {"type": ["integer", "string"], "minimum": 1, "maximum": 9, "pattern": PLACEHOLDER}
COMMON = {
    "$id": "common.schema.json",
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {
        "placeholder": {"type": "string", "pattern": PLACEHOLDER},
        "count": COUNT,
        "name": {"type": "string", "pattern": "^[a-z]+$", "description": "small letters"},
    },
}
TEST = {
    "$id": "test.schema.json",
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "a test",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "task": {"$ref": "#/$defs/task"},
        "kfolds": {"$ref": "common.schema.json#/$defs/count"},
        "flag": {"type": ["boolean", "string"], "pattern": PLACEHOLDER},
        "rate": {
            "type": ["number", "string"],
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 1,
            "pattern": PLACEHOLDER,
        },
        "even": {"type": ["integer", "string"], "multipleOf": 2, "pattern": PLACEHOLDER},
        "by": {
            "anyOf": [
                {"enum": ["dataset", "label"]},
                {"$ref": "common.schema.json#/$defs/placeholder"},
            ]
        },
        "three": {
            "anyOf": [
                {"enum": ["auto"]},
                {"type": "integer", "minimum": 2},
                {"$ref": "common.schema.json#/$defs/placeholder"},
            ]
        },
        "mixed": {
            "oneOf": [
                {"type": "string", "minLength": 1},
                {"type": "object", "title": "a use", "required": ["use"]},
            ]
        },
        "version": {"const": 1},
        "name": {"$ref": "common.schema.json#/$defs/name"},
        "names": {"type": "object", "propertyNames": {"$ref": "common.schema.json#/$defs/name"}},
        "short": {"type": "string", "minLength": 2, "maxLength": 3},
        "list": {
            "type": ["array", "string"],
            "minItems": 2,
            "maxItems": 3,
            "uniqueItems": True,
            "pattern": PLACEHOLDER,
        },
        "some": {"type": "object", "minProperties": 1, "maxProperties": 2},
        "memory": {
            "type": ["string", "integer"],
            "pattern": "^([0-9]+ GB|.*\\{[A-Za-z_].*\\}.*)$",
            "description": "with its unit",
        },
        "text": {"type": "string"},
        "optional": {"type": ["string", "null"]},
        "deep": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
    },
    "$defs": {
        "task": {
            "title": "a task",
            "type": "object",
            "required": ["task"],
            "properties": {"task": {"enum": ["cache", "train"]}},
            "allOf": [
                {
                    "if": {"properties": {"task": {"const": "train"}}, "required": ["task"]},
                    "then": {
                        "title": "a train task",
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["task", "classifier", "dataset"],
                        "properties": {"task": {}, "classifier": {}, "dataset": {}, "kfolds": {}},
                    },
                }
            ],
        }
    },
}
SCHEMAS = {"common.schema.json": COMMON, "test.schema.json": TEST}
RULE = "it has to match ^([0-9]+ GB)$"


def errors(text: str, bound: bool = False, schema: str = "test.schema.json") -> list[str]:
    """Return `line:column code: message [help]` for each violation."""
    found = validate(node(text), schema, bound=bound, schemas=SCHEMAS)
    return [
        f"{d.span.line}:{d.span.column} {d.code}: {d.message}" + (f" [{d.help}]" if d.help else "")
        for d in sort_diagnostics(found)
        if d.span
    ]


VALID = [
    "kfolds: 3",
    "flag: true",
    "rate: 0.5",
    "by: label",
    "three: auto",
    "three: 2",
    "mixed: a",
    "mixed: {use: a}",
    "version: 1",
    "name: abc",
    "names: {a: 1}",
    "list: [1, 2]",
    "memory: 8 GB",
    "memory: 8",
    "optional: null",
    "text: ''",
    "task: {task: cache, anything: 1}",
    "task: {task: train, classifier: a, dataset: b}",
]
PLACEHOLDERS = [
    f"{key}: '{{x}}'" for key in ("kfolds", "flag", "rate", "by", "three", "list", "memory")
]


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("text", VALID)
def test_valid(text: str, bound: bool) -> None:
    assert errors(text, bound) == []


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_a_lone_placeholder_is_valid_until_it_is_bound(text: str) -> None:
    assert errors(text) == []
    assert len(errors(text, bound=True)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kflods: 3\nzzz: 1", [
            '1:1 unknown-key: unknown key "kflods" in a test [did you mean "kfolds"?]',
            '2:1 unknown-key: unknown key "zzz" in a test [allowed: by, deep, even, flag, kfolds, '
            "list, memory, mixed, name, names, optional, rate, short, some, task, text, three, "
            "version]"]),
        ("task: {task: train}", [
            '1:8 missing-key: a train task needs "classifier"',
            '1:8 missing-key: a train task needs "dataset"']),
        ("task: {task: train, clasifier: 1, dataset: 1}", [
            '1:21 unknown-key: unknown key "clasifier" in a train task '
            '[did you mean "classifier"?]']),
        ("task: {task: tran, foo: 1}", [
            '1:14 unknown-task-kind: "task" cannot be "tran" [did you mean "train"?]']),
        ("task: {foo: 1}", ['1:8 missing-key: a task needs "task"']),
        ("task: {}", ['1:7 missing-key: a task needs "task"']),
        ("task: {task: [train]}", ['1:14 wrong-type: "task" is a list, expected a string']),
        ("kfolds: '3'", ['1:9 quoted-value: "kfolds" is a string, expected an integer '
                         "[remove the quotes]"]),
        ("kfolds: three", ['1:9 wrong-type: "kfolds" is a string, expected an integer']),
        ("kfolds: 3.0", [
            '1:9 float-for-integer: "kfolds" is a number, expected an integer [write 3]']),
        ("kfolds: true", ['1:9 wrong-type: "kfolds" is a boolean, expected an integer']),
        ("kfolds:", ['1:7 no-value: "kfolds" has no value, expected an integer']),
        ("kfolds: null", ['1:9 no-value: "kfolds" is null, expected an integer']),
        ("kfolds: [3]", ['1:9 wrong-type: "kfolds" is a list, expected an integer']),
        ("kfolds: {a: 1}", ['1:9 wrong-type: "kfolds" is a mapping, expected an integer']),
        ("kfolds: {x}", ["1:9 unquoted-placeholder: {x} without quotes is YAML for {x: null} "
                         '[write "{x}"]']),
        ("by: {x}", ["1:5 unquoted-placeholder: {x} without quotes is YAML for {x: null} "
                     '[write "{x}"]']),
        ("three: {x}", ["1:8 unquoted-placeholder: {x} without quotes is YAML for {x: null} "
                        '[write "{x}"]']),
        ("kfolds: '{x:03d}'", [
            '1:9 misplaced-placeholder: "kfolds" is a string, expected an integer '
                               '[a placeholder stands alone here and without a format: "{name}"]']),
        ("kfolds: 0", ['1:9 out-of-bounds: "kfolds" is 0, expected at least 1']),
        ("kfolds: 10", ['1:9 out-of-bounds: "kfolds" is 10, expected at most 9']),
        ("rate: 0", ['1:7 out-of-bounds: "rate" is 0, expected more than 0']),
        ("rate: 1e0", ['1:7 out-of-bounds: "rate" is 1e0, expected less than 1']),
        ("rate: '0.5'", ['1:7 quoted-value: "rate" is a string, expected a number '
                         "[remove the quotes]"]),
        ("rate: .nan", ['1:7 not-finite: "rate" is .nan, expected a finite number']),
        ("names: {a: [.inf]}", [
            '1:13 not-finite: entry 1 of "a" is .inf, expected a finite number']),
        ("even: 3", ['1:7 bad-value: "even" is 3, expected a multiple of 2']),
        ("flag: yes", ['1:7 yaml-boolean: "flag" is a string, expected true or false '
                       "[write true]"]),
        ("by: lable", ['1:5 bad-choice: "by" cannot be "lable" [did you mean "label"?]']),
        ("by: 3", ['1:5 unquoted-value: "by" is an integer, expected a string [quote it: "3"]']),
        ("three: 1", ['1:8 out-of-bounds: "three" is 1, expected at least 2']),
        ("three: aut", ['1:8 bad-choice: "three" cannot be "aut" [did you mean "auto"?]']),
        ("three: 1.5", ['1:8 unquoted-value: "three" is a number, expected a string or an integer '
                        '[quote it: "1.5"]']),
        ("mixed: 3", ['1:8 unquoted-value: "mixed" is an integer, expected a string or a mapping '
                      '[quote it: "3"]']),
        ("mixed: {}", ['1:8 missing-key: a use needs "use"']),
        ("mixed: ''", ['1:8 empty-value: "mixed" is empty']),
        ("version: 2", [
            '1:10 wrong-version: "version" is 2, expected 1 [this hcrc reads no other]']),
        ("version: '1'", ['1:10 quoted-value: "version" is a string, expected an integer '
                          "[remove the quotes]"]),
        ("name: A", ['1:7 bad-form: "name" cannot be "A" '
                     "[small letters; it has to match ^[a-z]+$]"]),
        ("name: 3", [
            '1:7 unquoted-value: "name" is an integer, expected a string [quote it: "3"]']),
        ("names: {A: 1}", ['1:9 bad-name: "A" cannot be a name here '
                           "[small letters; it has to match ^[a-z]+$]"]),
        ("short: a", ['1:8 bad-value: "short" is "a", expected at least this many characters: 2']),
        ("short: abcd", ['1:8 bad-value: "short" is "abcd", expected at most this many '
                         "characters: 3"]),
        ("list: [a]", ['1:7 bad-value: "list" is a list of 1, expected at least 2']),
        ("list: []", ['1:7 empty-value: "list" is empty']),
        ("list: [1, 2, 3, 4]", ['1:7 bad-value: "list" is a list of 4, expected at most 3']),
        ("list: [{a: 1}, {a: 1}]", ['1:16 repeated-value: "list" has {"a": 1} twice']),
        ("list: a", ['1:7 not-a-list: "list" is a string, expected a list [write a list: [a]]']),
        ("some: {}", ['1:7 empty-value: "some" is empty']),
        ("some: {a: 1, b: 1, c: 1}", ['1:7 bad-value: "some" is a mapping of 3, '
                                      "expected at most 2"]),
        ("memory: 8 TB", [f'1:9 bad-form: "memory" cannot be "8 TB" [with its unit; {RULE}]']),
        ("memory: []", ['1:9 wrong-type: "memory" is a list, expected a string or an integer']),
        ("optional: 3", ['1:11 unquoted-value: "optional" is an integer, expected a string or null '
                         '[quote it: "3"]']),
        ("deep: [[a, 1]]", ['1:12 unquoted-value: entry 2 is an integer, expected a string '
                            '[quote it: "1"]']),
        ("[]", ["1:1 wrong-type: this text is a list, expected a mapping"]),
        ("version: 2\nkfolds: 0\nkflods: 3", [
            '1:10 wrong-version: "version" is 2, expected 1 [this hcrc reads no other]',
            '2:9 out-of-bounds: "kfolds" is 0, expected at least 1',
            '3:1 unknown-key: unknown key "kflods" in a test [did you mean "kfolds"?]']),
    ],
)  # fmt: skip
def test_errors(text: str, expected: list[str]) -> None:
    assert errors(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kfolds: '{x}'", '1:9 misplaced-placeholder: "kfolds" is a string, expected an integer '
                          '[a placeholder stands alone here and without a format: "{name}"]'),
        ("by: '{x}'", '1:5 bad-choice: "by" cannot be "{x}" [allowed: dataset, label]'),
        ("three: '{x}'", '1:8 bad-choice: "three" cannot be "{x}" [allowed: auto]'),
        ("memory: '{x}'", f'1:9 bad-form: "memory" cannot be "{{x}}" [with its unit; {RULE}]'),
    ],
)  # fmt: skip
def test_errors_when_bound(text: str, expected: str) -> None:
    assert errors(text, bound=True) == [expected]


def test_a_part_of_a_schema_can_be_named() -> None:
    assert errors("{task: train}", schema="test.schema.json#/$defs/task") == [
        '1:2 missing-key: a train task needs "classifier"',
        '1:2 missing-key: a train task needs "dataset"',
    ]


def test_a_bound_value_says_where_it_came_from() -> None:
    origin = node("offset: 40\n").span
    binding = Binding(40, node("x"), origin)
    done = substitute(node('kfolds: "{offset}"'), {"offset": binding})
    found = validate(done.node, "test.schema.json", bound=True, schemas=SCHEMAS)
    assert render_text(found) == (
        'w.yml:1:9: error[out-of-bounds]: "kfolds" is 40, expected at most 9\n'
        '  |\n1 | kfolds: "{offset}"\n  |         ^^^^^^^^^^\n'
        "  = note: in expansion of {offset} = 40 (w.yml:1)\n"
    )


def test_a_repeated_entry_shows_the_first() -> None:
    found = validate(node("list: [a, a]"), "test.schema.json", bound=True, schemas=SCHEMAS)
    assert render_text(found) == (
        'w.yml:1:11: error[repeated-value]: "list" has "a" twice\n'
        "  |\n1 | list: [a, a]\n  |           ^\n  = note: first here (w.yml:1)\n"
    )


def test_placeholders_are_taken_out_of_schemas() -> None:
    assert without_placeholders(COUNT) == {"type": ["integer"], "minimum": 1, "maximum": 9}
    by = {"anyOf": [{"enum": ["a"]}, {"$ref": "common.schema.json#/$defs/placeholder"}]}
    assert without_placeholders(by) == {"enum": ["a"]}
    data = {"default": ["{x}"], "const": "^a|\\{[A-Za-z_]\\w*\\}$"}
    assert without_placeholders(data) == data
