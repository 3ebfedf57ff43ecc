"""The Plan: concrete cells and jobs, with their hashes. It holds no template and no open name.

Source of the hash rule: each field of ``schemas/job.schema.json`` says by ``x-role`` whether it
decides the results or only how they are made; ``x-version`` is the version of what a task does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple

from .schema import load_schemas

Json = Any
AxisValue = int | float | str | bool
HASH_LENGTH: Final = 32


class Cell(NamedTuple):
    """One point of a task's axes: its folder, its spec, and the hash of what decides it.

    The spec is in two halves: ``fixed`` is one object for all cells of the task, ``own`` is
    what differs. They have no key in common.
    """

    id: str
    axes: Mapping[str, AxisValue]
    output: str
    hash: str
    fixed: Mapping[str, Json]
    own: Mapping[str, Json]

    @property
    def spec(self) -> dict[str, Json]:
        """The whole spec."""
        return {**self.fixed, **self.own}

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
            value = self.own[key] if key in self.own else self.fixed[key]
            for each in value if isinstance(value, list) else (value,):
                yield each["cell"]


class JobSpec(NamedTuple):
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
        return {**self.head(), "cells": [cell.to_json() for cell in self.cells]}

    def head(self) -> dict[str, Json]:
        """The job without its cells."""
        return {
            "hcrc": 1,
            "id": self.id,
            "number": self.number,
            "name": self.name,
            "task": self.task,
            "needs": list(self.needs),
            "execution": self.execution,
        }


class PlannedTask(NamedTuple):
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


class Plan(NamedTuple):
    """All jobs of a workflow, each after the jobs it needs."""

    name: str
    parameters: Mapping[str, Json]
    tasks: tuple[PlannedTask, ...]
    jobs: tuple[JobSpec, ...]


SMALL: Final = 4
CANONICAL: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical(value: Json) -> str:
    """The one JSON text of a value: keys sorted, no spaces, NaN refused."""
    # An encoder is slow to start: texts, integers and small mappings do without.
    if type(value) is str:
        return encode_basestring(value)
    if type(value) is int:
        return str(value)
    if type(value) is dict and len(value) <= SMALL:
        pairs = [f"{encode_basestring(key)}:{canonical(value[key])}" for key in sorted(value)]
        return f"{{{','.join(pairs)}}}"
    return CANONICAL.encode(value)


def digest(text: str) -> str:
    """A hash as it stands in plans: the first half of SHA-256, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


class Layout(NamedTuple):
    """The text of specs of one task, but for what is a cell's own.

    ``fixed`` is the half that all share. Its text is cut where a key of the other half stands:
    before the first of ``keys``, before the second, and so on, and behind the last.
    """

    fixed: Mapping[str, Json]
    keys: tuple[str, ...]
    pieces: tuple[str, ...]


class SpecWriter:
    """Writes specs as mappings of texts, by sorted keys; parts that cells share are written once.

    ``write`` gives the text of a value, from its key. Values have to stay as they are.
    """

    def __init__(self, write: Callable[[str, Json], str]) -> None:
        self._write = write
        self._layouts: dict[int, Layout] = {}
        self._large: dict[int, tuple[Json, str]] = {}

    def join(self, fixed: Mapping[str, Json], own: Mapping[str, Json]) -> str:
        """The text of a spec in two halves; all with one ``fixed`` have the same own keys."""
        layout = self._layouts.get(id(fixed))
        if layout is None:
            layout = self._layouts[id(fixed)] = self._lay_out(fixed, own)
        texts = [layout.pieces[0]]
        for key, piece in zip(layout.keys, layout.pieces[1:], strict=True):
            texts += [self._text(key, own[key]), piece]
        return "".join(texts)

    def _lay_out(self, fixed: Mapping[str, Json], own: Mapping[str, Json]) -> Layout:
        pieces = ["{"]
        for number, key in enumerate(sorted((*fixed, *own))):
            pieces[-1] += f'{"," * bool(number)}"{key}":'
            if key in own:
                pieces.append("")
            else:
                pieces[-1] += self._text(key, fixed[key])
        pieces[-1] += "}"
        return Layout(fixed, tuple(sorted(own)), tuple(pieces))

    def _text(self, key: str, value: Json) -> str:
        if not isinstance(value, (list, dict)) or len(value) <= SMALL:
            return self._write(key, value)
        if id(value) not in self._large:
            self._large[id(value)] = value, self._write(key, value)
        return self._large[id(value)][1]


class JobWriter:
    """Writes the lines of ``jobs.jsonl``: each is ``canonical(job.to_json())``."""

    def __init__(self) -> None:
        self._specs = SpecWriter(lambda _, value: canonical(value))

    def line(self, job: JobSpec) -> str:
        """The line of a job, without its end."""
        cells = ",".join([self._cell(cell) for cell in job.cells])
        rest = canonical({**job.head(), "cells": []}).removeprefix('{"cells":[],')
        return f'{{"cells":[{cells}],{rest}'

    def _cell(self, cell: Cell) -> str:
        return (
            f'{{"axes":{canonical(cell.axes)},"hash":"{cell.hash}","id":{canonical(cell.id)},'
            f'"output":{canonical(cell.output)},"spec":{self._specs.join(cell.fixed, cell.own)}}}'
        )


class Hasher:
    """Hashes the specs of one kind of task by their result fields."""

    def __init__(self, task: str) -> None:
        schema = _job_schema()["$defs"][task]
        self._head = f'["{task}",{schema["x-version"]},'
        self._fields = schema["properties"]
        self._specs = SpecWriter(self._part)

    def hash_spec(self, fixed: Mapping[str, Json], own: Mapping[str, Json]) -> str:
        """The hash of a cell: of ``[task, version, {key: part}]``."""
        return digest(f"{self._head}{self._specs.join(fixed, own)}]")

    def _part(self, key: str, value: Json) -> str:
        """A string: the canonical text of a scalar, or the digest of a value's result fields."""
        text = canonical(result_part(value, self._fields[key]))
        return canonical(digest(text) if isinstance(value, (list, dict)) else text)


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
