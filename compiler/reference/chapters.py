"""The chapters of the reference: commands, the workflow, tasks, definitions, settings, errors."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any, Final

from ..codes import ERRORS, WARNINGS
from ..commands import COMMANDS
from ..defaults import WORKFLOW, resolve_reference, task_kinds, task_schema
from ..schema import load_schemas
from ..sites import Site, shipped_sites
from .keys import key_entries, variant_sections
from .model import Chapter, Entry, Section

DATASET: Final = "dataset.schema.json"
CLASSIFIER: Final = "classifier.schema.json"
SETTINGS: Final = "settings.schema.json"
SITE: Final = "site.schema.json"
COMMON: Final = "Options of several commands"
MANY: Final = 2
Json = Any


def all_chapters(parsers: Mapping[str, argparse.ArgumentParser]) -> list[Chapter]:
    """Everything there is to know of the language and of the commands, whose parsers are given."""
    return [
        commands_chapter(parsers),
        workflow_chapter(),
        tasks_chapter(),
        definitions_chapter(),
        settings_chapter(),
        sites_chapter(),
        messages_chapter(),
    ]


def commands_chapter(parsers: Mapping[str, argparse.ArgumentParser]) -> Chapter:
    """The commands with their options; those that many have stand in a section of their own."""
    options = {name: tuple(_options(parser)) for name, parser in parsers.items()}
    counts = Counter(entry for entries in options.values() for entry in entries)
    common = {
        entry.name: entry
        for entry, count in reversed(counts.most_common())
        if count >= MANY and entry.name.startswith("-")
    }
    shared = tuple(entry for entry in counts if common.get(entry.name) == entry)
    sections = []
    for name, parser in parsers.items():
        usage = parser.format_usage().removeprefix("usage: ")
        example = (parser.epilog or "").removeprefix("example: ")
        help = _line(parser.description or "")
        own = tuple(entry for entry in options[name] if entry not in shared)
        sections.append(
            Section(f"hcrc {name}", help, own, "option", " ".join(usage.split()), example)
        )
    last = Section(COMMON, "for the commands whose usage shows them", shared, "option")
    help = "Exit codes: 0 for success, 1 for errors in the input, 2 for a wrong command line."
    return Chapter("Commands", help, (*sections, *[last] * bool(shared)))


def workflow_chapter() -> Chapter:
    """The keys of a workflow file, and those of a parameter."""
    schema = load_schemas()[WORKFLOW]
    parameter = schema["$defs"]["parameter"]
    sections = (
        Section("Workflow", schema["description"], tuple(_top_keys(schema, WORKFLOW))),
        Section(
            "Parameter", parameter.get("description", ""), (*key_entries(parameter, WORKFLOW),)
        ),
    )
    help = (
        "A text that is one {parameter} may stand for any value and takes its type; within a longer"
        " text {parameter} is filled in, and {{ is a brace. A range is a text such as 0-2 4-6 8."
    )
    return Chapter("Workflow file", help, sections)


def tasks_chapter() -> Chapter:
    """The kinds of task with their keys, those of every kind, and the variants of mappings."""
    keys = {kind: tuple(key_entries(task_schema(kind), WORKFLOW)) for kind in task_kinds()}
    first, *rest = keys.values()
    shared = tuple(entry for entry in first if all(entry in entries for entries in rest))
    sections = [Section("Every task", "keys that all kinds of task have", shared)]
    variants: dict[str, Section] = {}
    for kind, entries in keys.items():
        own = tuple(entry for entry in entries if entry not in shared)
        sections.append(Section(f"{kind} task", task_schema(kind)["description"], own))
        for section in variant_sections(task_schema(kind), WORKFLOW):
            variants.setdefault(section.title, section)
    help = (
        "What is done. A reference is the name of another task, which is run before, or the path of"
        " the result of an earlier one: a result.json, or the folder that holds it."
    )
    return Chapter("Tasks", help, (*sections, *variants.values()))


def definitions_chapter() -> Chapter:
    """The keys of datasets and classifiers."""
    sections = []
    for title, file in (("Dataset", DATASET), ("Classifier", CLASSIFIER)):
        schema = load_schemas()[file]
        sections.append(Section(title, schema["description"], tuple(key_entries(schema, file))))
        sections += variant_sections(schema, file)
    help = "What is read and what is trained, by name; in the workflow, or in files it includes."
    return Chapter("Datasets and classifiers", help, tuple(sections))


def settings_chapter() -> Chapter:
    """The settings, each with the tasks that listen to it."""
    schema = load_schemas()[SETTINGS]
    sections = []
    for name, part in schema["properties"].items():
        resolved, file = resolve_reference(part, SETTINGS)
        tasks = f"for {_and(resolved['x-tasks'])} tasks"
        help = "; ".join(filter(None, [resolved.get("description", ""), tasks]))
        sections.append(Section(name, help, tuple(key_entries(resolved, file))))
    return Chapter("Settings", schema["description"], tuple(sections))


def sites_chapter() -> Chapter:
    """The keys of a site's file, and the sites that come with hcrc."""
    schema = load_schemas()[SITE]
    keys = Section("Site", schema["description"], tuple(key_entries(schema, SITE)))
    shipped = tuple(Entry(site.name, "", _tell_site(site)) for site in shipped_sites())
    named = Section("Sites that come with hcrc", "named with --site", shipped, "site")
    return Chapter(
        "Sites", "Where jobs run, what they get there, and how they are submitted.", (keys, named)
    )


def messages_chapter() -> Chapter:
    """The codes of diagnostics, and the exit codes of jobs."""
    help = "codes of errors and warnings"
    help += "; hcrc explain CODE shows examples" * ("explain" in COMMANDS)
    errors = tuple(Entry(code, "error", help) for code, help in ERRORS.items())
    warnings = tuple(Entry(code, "warning", help) for code, help in WARNINGS.items())
    text = resources.files("hcrc.schemas").joinpath("exit-codes.json").read_text("utf-8")
    codes = tuple(_exit_code(number, code) for number, code in json.loads(text).items())
    sections = (
        Section("Diagnostics", help, errors + warnings, "code"),
        Section("Exit codes of jobs", "what a job says when it ends", codes, "code"),
    )
    return Chapter("Messages", "", sections)


def _top_keys(schema: Json, file: str) -> Iterator[Entry]:
    """The keys of the workflow itself: what is inside has sections of its own."""
    return (entry for entry in key_entries(schema, file) if "." not in entry.name)


def _options(parser: argparse.ArgumentParser) -> Iterator[Entry]:
    """The options of a command as entries; keys of tasks have a chapter, ``--help`` needs none."""
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction) or action.default == argparse.SUPPRESS:
            continue
        default = str(action.default) if action.default not in (None, False, []) else ""
        help = (action.help or "") % {**vars(action), "prog": parser.prog}
        help = help.replace(f" (default: {default})", "")
        name = ", ".join(action.option_strings) or _operand(action)
        takes = _operand(action) if action.option_strings else ""
        needed = "needed" if action.required and action.nargs not in ("*", "?") else ""
        yield Entry(name, takes, help, default, needed)


def _operand(action: argparse.Action) -> str:
    """What an option takes, as its usage shows it."""
    if action.nargs == 0:
        return ""
    choices = action.choices and "|".join(map(str, action.choices))
    words = action.metavar or choices or action.dest
    if action.nargs != "+":
        return words if isinstance(words, str) else " ".join(words)
    first, rest = (words, words) if isinstance(words, str) else words
    return f"{first} [{rest} …]"


def _exit_code(number: str, code: Json) -> Entry:
    again = "tried again" if code["retry"] else "not tried again" if number != "0" else ""
    return Entry(number, again, f"{code['name']}: {code['help']}")


def _tell_site(site: Site) -> str:
    limits = ", ".join(f"{key} at most {node.text}" for key, node in site.limits.items())
    return f"{site.help}; {limits or 'no limits are known'}"


def _line(text: str) -> str:
    return text[:1].lower() + text[1:].removesuffix(".")


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
