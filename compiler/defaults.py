"""Fill in the defaults that the schemas declare, so that a plan says every value."""

from __future__ import annotations

import copy
from typing import Any, Final

from .schema import load_schemas

Json = Any
WORKFLOW: Final = "workflow.schema.json"


def resolve_reference(schema: Json, file: str) -> tuple[Json, str]:
    """The schema that ``$ref`` leads to, with its siblings over it, and the file it lies in."""
    while "$ref" in schema:
        name, _, path = schema["$ref"].partition("#")
        file = name or file
        target = load_schemas()[file]
        for step in filter(None, path.split("/")):
            target = target[step]
        schema = target | {key: value for key, value in schema.items() if key != "$ref"}
    return schema, file


def task_schema(kind: str) -> Json:
    """The schema of a kind of task, and with it the keys such a task may have."""
    return load_schemas()[WORKFLOW]["$defs"][kind]


def fill_defaults(value: Json, file: str, schema: Json | None = None) -> Json:
    """A copy of a plain value in which every absent key with a default has it, at all depths."""
    schema, file = resolve_reference(load_schemas()[file] if schema is None else schema, file)
    if isinstance(value, list) and "items" in schema:
        return [fill_defaults(item, file, schema["items"]) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    filled = dict(value)
    for key, part in schema["properties"].items():
        part, part_file = resolve_reference(part, file)
        if key not in filled and "default" in part:
            filled[key] = copy.deepcopy(part["default"])
        if key in filled:
            filled[key] = fill_defaults(filled[key], part_file, part)
    return filled
