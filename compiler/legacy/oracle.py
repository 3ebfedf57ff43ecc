"""The older tool's own expansion: files and templates in, plain modules with lists of words out.

It is written once more, after the older rules and nothing else, with PyYAML, ``str.format`` and
``shlex`` as they are: what the import made of the same files is held against it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..files import Files
from .expand import Expander, Group, Template
from .modules import CATEGORIES, FLAG, MAIN, SCHEME, Module


class Words(NamedTuple):
    """A module and its words, as the older tool's parsers see them."""

    category: str
    name: str
    words: list[str]


def expand_again(expander: Expander) -> list[Words]:
    """The modules of an import, the task first; what fails here had failed there."""
    found: list[Words] = []
    for step in expander.steps:
        found += [_plain(step)] if isinstance(step, Module) else _group(step, expander.files)
    mains = [each for each in found if each.category == MAIN]
    return mains[-1:] + [each for each in found if each.category in (*CATEGORIES, FLAG)]


def _plain(module: Module) -> Words:
    return Words(module.category, str(module.name), list(map(str, module.words)))


def _group(group: Group, files: Files) -> Iterable[Words]:
    for place, keys in group.files:
        data = _load(place, group, files)
        for key in filter(None, keys.split(".")):
            data = data[key] if isinstance(data, dict) else data[int(key)]
        if group.first and MAIN in data:
            yield _module(MAIN, data[MAIN])
        flags = data.get(FLAG) or []
        yield from (
            Words(FLAG, each, []) for each in ([flags] if isinstance(flags, str) else flags)
        )
        for category in CATEGORIES:
            yield from (_module(category, each) for each in data.get(category) or [])


def _load(place: str, group: Group, files: Files) -> Any:
    text = files.read(Path(place)).decode("utf-8").removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if group.template is not None:
        text = text.format(**_values(group.template))
    return json.loads(text) if place.endswith(".json") else yaml.safe_load(text)


def _values(template: Template) -> dict[str, Any]:
    """The values of a template, and stand-ins for keys that have none."""
    given = {} if SCHEME in template.text else yaml.safe_load(template.text) or {}
    return template.values | {str(key): value for key, value in given.items()}


def _module(category: str, data: Any) -> Words:
    words: list[str] = []
    for option in data.get("option") or []:
        if option is None:
            words.append("")
        elif isinstance(option, str):
            words += shlex.split(option)
        else:
            words.append(f"json:##{json.dumps(option)}")
    return Words(category, data["module"], words)
