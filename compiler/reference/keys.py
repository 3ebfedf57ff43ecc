"""Schemas in, entries out: every key with its type, default, limits and meaning.

The keys of a mapping inside are named with dots, `training.epochs`, those of a mapping in a list
`rocs[].name`. A mapping whose keys depend on one of them has variants, each a section of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from ..defaults import resolve_reference
from ..flow import write_flow
from ..idle import tell_help
from ..schema import load_schemas
from ..violation import PLACEHOLDER, is_placeholder
from .model import Entry, Section

Json = Any
Place = tuple[Json, str]
EXPONENT: Final = 6
NOUNS: Final = (
    ("null", "null"),
    ("boolean", "true or false"),
    ("integer", "integer"),
    ("number", "number"),
    ("string", "text"),
    ("array", "list"),
    ("object", "mapping"),
)
PLURALS: Final = (("text", "texts"), ("integer", "integers"), ("number", "numbers"))


def key_entries(schema: Json, file: str, prefix: str = "") -> Iterator[Entry]:
    """The entries of a mapping's keys, those of mappings inside after them."""
    schema, file = resolve_reference(schema, file)
    for key, part in schema.get("properties", {}).items():
        resolved, place = resolve_reference(part, file)
        default = resolved.get("default", {})
        yield Entry(
            f"{prefix}{key}",
            describe(part, file),
            tell_help(resolved),
            "" if default == {} else write_flow(default),
            _needed(schema, key),
        )
        if not _is_file(part):
            yield from _inner_entries(f"{prefix}{key}", resolved, place)


def variant_sections(schema: Json, file: str) -> Iterator[Section]:
    """A section for each variant of mappings inside, in the order in which they are met."""
    schema, file = resolve_reference(schema, file)
    for place in _parts(schema, file):
        for part, inside in _variants(*place):
            yield Section(part["title"], part.get("description", ""), (*key_entries(part, inside),))
        yield from variant_sections(*place)


def describe(schema: Json, file: str) -> str:
    """What a value has to be, in words; a placeholder may stand for it anyway."""
    if _is_file(schema):
        return _title(load_schemas()[schema["$ref"]])
    own = resolve_reference({"$ref": schema["$ref"]}, file)[0] if "$ref" in schema else {}
    schema, file = resolve_reference(schema, file)
    if "x-refers-to" in schema:
        return f"reference to {_article(schema['x-refers-to'])} task"
    options = schema.get("anyOf", schema.get("oneOf"))
    if options is not None:
        kept = [describe(option, file) for option in options if not is_placeholder(option)]
        return _either(kept)
    if "enum" in schema or "const" in schema:
        return _either(map(write_flow, schema.get("enum", [schema.get("const")])))
    kinds = _kinds(schema)
    form = own.get("description")
    if kinds == ["string"] and "pattern" in schema and form not in (None, schema["description"]):
        return f"text: {form}"
    return _either(_describe_kind(kind, schema, file) for kind in kinds) or "any value"


def _describe_kind(kind: str, schema: Json, file: str) -> str:
    noun = dict(NOUNS)[kind]
    if kind in ("integer", "number"):
        return f"{noun}{_bounds(schema)}"
    if kind == "array":
        return f"{noun}{_entries(schema, file)}"
    if kind == "object" and _variants(schema, file):
        return f"{noun}: {_either(part['title'] for part, _ in _variants(schema, file))}"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"{noun}, each value {_inside(values, file)}" if isinstance(values, dict) else noun
    return noun


def _bounds(schema: Json) -> str:
    words = [
        f" {word} {_number(schema[key])}"
        for key, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("exclusiveMaximum", "below"),
        )
        if key in schema
    ]
    step = f", a multiple of {schema['multipleOf']}" if "multipleOf" in schema else ""
    return "".join(words).replace(" to ", " up to " if "minimum" not in schema else " to ") + step


def _entries(schema: Json, file: str) -> str:
    """What a list holds, and how many."""
    inside = _inside(schema["items"], file) if "items" in schema else ""
    plural = dict(PLURALS).get(inside)
    words = f" of {plural}" if plural else f", each {inside}" if inside else ""
    words += f", at least {schema['minItems']}" if schema.get("minItems", 0) > 1 else ""
    words += ", none twice" if schema.get("uniqueItems") else ""
    return words + (", ascending" if schema.get("x-ascending") else "")


def _inside(schema: Json, file: str) -> str:
    """What the entries of a list or the values of a mapping are."""
    resolved, _ = resolve_reference(schema, file)
    closed = resolved.get("additionalProperties") is not True
    if closed and "title" in resolved and "properties" in resolved:
        return f"{resolved['title']}"
    words = describe(schema, file)
    return f"({words})" if " or " in words and words != dict(NOUNS)["boolean"] else words


def _inner_entries(name: str, schema: Json, file: str) -> Iterator[Entry]:
    """The entries of the mappings inside of a value; a use and a reference are explained alone."""
    if "x-refers-to" in schema:
        return
    for option, place in _options(schema, file):
        if option.get("additionalProperties") is not True and not _variants(option, place):
            yield from key_entries(option, place, f"{name}.")
            yield from _value_entry(f"{name}.NAME", option.get("additionalProperties"), place)
        if "items" in option:
            items, inside = resolve_reference(option["items"], place)
            if items.get("additionalProperties") is not True:
                yield from key_entries(items, inside, f"{name}[].")


def _value_entry(name: str, schema: Json, file: str) -> Iterator[Entry]:
    """The entry of the values of a mapping with free keys, where something is said of them."""
    if isinstance(schema, dict) and not _is_file(schema):
        resolved, _ = resolve_reference(schema, file)
        if "description" in resolved:
            yield Entry(name, _inside(schema, file), resolved["description"])


def _parts(schema: Json, file: str) -> Iterator[Place]:
    for part in schema.get("properties", {}).values():
        if not _is_file(part):
            yield from _options(*resolve_reference(part, file))


def _options(schema: Json, file: str) -> Iterator[Place]:
    """The schemas that a value may follow: one, or each of several."""
    options = schema.get("anyOf", schema.get("oneOf"))
    if options is None:
        yield schema, file
    for option in options or ():
        yield from _options(*resolve_reference(option, file))


def _variants(schema: Json, file: str) -> list[Place]:
    """The mappings that a schema chooses from by one of their keys."""
    return [
        resolve_reference(part["then"], file) for part in schema.get("allOf", ()) if "then" in part
    ]


def _kinds(schema: Json) -> list[str]:
    """The types that a schema takes, without the text of a placeholder."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    alone = schema.get("pattern") == PLACEHOLDER and len(kinds) > 1
    return [kind for kind in kinds if not (alone and kind == "string")]


def _needed(schema: Json, key: str) -> str:
    if key in schema.get("required", ()):
        return "needed"
    if key in schema.get("else", {}).get("required", ()):
        return f"needed without {' and '.join(schema['if']['required'])}"
    return ""


def _is_file(schema: Json) -> bool:
    """Whether a schema is that of a file, which has a section of its own."""
    return "$ref" in schema and "#" not in schema["$ref"]


def _title(schema: Json) -> str:
    title: str = schema["title"]
    return f"mapping of {title}" if title.endswith("s") else title


def _number(value: float) -> str:
    power = len(str(value)) - 1
    round = isinstance(value, int) and power >= EXPONENT and value == 10**power
    return f"10^{power}" if round else str(value)


def _either(words: Iterable[str]) -> str:
    once = sorted(dict.fromkeys(words), key=lambda word: word == "null")
    once = [f"({word})" if len(once) > 1 and ", " in word else word for word in once]
    return " or ".join(filter(None, [", ".join(once[:-1]), *once[-1:]]))


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
