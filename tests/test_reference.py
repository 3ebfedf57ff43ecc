"""The reference holds all that the schemas and the commands have; docs/reference.md is it."""

import argparse
import os
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hcrc.compiler.cli import build_parser, main
from hcrc.compiler.commands import COMMANDS
from hcrc.compiler.defaults import resolve_reference, task_kinds, task_schema
from hcrc.compiler.reference.keys import describe, key_entries, variant_sections
from hcrc.compiler.reference.model import Chapter, Entry, Section, anchor, search
from hcrc.compiler.reference.render import render_markdown
from hcrc.compiler.schema import load_schemas
from hcrc.compiler.violation import PLACEHOLDER

DOCUMENT = Path(__file__).parents[1] / "docs" / "reference.md"
WRITTEN = ("workflow", "dataset", "classifier", "settings", "definitions", "site")
VOID = ("meta", "input")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def shown(capsys, *words, code=0):
    assert main(["help", *words]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def test_the_overview_names_the_reference(capsys):
    assert "hcrc help --all explains every key" in shown(capsys)


def test_the_document_is_what_is_printed(capsys):
    text = shown(capsys, "--all", "--format", "markdown")
    if os.environ.get("UPDATE_GOLDEN"):
        DOCUMENT.write_text(text)
    assert text == DOCUMENT.read_text(), "UPDATE_GOLDEN=1 pytest tests/test_reference.py writes it"


def test_every_key_of_every_task_is_there(capsys):
    text = shown(capsys, "--all", "--format", "markdown")
    keys = {key for kind in task_kinds() for key in task_schema(kind)["properties"]}
    keys |= {f"samples[].{key}" for key in sample_keys()}
    assert [key for key in keys if f"| `{key}` |" not in text] == []
    assert [name for name in load_schemas()["settings.schema.json"]["properties"]
            if f"### {name}\n" not in text] == []  # fmt: skip


def sample_keys():
    return load_schemas()["dataset.schema.json"]["$defs"]["sample"]["properties"]


def test_every_option_of_every_command_is_there(capsys):
    text = shown(capsys, "--all", "--format", "markdown")
    for name in COMMANDS:
        assert f"\n### hcrc {name}\n" in text
        for action in build_parser(name)._actions[1:]:
            keys = [option.lstrip("-").replace("-", "_") for option in action.option_strings]
            wanted = keys[:1] if action.default == argparse.SUPPRESS else action.option_strings
            assert all(option in text for option in wanted), (name, action)


def test_every_key_is_explained():
    missing = [place for name in WRITTEN for place in unexplained(name)]
    assert missing == [], "give each of these keys a description in the schema"


def unexplained(name):
    """Properties of a schema without a description, neither here nor where they refer to.

    Those of ``sharing`` are keys of tasks, which describe them.
    """
    file = f"{name}.schema.json"
    pending = [(name, load_schemas()[file])]
    while pending:
        path, schema = pending.pop()
        if isinstance(schema, list):
            pending += [(path, item) for item in schema]
        elif isinstance(schema, dict):
            for key, part in schema.get("properties", {}).items():
                if isinstance(part, dict) and "const" not in part:
                    resolved, _ = resolve_reference(part, file)
                    if "description" not in resolved:
                        yield f"{path}.{key}"
            pending += [
                (path if key in ("properties", "$defs") else f"{path}.{key}", item)
                for key, item in schema.items() if key not in ("default", "enum", "if", "sharing")
            ]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer"}, "integer"),
        ({"type": ["integer", "string"], "minimum": 2, "maximum": 9, "pattern": PLACEHOLDER},
         "integer from 2 to 9"),
        ({"type": "integer", "maximum": 10**9}, "integer up to 10^9"),
        ({"type": "number", "exclusiveMinimum": 0}, "number above 0"),
        ({"type": "number", "exclusiveMaximum": 1, "minimum": 0}, "number from 0 below 1"),
        ({"type": "integer", "minimum": 2, "multipleOf": 2}, "integer from 2, a multiple of 2"),
        ({"type": ["string", "null"]}, "text or null"),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, "true or false or null"),
        ({"type": ["array", "string"], "items": {"type": "string"}, "uniqueItems": True},
         "(list of texts, none twice) or text"),
        ({"type": "object", "allOf": [{"then": {"title": "a"}}, {"then": {"title": "b"}}]},
         "mapping: a or b"),
        ({"enum": ["a", "b", "1"]}, 'a, b or "1"'),
        ({"const": 1}, "1"),
        ({}, "any value"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
         "list of texts, at least 2, none twice"),
        ({"type": "array", "items": {"type": ["string", "number"]}}, "list, each (text or number)"),
        ({"type": "object", "additionalProperties": {"type": "boolean"}},
         "mapping, each value true or false"),
        ({"anyOf": [{"enum": ["a"]}, {"$ref": "common.schema.json#/$defs/placeholder"}]}, "a"),
        ({"type": "string", "x-refers-to": "evaluate"}, "reference to an evaluate task"),
        ({"$ref": "settings.schema.json"}, "mapping of settings"),
        ({"$ref": "common.schema.json#/$defs/name", "description": "its name"},
         "text: letters, digits and underscores"),
    ],
)  # fmt: skip
def test_types_are_words(schema, words):
    assert describe(schema, "") == words


def test_mappings_inside_have_dots_and_lists_brackets():
    sample = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    schema = {
        "if": {"required": ["extends"]},
        "else": {"required": ["items"]},
        "properties": {
            "items": {"type": "array", "items": sample},
            "norm": {"anyOf": [{"type": "null"}, {"properties": {"by": {"default": "all"}}}]},
            "named": {"additionalProperties": {"type": "integer", "description": "a count"}},
            "use": {"properties": {"use": {}}, "additionalProperties": True},
        },
    }
    assert [(each.name, each.default, each.needed) for each in key_entries(schema, "")] == [
        ("items", "", "needed without extends"),
        ("items[].name", "", "needed"),
        ("norm", "", ""),
        ("norm.by", "all", ""),
        ("named", "", ""),
        ("named.NAME", "", ""),
        ("use", "", ""),
    ]


def test_variants_of_a_mapping_are_sections():
    fast = {"title": "fast", "description": "soon", "properties": {"epochs": {"default": 2}}}
    choice = {"allOf": [{"if": {}, "then": fast}]}
    schema = {"properties": {"training": {"anyOf": [{"type": "null"}, choice]}}}
    assert [entry.name for entry in key_entries(schema, "")] == ["training"]
    (section,) = variant_sections(schema, "")
    assert section == Section("fast", "soon", (Entry("epochs", "any value", "", "2"),))


CHAPTERS = [
    Chapter(
        "Tasks",
        "all of them",
        (
            Section("train task", "learn", (Entry("kfolds", "", "parts"), Entry("a.seed", "", ""))),
            Section("plot task", "draw", (Entry("models", "", "Folds of a training"),)),
        ),
    )
]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("FOLDS", ["kfolds", "models"]),
        ("k*s", ["kfolds"]),
        ("seed*", ["a.seed"]),
        ("?.seed", ["a.seed"]),
        ("fold", ["kfolds", "models"]),
        ("plot task", ["models"]),
        ("train fold", ["kfolds", "models"]),
        ("train parts", ["kfolds"]),
        ("train*", ["kfolds", "a.seed"]),
        ("draw", []),
        ("[", None),
        ("nothing", None),
    ],
)
def test_a_pattern_finds(pattern, found):
    chapters = search(CHAPTERS, pattern)
    assert (not chapters) == (found is None)
    entries = [entry for each in chapters for part in each.sections for entry in part.entries]
    assert [entry.name for entry in entries] == (found or [])


def test_searching(capsys):
    assert shown(capsys, "--all", "kfolds").startswith(
        "Tasks\n=====\n\ntrain task: train the folds of a classifier on a cached dataset\n\n"
        "  kfolds (integer from 2 to 1000; default 3)\n"
    )
    assert shown(capsys, "--all", "kflods", code=1) == (
        'hcrc: error: nothing matches "kflods": did you mean "kfolds"?\n'
    )
    assert "  --dry-run\n" in shown(capsys, "--all", "*dry-run*")


def test_help_of_a_command_is_its_help(capsys):
    text = shown(capsys, "check")
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    assert capsys.readouterr().out == text
    assert shown(capsys).startswith("usage: hcrc COMMAND")


def test_help_of_no_command(capsys):
    text = shown(capsys, "chek", code=2)
    assert 'there is no command "chek": did you mean "check"? (to search' in text
    assert "hcrc help --all kfolds" in shown(capsys, "kfolds", code=2)


WORKFLOW = """\
hcrc: 1
name: mine
include: [more.yml]
parameters:
  tag: {type: string, choices: [a, b], help: a name}
  n:   {type: integer, default: 3, minimum: 1}
tasks:
  cache: {task: cache, help: read it, datasets: [Data]}
"""
MORE = """\
datasets:
  Data: {help: what is read, samples: [{sample: TT, label: t, years: [UL17], files: [a.root]}]}
classifiers:
  SvB: {help: signals, classes: [t, s]}
"""


def test_what_a_file_declares(place, capsys):
    (place / "w.yml").write_text(WORKFLOW)
    (place / "more.yml").write_text(MORE)
    assert (
        shown(capsys, "--file", "w.yml")
        == """\
w.yml
=====
It includes more.yml.

Parameters

  tag (string, choices [a, b]; needed)
      a name
  n (integer, minimum 1; default 3)

Datasets

  Data (TT)
      what is read

Classifiers

  SvB (t, s)
      signals

Tasks of the workflow

  cache (cache task)
      read it
"""
    )
    text = shown(capsys, "--all", "--file", "w.yml", "signals")
    assert "SvB (t, s)" in text
    assert "tag" not in text
    assert "\nTasks\n" in shown(capsys, "--all", "--file", "w.yml")


def test_a_file_that_is_wrong(place, capsys):
    (place / "w.yml").write_text("hcrc: 1\nnaem: x\ntasks: [\n")
    text = shown(capsys, "--file", "w.yml", code=1)
    assert "w.yml:4:1: error[syntax]" in text
    (place / "w.yml").write_text(WORKFLOW.replace("include", "inklude"))
    assert 'did you mean "include"?' in shown(capsys, "--file", "w.yml", code=1)
    assert 'cannot read "no.yml"' in shown(capsys, "--file", "no.yml", code=1)


class Page(HTMLParser):
    """Gathers the places and links of a page; every element that opens closes."""

    def __init__(self):
        super().__init__()
        self.open, self.places, self.links, self.outside = [], Counter(), set(), []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in values:
            self.places[values["id"]] += 1
        if tag == "a":
            self.links.add(values["href"])
        self.outside += [values[key] for key in ("src", "srcset") if key in values]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole(place, capsys):
    (place / "w.yml").write_text(WORKFLOW.replace("a name", "'<b>&'"))
    (place / "more.yml").write_text(MORE)
    text = shown(capsys, "--all", "--file", "w.yml", "--format", "html")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.outside == []
    assert [name for name, count in page.places.items() if count > 1] == []
    assert page.links <= {f"#{name}" for name in page.places}
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;" in text
    assert "prefers-color-scheme: dark" in text


def test_the_page_begins_with_the_search_and_breaks_a_usage_between_its_options(capsys):
    text = shown(capsys, "--all", "--format", "html")
    places = [text.index(part) for part in ("<h1>", 'id="filter"', "<nav", "<main")]
    assert places == sorted(places)
    assert "<span>[--template MAPPING [FILE ...]]</span> <span>[--param KEY=VALUE]</span>" in text
    assert "<code>hcrc help --all PATTERN</code>" in text
    assert "<dd>event: the fold of an event is its number" in text


def test_tables_have_no_empty_columns_and_escape_what_markdown_reads():
    entries = (Entry("a|b", "x|y", "<_lead_ in_word [*]"), Entry("c", "", ""))
    text = render_markdown([Chapter("Keys", "", (Section("Some", "", entries),))])
    assert text.endswith(
        "### Some\n\n| key | takes | meaning |\n| --- | --- | --- |\n"
        "| `a\\|b` | x\\|y | \\<\\_lead\\_ in_word \\[\\*] |\n| `c` | | |\n"
    )


def test_anchors_are_words():
    assert anchor("Settings", "torch.DataLoader") == "settings-torch.dataloader"
    assert anchor("Commands", "hcrc run", "-j, --jobs") == "commands-hcrc-run-j-jobs"
