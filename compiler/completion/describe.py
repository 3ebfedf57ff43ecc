"""The commands, settings and codes of this version in, rows for completion out.

This reads what argparse and the schemas hold, so that nothing is said twice; it takes a while, and
its rows are kept until one of the files they come from changes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ..cli import build_parser
from ..codes import CODES
from ..commands import COMMANDS
from ..defaults import WORKFLOW, resolve_reference, task_kinds, task_schema
from ..idle import tell_help
from ..schema import load_schemas
from ..shipped import package_folder
from .cache import Rows, row, stamp
from .grammar import ARGUMENT, LIST, MANY

Json = Any
NAMED = {"classifier": "CLASSIFIER", "datasets": "DATASET"}
SETTINGS = "settings.schema.json"
COUNTS: Mapping[str | int | None, tuple[int, int]] = {
    None: (1, 1),
    "?": (0, 1),
    "*": (0, MANY),
    "+": (1, MANY),
    "...": (0, MANY),
    "A...": (1, MANY),
}


def source_stamps() -> dict[str, str]:
    """The files that the rows come from, and their states."""
    compiler = package_folder("hcrc.compiler")
    commands, schemas = os.path.join(compiler, "commands"), package_folder("hcrc.schemas")
    paths = [os.path.join(compiler, name) for name in ("__init__.py", "codes.py", "cli.py")]
    for folder in (commands, schemas):
        names = sorted(os.listdir(folder))
        paths += [os.path.join(folder, name) for name in names if name.endswith((".py", ".json"))]
    return {path: stamp(path) for path in [*paths, commands, schemas]}


def describe() -> Rows:
    """All rows."""
    return [*_arguments(), *_settings(), *(row("code", code, text) for code, text in CODES.items())]


def _arguments() -> Iterator[list[str]]:
    for name, command in COMMANDS.items():
        yield row("command", name, command.help)
        # argparse has no public list of what a parser takes.
        for action in build_parser(name)._actions:
            if action.help != argparse.SUPPRESS:
                yield _argument(name, action)


def _argument(command: str, action: argparse.Action) -> list[str]:
    nargs = action.nargs
    least, most = (nargs, nargs) if isinstance(nargs, int) else COUNTS[nargs]
    shown = action.metavar or action.dest
    kinds = shown if isinstance(shown, tuple) else (shown,)
    choices = [str(choice) for choice in action.choices or ()]
    if kinds == ("VALUE",):
        key = action.dest.removeprefix("--")
        kinds, choices = (NAMED.get(key, "VALUE"),), _choices_of_key(key)
    help = (action.help or "") % {**vars(action), "prog": f"hcrc {command}"}
    flags = " ".join(action.option_strings)
    head = row(ARGUMENT, command, flags, str(least), str(most))
    return [*head, LIST.join(kinds), LIST.join(choices), *row(help)]


def _choices_of_key(key: str) -> list[str]:
    """The values that a key of tasks can have, where its schemas list them."""
    found: dict[str, None] = {}
    for kind in task_kinds():
        part = task_schema(kind)["properties"].get(key)
        if part is not None:
            found |= dict.fromkeys(_choices(resolve_reference(part, WORKFLOW)[0]))
    return list(found)


def _choices(schema: Json) -> list[str]:
    """The values that a schema lists, in itself or in its alternatives."""
    kinds = schema.get("type", ())
    values = [str(value) for value in schema.get("enum", ())]
    values += ["true", "false"] * ("boolean" in ((kinds,) if isinstance(kinds, str) else kinds))
    return values + [value for part in schema.get("anyOf", ()) for value in _choices(part)]


def _settings() -> Iterator[list[str]]:
    for name, schema in load_schemas()[SETTINGS]["properties"].items():
        tasks = ", ".join(schema.get("x-tasks", ()))
        yield row("setting", name, schema.get("description", f"for {tasks} tasks"))
        for key, part in schema["properties"].items():
            found, _ = resolve_reference(part, SETTINGS)
            default = found.get("default")
            text = str(default).lower() if isinstance(default, bool) else str(default)
            listed = LIST.join(_choices(found))
            value = "null" if default is None else text
            yield [*row("key", name, key, value), listed, *row(tell_help(found))]
