"""Where the cursor stands in, what may stand there out, each with what it is, in a line."""

from __future__ import annotations

import os

from ..shipped import package_folder
from .cache import Rows, recall, remember
from .grammar import LIST, Command, Spot
from .mappings import Key, complete_mapping
from .paths import Found, list_any, list_files, list_folders

DEVICES = ("auto", "cpu", "cuda")
ROWS = {"TASK": "task", "DATASET": "dataset", "CLASSIFIER": "classifier", "JOB": "job"}
FILES = ("FILE", "BUNDLE")


def complete_words(words: list[str], current: str) -> Found:
    """What the current word may become, after the words behind ``hcrc``."""
    rows = grammar_rows()
    if not words:
        commands = [(row[1], row[2]) for row in rows if row[0] == "command"]
        flags = [("--help", "show this and stop"), ("--version", "show the version and stop")]
        return _fitting(flags if current[:1] == "-" else commands, current)
    command = Command(rows, words[0])
    command.read(words[1:])
    if command.is_flag(current):
        return _options(command, current, rows)
    found: Found = []
    for spot in command.spots():
        found += Candidates(rows, command).at(spot, current)
    return found


def grammar_rows() -> Rows:
    """The rows of the commands, settings and codes."""
    compiler = package_folder("hcrc.compiler")
    key = f"grammar {compiler}"
    rows = recall(key)
    if rows is None:
        from .describe import describe, source_stamps

        stamps = source_stamps()
        rows = describe()
        remember(key, stamps, rows)
    return rows


def fact_rows(path: str) -> Rows:
    """The rows of a workflow or bundle."""
    key = f"facts {path}"
    rows = recall(key)
    if rows is None:
        from .facts import read_facts

        rows, stamps = read_facts(path)
        remember(key, stamps, rows)
    return rows


class Candidates:
    """What the values of arguments can be, by kind; names come from the files on the line."""

    def __init__(self, rows: Rows, command: Command) -> None:
        self.rows = rows
        self.command = command

    def at(self, spot: Spot, text: str) -> Found:
        """What a value may become."""
        if spot.argument.choices:
            return _fitting(
                [(choice, spot.argument.help) for choice in spot.argument.choices], text
            )
        kinds = spot.kind.split("|")
        if "--setting" in spot.argument.flags:
            return self.setting(spot, text)
        if "FILE" in kinds and "BUNDLE" in kinds:
            return self.files(text, bundles=True)
        if kinds[0] in ROWS:
            return _fitting(self.named(ROWS[kinds[0]]), text)
        match kinds[0]:
            case "FILE":
                return self.files(text, bundles=False)
            case "MAPPING":
                return self.template(text)
            case "KEY=VALUE":
                return self.parameter(text)
            case "BUNDLE":
                return list_files(text, bundles=True)
            case "DIR":
                return list_folders(text)
            case "SITE":
                return self.sites(text)
            case "DEVICE":
                return _fitting([(device, "") for device in DEVICES], text)
            case "CODE" | "COMMAND":
                wanted = kinds[0].lower()
                return _fitting([(row[1], row[2]) for row in self.rows if row[0] == wanted], text)
        return []

    def files(self, text: str, *, bundles: bool) -> Found:
        """Files of workflows, and the names of those that come with hcrc."""
        found = list_files(text, bundles=bundles)
        names = sorted(os.listdir(package_folder("hcrc.workflows")))
        stems = [name.removesuffix(".yml") for name in names if name.endswith(".yml")]
        return found + _fitting([(stem, "comes with hcrc") for stem in stems], text)

    def sites(self, text: str) -> Found:
        """The sites that come with hcrc, and files."""
        names = sorted(os.listdir(f"{package_folder('hcrc.templates')}/condor/sites"))
        stems = [name.removesuffix(".yml") for name in names]
        return _fitting([(stem, "comes with hcrc") for stem in stems], text) + list_files(
            text, bundles=False
        )

    def facts(self) -> Rows:
        """The rows of all files on the line."""
        names = dict.fromkeys(name for kind in FILES for name in self.command.values(kind))
        return [row for name in names for row in fact_rows(_find(name))]

    def named(self, kind: str) -> Found:
        """The names of a kind in the files on the line."""
        return [(row[1], row[2]) for row in self.facts() if row[0] == kind]

    def keys(self) -> list[Key]:
        """The parameters of the files on the line."""
        facts = self.facts()
        kinds = [(row[2], row[1]) for row in facts if row[0] == "names"]
        keys = {}
        for row in facts:
            if row[0] == "parameter":
                name, type_, default, choices, help = row[1:6]
                values = choices.split(LIST) if choices else []
                values += ["true", "false"] if type_ == "boolean" else []
                values += [each[1] for each in facts if (each[0], name) in kinds]
                value = "" if "{" in default else default
                keys[name] = Key(name, value, list(dict.fromkeys(values)), help or type_)
        return list(keys.values())

    def parameter(self, text: str) -> Found:
        """``key=value`` of ``--param``."""
        name, equals, value = text.partition("=")
        keys = {key.name: key for key in self.keys()}
        if not equals:
            return _fitting([(f"{key.name}=", key.help) for key in keys.values()], text)
        key = keys.get(name)
        values = (key.choices or [key.value]) if key else []
        found = _fitting([(each, key.help) for each in values if key and each], value)
        if not found and any(row[:3] == ["parameter", name, "path"] for row in self.facts()):
            found = list_any(value)
        return [(f"{name}={each}", help) for each, help in found]

    def template(self, text: str) -> Found:
        """A mapping of ``--template``, or a file of one."""
        return complete_mapping(text, self.keys()) if text[:1] == "{" else list_files(text)

    def setting(self, spot: Spot, text: str) -> Found:
        """The name of a setting, or the mapping that follows it."""
        if not spot.before:
            return _fitting([(row[1], row[2]) for row in self.rows if row[0] == "setting"], text)
        name = spot.before[0]
        present = {row[2]: row[3] for row in self.facts() if row[:2] == ["value", name]}
        keys = [
            Key(row[2], present.get(row[2], row[3]), row[4].split(LIST) if row[4] else [], row[5])
            for row in self.rows
            if row[:2] == ["key", name]
        ]
        return complete_mapping(text or "{", keys)


def _options(command: Command, current: str, rows: Rows) -> Found:
    """Options, or the value of one that is typed with an equals sign."""
    flag, equals, text = current.partition("=")
    if equals and flag in command.flags:
        found = Candidates(rows, command).at(Spot(command.flags[flag], []), text)
        return [(f"{flag}={each}", help) for each, help in found]
    named = [(flag, option.help) for option in command.options for flag in option.flags]
    return _fitting([item for item in named if item[0][:2] == "--" or current != "--"], current)


def _fitting(found: Found, text: str) -> Found:
    return [item for item in found if item[0].startswith(text)]


def _find(name: str) -> str:
    """The path of a file on the line: ``svb`` is the workflow that comes with hcrc."""
    path = os.path.abspath(os.path.expanduser(name))
    if "/" in name or "." in name or os.path.lexists(path):
        return path
    shipped = os.path.join(package_folder("hcrc.workflows"), f"{name}.yml")
    return shipped if os.path.isfile(shipped) else path
