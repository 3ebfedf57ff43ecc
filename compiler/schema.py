"""A node and a schema of `schemas/` in, every violation out as one Diagnostic at its place.

Before binding, leaves that are no strings accept a lone {placeholder} too; with `bound` those
alternatives are taken out of the schemas, so that the types of what was filled in are checked.
"""

import functools
import json
from collections import abc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from .conform import Check, Checks, missing_keys, out_of_order
from .diagnostics import Diagnostic
from .nodes import Entry, Mapping, Node, Scalar, Sequence, to_plain
from .shipped import read_schema, schema_names
from .violation import (
    ALTERNATIVE,
    PLACEHOLDER,
    explain,
    is_finite,
    is_placeholder,
    not_finite,
    without_followups,
)

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_DATA: Final = ("enum", "const", "default", "examples")
Json = Any


def validate(
    node: Node,
    schema: str,
    *,
    bound: bool,
    key: str | None = None,
    schemas: abc.Mapping[str, Json] | None = None,
) -> list[Diagnostic]:
    """Return what in a node breaks a schema, such as `workflow.schema.json#/$defs/train`.

    `key` is what messages call the node, where it stands at a key. `schemas` are by file name;
    without them they are those of the package.
    """
    plain = to_plain(node)
    fits = schemas is None and shipped_check(schema, bound)(plain)
    if fits and is_finite(plain):
        return []
    found = [] if fits else _violations(node, schema, bound, key, schemas)
    found += not_finite(node, (key,) if key else ())
    return list(dict.fromkeys(without_followups(found)))


@functools.cache
def shipped_check(schema: str, bound: bool) -> Check:
    """Return a fast test of plain values: what passes it breaks nothing in the package's schema."""
    return _shipped_checks(bound).reference(schema, "")


@functools.cache
def _shipped_checks(bound: bool) -> Checks:
    return Checks(load_schemas(bound))


class Schemas(abc.Mapping[str, Json]):
    """The schemas of the package by file name, each read when it is asked for.

    With `bound` they accept no placeholders. They are shared: do not change them.
    """

    def __init__(self, *, bound: bool) -> None:
        self.bound = bound
        self._read: dict[str, Json] = {}

    def __getitem__(self, name: str) -> Json:
        if name not in self._read:
            plain = load_schemas()[name] if self.bound else json.loads(read_schema(name))
            self._read[name] = without_placeholders(plain) if self.bound else plain
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(schema_names())

    def __len__(self) -> int:
        return len(schema_names())


@functools.cache
def load_schemas(bound: bool = False) -> abc.Mapping[str, Json]:
    """Return the schemas of the package, as they are before or after binding."""
    return Schemas(bound=bound)


def without_placeholders(schema: Json) -> Json:
    """Return a schema whose leaves accept no placeholder in place of their type."""
    if isinstance(schema, list):
        return [without_placeholders(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        key: value if key in _DATA and not isinstance(value, dict) else without_placeholders(value)
        for key, value in schema.items()
    }
    if isinstance(result.get("anyOf"), list):
        branches = [branch for branch in result.pop("anyOf") if not is_placeholder(branch)]
        result = {**result, **branches[0]} if len(branches) == 1 else {**result, "anyOf": branches}
    pattern = result.get("pattern")
    if pattern == PLACEHOLDER and isinstance(result.get("type"), list):
        del result["pattern"]
        result["type"] = [kind for kind in result["type"] if kind != "string"]
    elif isinstance(pattern, str):
        result["pattern"] = pattern.replace(ALTERNATIVE, "")
    return result


@functools.cache
def shipped_validator(schema: str, bound: bool, key: str | None) -> "Validator":
    """Return jsonschema's validator of a schema of the package, for what stands at `key`."""
    return _make_validator(schema, load_schemas(), bound, key)


def _violations(
    node: Node, schema: str, bound: bool, key: str | None, schemas: abc.Mapping[str, Json] | None
) -> list[Diagnostic]:
    """Return what jsonschema finds, with the node at its key."""
    if schemas is None:
        validator = shipped_validator(schema, bound, key)
    else:
        validator = _make_validator(schema, schemas, bound, key)
    if key is not None:
        name = Scalar(key, key, False, node.span)
        node = Mapping({key: Entry(name, node)}, node.span)
    # jsonschema goes through keys as a set has them; of two that share an anchor one is told.
    errors = sorted(
        validator.iter_errors(to_plain(node)), key=lambda error: _order(node, error.absolute_path)
    )
    return [each for error in errors for each in explain(node, error)]


def _order(node: Node, path: abc.Iterable[str | int]) -> list[int]:
    """Where a path leads to, as a number for each step: as the keys stand in the file."""
    steps = []
    for step in path:
        if isinstance(node, Mapping):
            steps.append(list(node.entries).index(str(step)))
            node = node.entries[str(step)].value
        elif isinstance(node, Sequence):
            steps.append(int(step))
            node = node.items[int(step)]
    return steps


def _make_validator(
    schema: str, schemas: abc.Mapping[str, Json], bound: bool, key: str | None
) -> "Validator":
    """Return a validator whose integers are integers: 3.0 is none; it knows `x-ascending`."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    def ascending(_: object, wanted: bool, value: Json, __: object) -> Iterator[ValidationError]:
        for index in out_of_order(value) if wanted else ():
            yield ValidationError("not ascending", path=[index], validator="x-ascending")

    parts: list[tuple[str, Resource[Json]]] = []
    for name, each in schemas.items():
        # Below a "$schema" jsonschema would go on with its own class, and its own integers.
        plain = {key: value for key, value in each.items() if key != "$schema"}
        kept = without_placeholders(plain) if bound else plain
        parts.append((name, DRAFT202012.create_resource(kept)))
    registry: Registry[Json] = Registry().with_resources(parts)
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)

    def complete(_: object, keys: Json, value: Json, __: object) -> Iterator[ValidationError]:
        if missing_keys(keys, value):
            yield ValidationError("not complete", validator="x-required")

    own = {"x-ascending": ascending, "x-required": complete}
    strict = extend(Draft202012Validator, own, type_checker=types)  # type: ignore[no-untyped-call]
    validator: Validator = strict(
        {"$ref": schema} if key is None else {"properties": {key: {"$ref": schema}}},
        registry=registry,
    )
    return validator


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
