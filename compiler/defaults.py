"""What the schemas say of a value beyond whether it is right: defaults, and where text stands."""

from __future__ import annotations

import copy
import functools
from typing import Any, Final

from .nodes import Entry, Mapping, Node, Scalar, Sequence
from .schema import load_schemas
from .violation import PLACEHOLDER

Json = Any
WORKFLOW: Final = "workflow.schema.json"
PLACEHOLDER_SCHEMA: Final = "common.schema.json#/$defs/placeholder"


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


def task_kinds() -> list[str]:
    """The kinds of task that there are."""
    kinds: list[str] = load_schemas()[WORKFLOW]["$defs"]["task"]["properties"]["task"]["enum"]
    return kinds


def fill_defaults(value: Json, file: str, schema: Json | None = None) -> Json:
    """A copy of a plain value in which every absent key with a default has it, at all depths."""
    schema = load_schemas()[file] if schema is None else schema
    schema, file = choose_schema(value, *resolve_reference(schema, file))
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


def choose_schema(value: Json, schema: Json, file: str) -> tuple[Json, str]:
    """The schema that is for a value, of those that its ``anyOf`` or ``allOf`` choose from.

    ``anyOf`` chooses between null and another; ``allOf`` by constants, as ``schedule``.
    """
    if value is not None:
        for option in schema.get("anyOf", ()):
            if "$ref" in option and option["$ref"] != PLACEHOLDER_SCHEMA:
                return choose_schema(value, *resolve_reference(option, file))
    for each in schema.get("allOf", ()):
        if isinstance(value, dict) and _holds(each["if"], value):
            return resolve_reference(each["then"], file)
    return schema, file


def _holds(condition: Json, value: dict[str, Json]) -> bool:
    """Whether a condition on constants holds; keys that are not required may be absent."""
    keys = condition.get("required", ())
    constants = condition.get("properties", {})
    return all(key in value for key in keys) and all(
        value[key] == schema["const"] for key, schema in constants.items() if key in value
    )


def take_texts(node: Node, reference: str) -> Node:
    """The node with a filled number or boolean as its text wherever the schema takes text alone."""
    return _take_texts(node, *_named_schema(reference))


@functools.cache
def _named_schema(reference: str) -> tuple[Json, str]:
    return resolve_reference({"$ref": reference}, "")


def _take_texts(node: Node, schema: Json, file: str) -> Node:
    schema, file = resolve_reference(schema, file)
    match node:
        case Scalar():
            return _text(node) if _wants_text(node, schema) else node
        case Sequence() if "items" in schema:
            items = tuple(_take_texts(item, schema["items"], file) for item in node.items)
            return node._replace(items=items)
        case Mapping():
            known, rest = schema.get("properties", {}), schema.get("additionalProperties")
            rest = rest if isinstance(rest, dict) else {}
            texts = {
                key: _take_texts(entry.value, known.get(key, rest), file)
                for key, entry in node.items()
            }
            return node.replace(
                {key: Entry(entry.key, texts[key], entry.replaced) for key, entry in node.items()}
            )
    return node


def _text(node: Scalar) -> Scalar:
    return node._replace(value=node.text, quoted=True)


def _wants_text(node: Scalar, schema: Json) -> bool:
    if not node.filled or node.value is None or isinstance(node.value, str):
        return False
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    typed = schema.get("pattern") == PLACEHOLDER or {"integer", "number", "boolean"} & {*kinds}
    return "string" in kinds and not typed
