"""Job specs as types: JSON in, frozen dataclasses out, without a schema library.

The fields are those of ``schemas/job.schema.json``; a worker checks a spec with the standard
library alone. An unknown key, a missing one or a wrong type is a :class:`SpecError` that names
the place in the spec (``cells[0].spec.kfolds``).
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from .errors import SpecError

T = TypeVar("T")
Json = Any
Axes = dict[str, int | float | str | bool]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A result of another cell that this cell reads."""

    cell: str
    result: str
    hash: str


@dataclass(frozen=True, kw_only=True)
class Norm:
    """Scale the weights so that they sum to ``sum``, over the dataset or for each label."""

    sum: float
    by: Literal["dataset", "label"]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Files of one process and year that are read in the same way.

    ``files`` and ``friends`` are relative to the dataset's base; a friend is ``path@@key``.
    ``selection`` and ``weight`` are expressions over branches; no selection keeps every event.
    """

    sample: str
    year: str
    label: str
    files: list[str]
    friends: list[str]
    selection: str | None
    weight: str


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A named list of samples and the normalisation of their weights."""

    name: str
    base: str
    tree: str
    samples: list[Sample]
    norm: Norm | None


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The HCR network's own switches: features per pixel, attention, and the Δφ slip."""

    features: int
    attention: bool
    slip: bool


@dataclass(frozen=True, kw_only=True)
class Roc:
    """A ROC curve: the score is the summed probability of the positive classes."""

    name: str
    positive: list[str]
    negative: list[str]


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Classes, in the order of the network's logits, and what is derived from them.

    ``outputs`` are sums of class probabilities, written beside ``p_<class>``.
    """

    name: str
    classes: list[str]
    architecture: Architecture
    rocs: list[Roc]
    outputs: dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Training:
    """The FixedStep schedule; milestones count finished epochs."""

    schedule: Literal["FixedStep"]
    epochs: int
    batch: int
    batch_scale: float
    batch_milestones: list[int]
    learning_rate: float
    learning_rate_scale: float
    learning_rate_milestones: list[int]


@dataclass(frozen=True, kw_only=True)
class Ghost:
    """Ghost batches per batch: ``batches``, scaled at the milestones; below one means off."""

    batches: int
    scale: float
    milestones: list[int]


@dataclass(frozen=True, kw_only=True)
class CacheSpec:
    """Read datasets into tensors."""

    datasets: list[Dataset]
    shuffle: bool
    seed: int
    chunks: int


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """Train ``kfolds`` models on a cached dataset; ``offset`` is added to the seed."""

    dataset: Reference
    classifier: Classifier
    kfolds: int
    seed: int
    offset: int
    training: Training
    ghost: Ghost
    benchmark: bool


@dataclass(frozen=True, kw_only=True)
class EvaluateSpec:
    """Score every event of the datasets with the models that did not see it."""

    models: Reference
    datasets: list[Dataset]
    name: str
    naming: str


@dataclass(frozen=True, kw_only=True)
class MergeSpec:
    """Join the folds, and average over the seeds, into one friend tree."""

    predictions: list[Reference]
    name: str
    naming: str
    std: bool


@dataclass(frozen=True, kw_only=True)
class PlotSpec:
    """Draw the losses and ROC curves of trained models."""

    models: list[Reference]


Spec = CacheSpec | TrainSpec | EvaluateSpec | MergeSpec | PlotSpec
SPECS: typing.Final[dict[str, type[Spec]]] = {
    "cache": CacheSpec,
    "train": TrainSpec,
    "evaluate": EvaluateSpec,
    "merge": MergeSpec,
    "plot": PlotSpec,
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One point of a task's axes: a folder of results, known by its hash.

    ``raw`` is the spec as it was read, for the record in the result.
    """

    id: str
    task: str
    axes: Axes
    output: str
    hash: str
    spec: Spec
    raw: dict[str, Json]

    def references(self) -> list[Reference]:
        """The results of other cells that this one reads."""
        found: list[Reference] = []
        for field in dataclasses.fields(self.spec):
            value = getattr(self.spec, field.name)
            items = value if isinstance(value, list) else [value]
            found += [item for item in items if isinstance(item, Reference)]
        return found


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a job runs, without effect on its results. ``batch_eval`` is in events."""

    cpus: int
    memory_mb: int
    gpus: int
    device: str
    batch_eval: int


@dataclass(frozen=True, kw_only=True)
class Job:
    """Cells of one task that share a process; ``needs`` are the numbers of other jobs."""

    id: str
    number: int
    name: str
    task: str
    needs: list[int]
    cells: list[Cell]
    execution: Execution


def read_job(value: Json) -> Job:
    """A job from one line of ``jobs.jsonl``; raises :class:`SpecError`."""
    if not isinstance(value, dict) or value.get("hcrc") != 1:
        raise SpecError("not a job spec of hcrc 1")
    task = value.get("task")
    if task not in SPECS:
        raise SpecError(f"task: unknown task {task!r}; known: {', '.join(SPECS)}")
    rest = {key: item for key, item in value.items() if key != "hcrc"}
    cells = rest.get("cells")
    if not isinstance(cells, list) or not cells:
        raise SpecError("cells: expected a list of at least one cell")
    rest["cells"] = [_with_raw(cell, task, index) for index, cell in enumerate(cells)]
    return _read(Job, rest, "", SPECS[task])


def _with_raw(cell: Json, task: str, index: int) -> dict[str, Json]:
    if not isinstance(cell, dict) or not isinstance(cell.get("spec"), dict):
        raise SpecError(f"cells[{index}].spec: expected a mapping")
    return {**cell, "task": task, "raw": cell["spec"]}


@functools.cache
def _hints(kind: typing.Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _read(kind: type[T], value: Json, where: str, spec: type[Spec] | None = None) -> T:
    if not isinstance(value, dict):
        raise SpecError(f"{where or 'job'}: expected a mapping, got {_name(value)}")
    hints = _hints(typing.cast(typing.Hashable, kind))
    dot = f"{where}." if where else ""
    for key in value.keys() - hints.keys():
        raise SpecError(f"{dot}{key}: unknown key; known: {', '.join(hints)}")
    for key in hints.keys() - value.keys():
        raise SpecError(f"{dot}{key}: missing")
    return kind(**{key: _value(hints[key], value[key], dot + key, spec) for key in hints})


def _value(kind: Any, value: Json, where: str, spec: type[Spec] | None) -> Any:
    if kind == Spec and spec is not None:
        return _read(spec, value, where)
    if dataclasses.is_dataclass(kind):
        return _read(typing.cast(type, kind), value, where, spec)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return _items(args[0], value, where, spec)
    if origin is dict:
        return _mapping(args[1], value, where, spec)
    if origin is Literal:
        return _choice(args, value, where)
    if origin in (types.UnionType, typing.Union):
        return _union(args, value, where, spec)
    return _scalar(kind, value, where)


def _items(kind: Any, value: Json, where: str, spec: type[Spec] | None) -> list[Any]:
    if not isinstance(value, list):
        raise SpecError(f"{where}: expected a list, got {_name(value)}")
    return [_value(kind, item, f"{where}[{index}]", spec) for index, item in enumerate(value)]


def _mapping(kind: Any, value: Json, where: str, spec: type[Spec] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SpecError(f"{where}: expected a mapping, got {_name(value)}")
    return {key: _value(kind, item, f"{where}.{key}", spec) for key, item in value.items()}


def _choice(choices: tuple[Any, ...], value: Json, where: str) -> Any:
    if value not in choices:
        raise SpecError(f"{where}: expected one of {', '.join(map(str, choices))}, got {value!r}")
    return value


def _union(kinds: tuple[Any, ...], value: Json, where: str, spec: type[Spec] | None) -> Any:
    others = [kind for kind in kinds if kind is not type(None)]
    if value is None and len(others) < len(kinds):
        return None
    if len(others) == 1:
        return _value(others[0], value, where, spec)
    if type(value) not in others:
        _scalar_error(" or ".join(kind.__name__ for kind in others), value, where)
    return value


def _scalar(kind: Any, value: Json, where: str) -> Any:
    if kind is Any:
        return value
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        _scalar_error(kind.__name__, value, where)
    return value


def _scalar_error(expected: str, value: Json, where: str) -> typing.NoReturn:
    raise SpecError(f"{where}: expected {expected}, got {_name(value)}")


def _name(value: Json) -> str:
    return f"{type(value).__name__} {value!r}"[:80]
