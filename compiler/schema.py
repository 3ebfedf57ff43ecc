"""A node and a schema of `schemas/` in, every violation out as one Diagnostic at its place.

Before binding, leaves that are no strings accept a lone {placeholder} too; with `bound` those
alternatives are taken out of the schemas, so that the types of what was filled in are checked.
"""

import functools
import json
import math
from collections import abc
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from .diagnostics import Diagnostic, Span, nearest, show, suggest
from .parse import Mapping, Node, Scalar, Sequence, locate, locate_key, resolve, to_plain
from .template import unquoted_placeholder

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

PLACEHOLDER: Final = r"^\{[A-Za-z_]\w*\}$"
_ALTERNATIVE: Final = "|" + PLACEHOLDER[1:-1]
_REFERENCE: Final = "#/$defs/placeholder"
_DATA: Final = ("enum", "const", "default", "examples")
_NOUNS: Final = (
    ("null", "null"),
    ("boolean", "true or false"),
    ("integer", "an integer"),
    ("number", "a number"),
    ("string", "a string"),
    ("array", "a list"),
    ("object", "a mapping"),
)
_BOUNDS: Final = (
    ("const", ""),
    ("minimum", "at least "),
    ("maximum", "at most "),
    ("exclusiveMinimum", "more than "),
    ("exclusiveMaximum", "less than "),
    ("multipleOf", "a multiple of "),
    ("minItems", "at least "),
    ("maxItems", "at most "),
    ("minProperties", "at least "),
    ("maxProperties", "at most "),
    ("minLength", "at least this many characters: "),
    ("maxLength", "at most this many characters: "),
)

Json = Any


def validate(
    node: Node, schema: str, *, bound: bool, schemas: abc.Mapping[str, Json] | None = None
) -> list[Diagnostic]:
    """Return what in a node breaks a schema, such as `workflow.schema.json#/$defs/train`.

    `schemas` are by file name; without them they are those of the package.
    """
    if schemas is None:
        validator = _shipped_validator(schema, bound)
    else:
        validator = _make_validator(schema, schemas, bound)
    errors = validator.iter_errors(to_plain(node))
    found = [each for error in errors for each in _explain(node, error)]
    found += _not_finite(node, ())
    return list(dict.fromkeys(_without_followups(found)))


@functools.cache
def load_schemas() -> abc.Mapping[str, Json]:
    """Return the schemas of the package by file name; they are shared: do not change them."""
    files = resources.files("hcrc.schemas").iterdir()
    named = {file.name: file for file in files if file.name.endswith(".schema.json")}
    return {name: json.loads(named[name].read_text("utf-8")) for name in sorted(named)}


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
        branches = [branch for branch in result.pop("anyOf") if not _is_placeholder(branch)]
        result = {**result, **branches[0]} if len(branches) == 1 else {**result, "anyOf": branches}
    pattern = result.get("pattern")
    if pattern == PLACEHOLDER and isinstance(result.get("type"), list):
        del result["pattern"]
        result["type"] = [kind for kind in result["type"] if kind != "string"]
    elif isinstance(pattern, str):
        result["pattern"] = pattern.replace(_ALTERNATIVE, "")
    return result


@functools.cache
def _shipped_validator(schema: str, bound: bool) -> "Validator":
    return _make_validator(schema, load_schemas(), bound)


def _make_validator(schema: str, schemas: abc.Mapping[str, Json], bound: bool) -> "Validator":
    """Return a validator whose integers are integers: 3.0 is none."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    parts: list[tuple[str, Resource[Json]]] = []
    for name, each in schemas.items():
        # Below a "$schema" jsonschema would go on with its own class, and its own integers.
        plain = {key: value for key, value in each.items() if key != "$schema"}
        kept = without_placeholders(plain) if bound else plain
        parts.append((name, DRAFT202012.create_resource(kept)))
    registry: Registry[Json] = Registry().with_resources(parts)
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
    strict = extend(Draft202012Validator, type_checker=types)  # type: ignore[no-untyped-call]
    validator: Validator = strict({"$ref": schema}, registry=registry)
    return validator


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_placeholder(branch: Json) -> bool:
    return isinstance(branch, dict) and str(branch.get("$ref", "")).endswith(_REFERENCE)


def _explain(node: Node, error: Any) -> list[Diagnostic]:
    """Return the diagnostics that a violation stands for."""
    path = tuple(error.absolute_path)
    at = locate(node, path)
    if "propertyNames" in error.absolute_schema_path:
        return [_bad_name(at, error)]
    if error.validator in ("anyOf", "oneOf"):
        return _explain_branches(node, error)
    if error.validator == "additionalProperties" and isinstance(at, Mapping):
        return _unknown_keys(at, error.schema)
    if error.validator == "required" and isinstance(at, Mapping):
        return _missing_keys(at, error.schema)
    unquoted = unquoted_placeholder(at)
    if unquoted:
        return [unquoted]
    if error.validator == "type" or _is_typed_leaf(error):
        return [_wrong_type(at, _name(path), error.schema)]
    if error.validator == "uniqueItems" and isinstance(at, Sequence):
        return _repeated(at, _name(path))
    message, help = _word_value(at, error)
    return [_at(at, "bad-value", f"{_name(path)} {message}", help)]


def _explain_branches(node: Node, error: Any) -> list[Diagnostic]:
    """Explain the alternative that was most likely meant: the one of the value's own type."""
    branches: dict[int, list[Any]] = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    options = error.validator_value
    meant = {key: inner for key, inner in branches.items() if not _is_placeholder(options[key])}
    typed = {key: inner for key, inner in meant.items() if not any(map(_misses_type, inner))}
    if meant and not typed and len(meant) > 1:
        at = locate(node, error.absolute_path)
        kinds = [kind for inner in meant.values() for kind in _kinds(inner[0].schema)]
        unquoted = unquoted_placeholder(at)
        path = tuple(error.absolute_path)
        return [unquoted or _wrong_type(at, _name(path), {"type": kinds})]
    best = min((typed or meant or branches).values(), key=len, default=[])
    return [each for inner in best for each in _explain(node, inner)]


def _misses_type(error: Any) -> bool:
    """Tell whether a violation of an alternative says that the value is of another type."""
    return not error.relative_path and (error.validator == "type" or _is_typed_leaf(error))


def _is_typed_leaf(error: Any) -> bool:
    """Tell whether a text stands where only a lone placeholder stands for another type."""
    pattern = error.validator == "pattern" and error.validator_value == PLACEHOLDER
    choice = error.validator in ("enum", "const") and _kind(error.instance) not in _kinds(
        error.schema
    )
    return pattern or choice


def _kind(value: Json) -> str:
    """Return the name that JSON schema has for the type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
    return "array" if isinstance(value, list) else "object"


def _kinds(schema: Json) -> list[str]:
    """Return the types that a schema accepts, without the text of a placeholder."""
    if "enum" in schema or "const" in schema:
        return [_kind(value) for value in schema.get("enum", [schema.get("const")])]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    alone = schema.get("pattern") == PLACEHOLDER and len(kinds) > 1
    return [kind for kind in kinds if not (alone and kind == "string")]


def _wrong_type(at: Node, subject: str, schema: Json) -> Diagnostic:
    kinds = list(dict.fromkeys(_kinds(schema)))
    nouns = [dict(_NOUNS)[kind] for kind in kinds]
    expected = " or ".join(filter(None, [", ".join(nouns[:-1]), *nouns[-1:]]))
    if isinstance(at, Scalar) and not at.text and not at.quoted:
        actual = "has no value"
    else:
        kind = _kind(to_plain(at))
        actual = f"is {'a boolean' if kind == 'boolean' else dict(_NOUNS)[kind]}"
    message = f"{subject} {actual}, expected {expected}"
    return _at(at, "wrong-type", message, _type_help(at, kinds))


def _type_help(at: Node, kinds: list[str]) -> str | None:
    """Return the likely way out of a wrong type."""
    if not isinstance(at, Scalar):
        return None
    if at.quoted and "{" in at.text:
        return 'a placeholder stands alone here and without a format: "{name}"'
    if at.quoted and len(at.text) < 100 and _fits(_kind(resolve(at.text)), kinds):
        return "remove the quotes"
    if at.text and not at.quoted and not isinstance(at.value, str) and "string" in kinds:
        return f'quote it: "{at.text}"'
    if isinstance(at.value, str) and kinds == ["boolean"]:
        return "write true or false"
    if at.text and kinds == ["array"]:
        return f"write a list: [{at.text}]"
    return None


def _fits(kind: str, kinds: list[str]) -> bool:
    return kind != "string" and (kind in kinds or (kind == "integer" and "number" in kinds))


def _unknown_keys(at: Mapping, schema: Json) -> list[Diagnostic]:
    allowed = schema.get("properties", {})
    title = schema.get("title")
    within = f" in {title}" if title else ""
    return [
        Diagnostic(
            "unknown-key",
            f"unknown key {show(key)}{within}",
            entry.key.span,
            suggest(key, allowed),
            at.notes,
        )
        for key, entry in at.items()
        if key not in allowed
    ]


def _missing_keys(at: Mapping, schema: Json) -> list[Diagnostic]:
    """Return a diagnostic for each missing key but those that an unknown one was meant to be."""
    allowed = schema.get("properties", {})
    closed = schema.get("additionalProperties") is False
    unknown = [key for key in at.entries if closed and key not in allowed]
    meant = {nearest(key, allowed) for key in unknown}
    title = schema.get("title", "this mapping")
    missing = [key for key in schema["required"] if key not in at.entries and key not in meant]
    place = next((entry.key.span for _, entry in at.items()), at.span)
    return [
        Diagnostic("missing-key", f"{title} needs {show(key)}", place, None, at.notes)
        for key in missing
    ]


def _bad_name(at: Node, error: Any) -> Diagnostic:
    key = locate_key(at, [error.instance])
    message = f"{show(error.instance)} cannot be a name here"
    help = _pattern_help(error.schema) if error.validator == "pattern" else None
    return Diagnostic("bad-name", message, key.span if key else at.span, help, at.notes)


def _repeated(at: Sequence, subject: str) -> list[Diagnostic]:
    """Return a diagnostic for each entry that was there before."""
    seen: dict[str, Span] = {}
    found = []
    for item in at.items:
        text = json.dumps(to_plain(item), sort_keys=True)
        if text in seen:
            notes = (*item.notes, ("first here", seen[text]))
            message = f"{subject} has {show(to_plain(item))} twice"
            found.append(Diagnostic("bad-value", message, item.span, None, notes))
        seen.setdefault(text, item.span)
    return found


def _word_value(at: Node, error: Any) -> tuple[str, str | None]:
    """Return what is wrong with a value of the right type, as the end of a sentence, and help."""
    value, limit = error.instance, error.validator_value
    number = isinstance(at, Scalar) and not isinstance(at.value, str) and at.text
    shown = number or show(value)
    if error.validator == "enum":
        texts = [each if isinstance(each, str) else show(each) for each in limit]
        return f"cannot be {shown}", suggest(str(value), texts)
    if error.validator == "pattern":
        return f"cannot be {shown}", _pattern_help(error.schema)
    if error.validator in ("minItems", "minLength", "minProperties") and not value:
        return "is empty", None
    if error.validator in ("minItems", "maxItems", "minProperties", "maxProperties"):
        shown = f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    expected = dict(_BOUNDS).get(error.validator, error.validator)
    return f"is {shown}, expected {expected}{show(limit)}", None


def _pattern_help(schema: Json) -> str:
    """Return what a text has to look like."""
    rule = f"it has to match {schema['pattern'].replace(_ALTERNATIVE, '')}"
    return f"{schema['description']}; {rule}" if "description" in schema else rule


def _without_followups(found: list[Diagnostic]) -> Iterator[Diagnostic]:
    """Leave out what is said of a value after its type was found wrong."""
    mistyped = {each.span for each in found if each.code in ("wrong-type", "unquoted-placeholder")}
    for each in found:
        if each.code != "bad-value" or each.span not in mistyped:
            yield each


def _not_finite(node: Node, path: tuple[str | int, ...]) -> Iterator[Diagnostic]:
    """Find numbers that are infinite or none: no JSON can hold them."""
    match node:
        case Scalar(value=float() as value) if not math.isfinite(value):
            message = f"{_name(path)} is {node.text}, expected a finite number"
            yield _at(node, "bad-value", message)
        case Sequence():
            for index, item in enumerate(node.items):
                yield from _not_finite(item, (*path, index))
        case Mapping():
            for key, entry in node.items():
                yield from _not_finite(entry.value, (*path, key))


def _name(path: tuple[str | int, ...]) -> str:
    """Return what messages call the value at a path."""
    match path:
        case (*_, str() as key):
            return show(key)
        case (*_, str() as key, int() as index):
            return f"entry {index + 1} of {show(key)}"
        case (*_, int() as index):
            return f"entry {index + 1}"
    return "this text"


def _at(at: Node, code: str, message: str, help: str | None = None) -> Diagnostic:
    return Diagnostic(code, message, at.span, help, at.notes)
