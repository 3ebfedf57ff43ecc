"""What of a spec enters its cell's hash, and how.

Source of the rule: each field of ``schemas/job.schema.json`` says by ``x-role`` whether it
decides the results or only how they are made; ``x-version`` is the version of what a task does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .pattern import Parts, write_object
from .schema import load_schemas
from .values import Json, canonical, digest


class Hasher:
    """Hashes the specs of one kind of task by their result fields."""

    def __init__(self, task: str) -> None:
        schema = _job_schema()["$defs"][task]
        self._head = f'["{task}",{schema["x-version"]},'
        self._fields = schema["properties"]

    def hash_spec(self, spec: Mapping[str, Json]) -> str:
        """The hash of a cell: of ``[task, version, {key: part}]``."""
        parts = self.join({key: (self.part(key, value),) for key, value in spec.items()})
        return digest(map(str, parts)).hex()

    def join(self, parts: Mapping[str, Parts]) -> Parts:
        """What is hashed, from the parts of a spec by key."""
        return (self._head, *write_object(parts), "]")

    def part(self, key: str, value: Json) -> str:
        """A string: the canonical text of a scalar, or the digest of a value's result fields."""
        if type(value) is int:
            return f'"{value}"'
        text = canonical(result_part(value, self._fields[key]))
        return digest_part((text,)) if isinstance(value, (list, dict)) else canonical(text)

    def reference_fields(self, key: str) -> list[str]:
        """The fields of the references below a key that are hashed."""
        schema = self._fields[key]
        schema = schema.get("additionalProperties", schema)
        fields = _resolve({}, schema.get("items", schema))["properties"]
        return [name for name, field in fields.items() if field["x-role"] == "result"]


def digest_part(pieces: Iterable[str]) -> str:
    """What stands in a hash for a list or a mapping, whose text is given in pieces."""
    return f'"{digest(pieces).hex()}"'


def result_part(value: Json, schema: Json) -> Json:
    """The value without the fields whose role is not ``result``; 2.0 is 2."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    schema = _resolve(value, schema)
    if isinstance(value, list):
        return [result_part(item, schema["items"]) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    roles = schema["properties"]
    return {
        key: result_part(item, roles[key])
        for key, item in value.items()
        if roles[key]["x-role"] == "result"
    }


def _resolve(value: Json, schema: Json) -> Json:
    for option in schema.get("anyOf", []):
        if (option.get("type") == "null") == (value is None):
            schema = option
    if "$ref" in schema:
        return _job_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _job_schema() -> Json:
    return load_schemas()["job.schema.json"]
