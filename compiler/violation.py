"""One violation of a schema in, the diagnostics that it stands for out, at their places.

Violations are jsonschema's; leaves that are no strings accept a lone {placeholder} beside their
type, which messages do not speak of.
"""

import json
import math
from collections.abc import Iterator
from typing import Any, Final

from .codes import NOT_FOLLOWING, WRONG_TYPES
from .diagnostics import Diagnostic, Span, nearest, show, suggest
from .mistaken import explain_type
from .nodes import Mapping, Node, Scalar, Sequence, locate, locate_key, to_plain
from .template import unquoted_placeholder

PLACEHOLDER: Final = r"^\{[A-Za-z_]\w*\}$"
ALTERNATIVE: Final = r"|.*\{[A-Za-z_].*\}.*"
_FINITE: Final = json.JSONEncoder(allow_nan=False, check_circular=False)
_REFERENCE: Final = "#/$defs/placeholder"
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

_CODES: Final = (
    ("const", "wrong-version"),
    ("minimum", "out-of-bounds"),
    ("maximum", "out-of-bounds"),
    ("exclusiveMinimum", "out-of-bounds"),
    ("exclusiveMaximum", "out-of-bounds"),
)

Json = Any


def is_placeholder(branch: Json) -> bool:
    """Tell whether an alternative is that of a lone placeholder."""
    return isinstance(branch, dict) and str(branch.get("$ref", "")).endswith(_REFERENCE)


def explain(node: Node, error: Any) -> list[Diagnostic]:
    """Return the diagnostics that a violation stands for."""
    path = tuple(error.absolute_path)
    at = locate(node, path)
    if "propertyNames" in error.absolute_schema_path:
        return [_bad_name(at, error)]
    if error.validator in ("anyOf", "oneOf"):
        return _explain_branches(node, error)
    if error.validator == "additionalProperties" and isinstance(at, Mapping):
        return _unknown_keys(at, error.schema)
    if error.validator in ("required", "x-required") and isinstance(at, Mapping):
        return _missing_keys(at, error.schema, error.validator)
    unquoted = unquoted_placeholder(at)
    if unquoted:
        return [unquoted]
    if error.validator == "type" or _is_typed_leaf(error):
        return [_wrong_type(at, _name(path), error.schema)]
    if error.validator == "x-ascending":
        advice = "each entry is larger than the one before it"
        return [_at(at, "not-ascending", f"{_name(path)} is out of order", advice)]
    if error.validator == "uniqueItems" and isinstance(at, Sequence):
        return _repeated(at, _name(path))
    code, message, help = _word_value(at, error)
    return [_at(at, code, f"{_name(path)} {message}", help)]


def _explain_branches(node: Node, error: Any) -> list[Diagnostic]:
    """Explain the alternative that was most likely meant: the one of the value's own type."""
    branches: dict[int, list[Any]] = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    options = error.validator_value
    meant = {key: inner for key, inner in branches.items() if not is_placeholder(options[key])}
    typed = {key: inner for key, inner in meant.items() if not any(map(_misses_type, inner))}
    if meant and not typed and len(meant) > 1:
        at = locate(node, error.absolute_path)
        kinds = [kind for inner in meant.values() for kind in _kinds(inner[0].schema)]
        unquoted = unquoted_placeholder(at)
        path = tuple(error.absolute_path)
        return [unquoted or _wrong_type(at, _name(path), {"type": kinds})]
    best = min((typed or meant or branches).values(), key=len, default=[])
    return [each for inner in best for each in explain(node, inner)]


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
    whole = schema.get("pattern") != PLACEHOLDER and {*kinds} & {"array", "object"}
    code, help = explain_type(at, kinds, bool(whole))
    return _at(at, code, message, help)


def _unknown_keys(at: Mapping, schema: Json) -> list[Diagnostic]:
    allowed = schema.get("properties", {})
    title = schema.get("title")
    within = f" in {title}" if title else ""
    code, noun = ("unknown-setting", "setting") if title == "settings" else ("unknown-key", "key")
    return [
        Diagnostic(
            code,
            f"unknown {noun} {show(key)}{within}",
            entry.key.span,
            suggest(key, allowed),
            at.notes,
        )
        for key, entry in at.items()
        if key not in allowed
    ]


def _missing_keys(at: Mapping, schema: Json, keyword: str) -> list[Diagnostic]:
    """Return a diagnostic for each missing key but those that an unknown one was meant to be."""
    allowed = schema.get("properties", {})
    closed = schema.get("additionalProperties") is False
    unknown = [key for key in at.entries if closed and key not in allowed]
    meant = {nearest(key, allowed) for key in unknown}
    title = schema.get("title", "this mapping")
    missing = [key for key in schema[keyword] if key not in at.entries and key not in meant]
    first = next((entry.key.span for _, entry in at.items()), at.span)
    places = {**dict.fromkeys(missing, first), **dict(at.removed)}
    help = {key: f'write it, with "{{{key}}}" for the value of the axis' for key in _axes_of(at)}
    return [
        Diagnostic(
            "missing-key", f"{title} needs {show(key)}", places[key], help.get(key), at.notes
        )
        for key in missing
    ]


def _axes_of(task: Mapping) -> list[str]:
    """The axes of a task: one fills the key of its name if that has a default."""
    axes = task.get("for")
    return list(axes.entries) if isinstance(axes, Mapping) else []


def _bad_name(at: Node, error: Any) -> Diagnostic:
    key = locate_key(at, [error.instance])
    message = f"{show(error.instance)} cannot be a name here"
    help = f"a name has at most {error.validator_value} characters"
    help = _pattern_help(error.schema) if error.validator == "pattern" else help
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
            found.append(Diagnostic("repeated-value", message, item.span, None, notes))
        seen.setdefault(text, item.span)
    return found


def _word_value(at: Node, error: Any) -> tuple[str, str, str | None]:
    """Return code, end of a sentence and help for what is wrong with a value of the right type."""
    value, limit = error.instance, error.validator_value
    number = isinstance(at, Scalar) and not isinstance(at.value, str) and at.text
    shown = number or show(value)
    if error.validator == "enum":
        texts = [each if isinstance(each, str) else show(each) for each in limit]
        kind = tuple(error.absolute_path)[-1:] == ("task",)
        code = "unknown-task-kind" if kind else "bad-choice"
        return code, f"cannot be {shown}", suggest(str(value), texts)
    if error.validator == "pattern":
        return "bad-form", f"cannot be {shown}", _pattern_help(error.schema)
    if error.validator in ("minItems", "minLength", "minProperties") and not value:
        return "empty-value", "is empty", None
    if error.validator in ("minItems", "maxItems", "minProperties", "maxProperties"):
        shown = f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    expected = dict(_BOUNDS).get(error.validator, error.validator)
    code = dict(_CODES).get(error.validator, "bad-value")
    help = "this hcrc reads no other" if code == "wrong-version" else None
    return code, f"is {shown}, expected {expected}{show(limit)}", help


def _pattern_help(schema: Json) -> str:
    """Return what a text has to look like."""
    rule = f"it has to match {schema['pattern'].replace(ALTERNATIVE, '')}"
    return f"{schema['description']}; {rule}" if "description" in schema else rule


def without_followups(found: list[Diagnostic]) -> Iterator[Diagnostic]:
    """Leave out what is said of a place after a wrong type was found there."""
    mistyped = {each.span: each for each in reversed(found) if each.code in WRONG_TYPES}
    for each in found:
        if each.code in NOT_FOLLOWING or mistyped.get(each.span, each) is each:
            yield each


def is_finite(value: Json) -> bool:
    """Tell whether JSON can hold all numbers of a plain value."""
    try:
        _FINITE.encode(value)
    except ValueError:
        return False
    return True


def not_finite(node: Node, path: tuple[str | int, ...]) -> Iterator[Diagnostic]:
    """Find numbers that are infinite or none: no JSON can hold them."""
    match node:
        case Scalar(value=float() as value) if not math.isfinite(value):
            message = f"{_name(path)} is {node.text}, expected a finite number"
            yield _at(node, "not-finite", message)
        case Sequence():
            for index, item in enumerate(node.items):
                yield from not_finite(item, (*path, index))
        case Mapping():
            for key, entry in node.items():
                yield from not_finite(entry.value, (*path, key))


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
