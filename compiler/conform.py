"""A schema of `schemas/` in, a fast test of plain values out.

What passes the test breaks nothing in the schema; what fails may still be right, and it is for
jsonschema to say. A keyword that the test does not know is an error, so that none is ignored.
"""

import re
from collections.abc import Callable, Mapping, Sized
from itertools import pairwise
from typing import Any, Final

Json = Any
Check = Callable[[Json], bool]
_ANNOTATIONS: Final = ("$schema", "$id", "$defs", "title", "description", "default", "format")
_OWN: Final = (
    "x-gathers",
    "x-idle",
    "x-inputs",
    "x-only-with",
    "x-refers-to",
    "x-role",
    "x-tasks",
    "x-version",
)
_NOT_TESTED: Final = (*_ANNOTATIONS, *_OWN, "then")
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}


def out_of_order(values: Json) -> list[int]:
    """Return the places of numbers that are not larger than the one before them."""
    if not isinstance(values, list) or not all(map(_type("number"), values)):
        return []
    return [index for index, (low, high) in enumerate(pairwise(values), 1) if low >= high]


def missing_keys(keys: list[str], value: Json) -> list[str]:
    """Return the keys that a definition lacks; one that extends another may leave any out."""
    if not isinstance(value, dict) or "extends" in value:
        return []
    return [key for key in keys if key not in value]


class Checks:
    """The tests of the schemas of one set, each made once, when a value needs it first."""

    def __init__(self, schemas: Mapping[str, Json]) -> None:
        self.schemas = schemas
        self.made: dict[tuple[str, str], Check] = {}

    def reference(self, reference: str, file: str) -> Check:
        """Return the test of the schema that `$ref` leads to from a file.

        Raises ValueError for a keyword that is not known here.
        """
        name, _, path = reference.partition("#")
        place = name or file, path
        if place not in self.made:
            schema = self.schemas[place[0]]
            for step in filter(None, path.split("/")):
                schema = schema[step]
            # A schema that refers to itself finds this while it is being made.
            self.made[place] = lambda value: self.made[place](value)
            self.made[place] = self.schema(schema, place[0])
        return self.made[place]

    def schema(self, schema: Json, file: str) -> Check:
        """Return the test of a schema that stands in a file."""
        checks = [
            check
            for key, value in schema.items()
            if key not in _NOT_TESTED and (check := self.keyword(key, value, schema, file))
        ]
        if len(checks) == 1:
            return checks[0]

        def every(value: Json) -> bool:
            for each in checks:  # noqa: SIM110 - a third faster than all()
                if not each(value):
                    return False
            return True

        return every

    def keyword(self, key: str, value: Json, schema: Json, file: str) -> Check | None:
        """Return the test of one keyword; None if it allows everything."""
        if key in _PLAIN:
            return _PLAIN[key](value)
        match key:
            case "$ref":
                return self.reference(value, file)
            case "properties":
                return self.properties(value, file)
            case "additionalProperties":
                return self.additional(value, schema.get("properties", {}), file)
            case "propertyNames" | "items":
                return self.each(key, self.schema(value, file))
            case "anyOf" | "allOf":
                return self.several(any if key == "anyOf" else all, value, file)
            case "if":
                return self.condition(self.schema(value, file), schema["then"], file)
        raise ValueError(f"no test for the keyword {key}")

    def properties(self, schemas: Json, file: str) -> Check:
        """Return the test of a mapping's known keys."""
        made: dict[str, Check] = {}

        def check(value: Json) -> bool:
            if not isinstance(value, dict):
                return True
            for key, item in value.items():
                if key not in made and key in schemas:
                    made[key] = self.schema(schemas[key], file)
                if key in made and not made[key](item):
                    return False
            return True

        return check

    def additional(self, schema: Json, known: Json, file: str) -> Check | None:
        """Return the test of a mapping's other keys."""
        if schema is True:
            return None
        if schema is False:
            return lambda value: not isinstance(value, dict) or value.keys() <= known.keys()
        rest = self.schema(schema, file)
        return lambda value: (
            not isinstance(value, dict)
            or all(rest(item) for key, item in value.items() if key not in known)
        )

    def each(self, key: str, inner: Check) -> Check:
        """Return the test of a list's items, or of a mapping's names."""
        kind = list if key == "items" else dict
        return lambda value: not isinstance(value, kind) or all(map(inner, value))

    def several(self, join: Callable[[Any], bool], schemas: Json, file: str) -> Check:
        """Return the test of alternatives, or of what has to hold together."""
        checks = [self.schema(schema, file) for schema in schemas]
        return lambda value: join(check(value) for check in checks)

    def condition(self, given: Check, then: Json, file: str) -> Check:
        """Return the test of what holds under a condition.

        The condition fails only where it is wrong for sure: it tests constants alone.
        """
        made: list[Check] = []

        def check(value: Json) -> bool:
            if not given(value):
                return True
            if not made:
                made.append(self.schema(then, file))
            return made[0](value)

        return check


def _type(kinds: Json) -> Check:
    names = [kinds] if isinstance(kinds, str) else kinds
    types = frozenset(each for name in names for each in _TYPES[name])
    return lambda value: type(value) in types


def _same(value: Json, other: Json) -> bool:
    return type(value) is type(other) and bool(value == other)


def _for_numbers(holds: Callable[[Any, Any], bool]) -> Callable[[Json], Check]:
    number = _type("number")
    return lambda limit: lambda value: not number(value) or holds(value, limit)


def _for_sizes(kind: type[Sized], holds: Callable[[int, int], bool]) -> Callable[[Json], Check]:
    return lambda limit: lambda value: not isinstance(value, kind) or holds(len(value), limit)


def _pattern(text: str) -> Check:
    search = re.compile(text).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _unique(wanted: bool) -> Check:
    """Only lists of texts are seen to be without doubles."""
    return lambda value: (
        not isinstance(value, list)
        or not wanted
        or (all(map(_type("string"), value)) and len(set(value)) == len(value))
    )


def _required(keys: list[str]) -> Check:
    return lambda value: not isinstance(value, dict) or all(key in value for key in keys)


_PLAIN: Final[Mapping[str, Callable[[Json], Check]]] = {
    "type": _type,
    "const": lambda const: lambda value: _same(value, const),
    "enum": lambda allowed: lambda value: any(_same(value, each) for each in allowed),
    "pattern": _pattern,
    "required": _required,
    "x-required": lambda keys: lambda value: not missing_keys(keys, value),
    "uniqueItems": _unique,
    "x-ascending": lambda wanted: lambda value: not wanted or not out_of_order(value),
    "minimum": _for_numbers(lambda value, limit: value >= limit),
    "maximum": _for_numbers(lambda value, limit: value <= limit),
    "exclusiveMinimum": _for_numbers(lambda value, limit: value > limit),
    "exclusiveMaximum": _for_numbers(lambda value, limit: value < limit),
    "multipleOf": _for_numbers(lambda value, limit: value % limit == 0),
    "minItems": _for_sizes(list, lambda size, limit: size >= limit),
    "maxItems": _for_sizes(list, lambda size, limit: size <= limit),
    "minLength": _for_sizes(str, lambda size, limit: size >= limit),
    "maxLength": _for_sizes(str, lambda size, limit: size <= limit),
    "minProperties": _for_sizes(dict, lambda size, limit: size >= limit),
    "maxProperties": _for_sizes(dict, lambda size, limit: size <= limit),
}
