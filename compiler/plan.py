"""The Plan: concrete cells and jobs, with their hashes. It holds no template and no open name.

Source of the hash rule: each field of ``schemas/job.schema.json`` says by ``x-role`` whether it
decides the results or only how they are made; ``x-version`` is the version of what a task does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .schema import load_schemas

Json = Any
AxisValue = int | float | str | bool
HASH_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of a task's axes: its folder, its spec, and the hash of what decides it."""

    id: str
    axes: Mapping[str, AxisValue]
    output: str
    hash: str
    spec: Mapping[str, Json]

    def to_json(self) -> Json:
        """The cell as ``schemas/job.schema.json`` has it."""
        return {
            "id": self.id,
            "axes": self.axes,
            "output": self.output,
            "hash": self.hash,
            "spec": self.spec,
        }

    def reads(self, keys: Iterable[str]) -> Iterator[str]:
        """Ids of the cells that some keys of the spec refer to."""
        for key in keys:
            value = self.spec[key]
            yield from [each["cell"] for each in (value if isinstance(value, list) else [value])]


@dataclass(frozen=True)
class JobSpec:
    """Cells that share a process: one line of ``jobs.jsonl``."""

    id: str
    number: int
    name: str
    task: str
    needs: tuple[int, ...]
    cells: tuple[Cell, ...]
    execution: Mapping[str, Json]

    def to_json(self) -> Json:
        """The job as ``schemas/job.schema.json`` has it."""
        return {
            "hcrc": 1,
            "id": self.id,
            "number": self.number,
            "name": self.name,
            "task": self.task,
            "needs": list(self.needs),
            "cells": [cell.to_json() for cell in self.cells],
            "execution": self.execution,
        }


@dataclass(frozen=True)
class PlannedTask:
    """The jobs of one task: numbers ``first`` to ``stop`` - 1, its results below ``root``."""

    name: str
    task: str
    first: int
    stop: int
    cells: int
    root: str
    needs: tuple[str, ...]

    def to_json(self) -> Json:
        """The task as ``plan.json`` lists it."""
        return {
            "name": self.name,
            "task": self.task,
            "jobs": [self.first, self.stop],
            "cells": self.cells,
            "root": self.root,
            "needs": list(self.needs),
        }


@dataclass(frozen=True)
class Plan:
    """All jobs of a workflow, each after the jobs it needs."""

    name: str
    parameters: Mapping[str, Json]
    tasks: tuple[PlannedTask, ...]
    jobs: tuple[JobSpec, ...]

    def cells(self) -> Iterator[Cell]:
        """Every cell, in the order of the jobs."""
        return (cell for job in self.jobs for cell in job.cells)


CANONICAL: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical(value: Json) -> str:
    """The one JSON text of a value: keys sorted, no spaces, NaN refused."""
    return CANONICAL.encode(value)


def digest(text: str) -> str:
    """A hash as it stands in plans: the first half of SHA-256, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


class Hasher:
    """Hashes specs by their result fields; parts that many cells share are hashed once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Json, str]] = {}

    def hash_spec(self, task: str, spec: Mapping[str, Json]) -> str:
        """The hash of a cell of that kind of task."""
        schema = _job_schema()["$defs"][task]
        parts = {key: self._part(spec[key], schema["properties"][key]) for key in sorted(spec)}
        return digest(canonical([task, schema["x-version"], parts]))

    def _part(self, value: Json, schema: Json) -> str:
        if not isinstance(value, (list, dict)):
            return canonical(result_part(value, schema))
        if id(value) not in self._known:
            self._known[id(value)] = (value, digest(canonical(result_part(value, schema))))
        return self._known[id(value)][1]


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
