"""Job specs as types: JSON in, frozen dataclasses out, without a schema library.

The fields are those of ``schemas/job.schema.json``; a worker checks a spec with the standard
library alone. An unknown key, a missing one or a wrong type is a :class:`SpecError` that names
the place in the spec (``cells[0].spec.kfolds``).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .errors import SpecError
from .strict import read

Json = Any
HCR: Final = "HCR"
Axes = dict[str, int | float | str | bool]
Outputs = dict[str, list[str] | str]


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
    by: Literal["dataset", "label", "group"]


@dataclass(frozen=True, kw_only=True)
class Prescale:
    """Keep one in ``by`` of the events ``among``, with the sum of their ``weight``."""

    by: int
    among: str | None
    weight: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Files of one process and year that are read in the same way.

    ``group`` names what a norm by group scales together; empty, it is the label.
    ``files`` and ``friends`` are relative to the dataset's base; a friend is ``path@@key``.
    ``selection`` and ``weight`` are expressions over branches; no selection keeps every event.
    ``columns`` are expressions, too: what a cache keeps of each event, by name.
    """

    sample: str
    year: str
    label: str
    files: list[str]
    friends: list[str]
    selection: str | None
    weight: str
    group: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    prescale: Prescale | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A named list of samples and the normalisation of their weights.

    ``max_workers`` of its files are read at the same time.
    """

    name: str
    base: str
    tree: str
    samples: list[Sample]
    norm: Norm | None
    max_workers: int = 1


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The HCR network's own switches: features per pixel, attention, and the Δφ slip."""

    features: int
    attention: bool
    slip: bool


@dataclass(frozen=True, kw_only=True)
class Roc:
    """A ROC curve of selected events.

    The score is the summed probability P of the positive classes, or, as ``difference``,
    (P(positive) - P(negative)) / 2 + 1/2.
    """

    name: str
    positive: list[str]
    negative: list[str]
    selection: str | None = None
    score: Literal["sum", "difference"] = "sum"


@dataclass(frozen=True, kw_only=True)
class ClassMask:
    """Classes whose events add nothing to the loss where a selection holds."""

    selection: str
    classes: list[str]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Which events the loss takes: those of the selection, but for masked classes."""

    selection: str | None
    masks: list[ClassMask]


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Classes, in the order of the network's logits, and what is derived from them.

    ``outputs`` are sums of class probabilities, or expressions over them, written beside
    ``p_<class>`` by an evaluation. A ``model`` that is not HCR is the user's own class, which
    takes the ``options``.
    """

    name: str
    classes: list[str]
    architecture: Architecture
    rocs: list[Roc]
    outputs: Outputs
    loss: Loss | None = None
    model: str = HCR
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Training:
    """A schedule; milestones count finished epochs.

    FixedStep alone has milestones of the learning rate; with the others it falls when the
    validation loss does not, by ``learning_rate_threshold`` of itself.
    """

    schedule: Literal["FixedStep", "AutoStep", "FinetuneStep", "FinetuneStepSGD"]
    epochs: int
    batch: int
    batch_scale: float
    batch_milestones: list[int]
    learning_rate: float
    learning_rate_scale: float
    learning_rate_milestones: list[int] = field(default_factory=list)
    learning_rate_threshold: float = 0.0
    learning_rate_patience: int = 0
    learning_rate_cooldown: int = 0
    learning_rate_minimum: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Ghost:
    """Ghost batches per batch: ``batches``, scaled at the milestones; below one means off."""

    batches: int
    scale: float
    milestones: list[int]


@dataclass(frozen=True, kw_only=True)
class CacheSpec:
    """Read datasets into tensors: ``chunks`` files, or files of ``chunk_size`` events."""

    datasets: list[Dataset]
    shuffle: bool
    seed: int
    chunks: int | None
    chunk_size: int | None = None
    compression: Literal["none", "zstd", "lz4", "gzip"] = "none"
    states: list[Literal["labels", "samples", "sources", "counts"]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """Train ``kfolds`` models on a cached dataset; ``offset`` is added to the seed.

    ``fold_offsets`` are the folds to train, and ``only_chunks`` the chunks of the dataset to train
    on; None is all. A model stops after ``patience`` epochs without a lower validation loss, and
    is kept as it was after its last or its best epoch. Random folds are seeded by the words of
    ``fold_seed`` and the offset.
    """

    dataset: Reference
    classifier: Classifier
    kfolds: int
    seed: int
    offset: int
    training: Training
    ghost: Ghost
    benchmark: bool
    folds: Literal["event", "random"] = "event"
    fold_seed: str = "kfold"
    fold_offsets: list[int] | None = None
    only_chunks: list[int] | None = None
    finetuning: Training | None = None
    keep: Literal["last", "best"] = "last"
    patience: int | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluateSpec:
    """Score every event of the datasets with the models that did not see it.

    ``stage`` says which: those at the end, or those before fine-tuning.
    """

    models: Reference
    datasets: list[Dataset]
    name: str
    naming: str
    outputs: Outputs = field(default_factory=dict)
    stage: Literal["final", "training"] = "final"


@dataclass(frozen=True, kw_only=True)
class MergeSpec:
    """Join the folds, and average over the seeds, into one friend tree."""

    predictions: list[Reference]
    name: str
    naming: str
    std: bool
    stage: Literal["final", "training"] = "final"
    step: int | None = None


@dataclass(frozen=True, kw_only=True)
class PlotSpec:
    """Draw the losses and ROC curves of trained models."""

    models: list[Reference]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of a word of a command line: a text, or the path of an input or output by name."""

    text: str | None = None
    input: str | None = None
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """Run a program on results (``inputs``) and other files, which leaves ``outputs`` behind."""

    command: list[list[Piece]]
    inputs: dict[str, list[Reference]]
    files: dict[str, list[str]]
    outputs: dict[str, str]


Spec = CacheSpec | TrainSpec | EvaluateSpec | MergeSpec | PlotSpec | CommandSpec
SPECS: Final[dict[str, type[Spec]]] = {
    "cache": CacheSpec,
    "train": TrainSpec,
    "evaluate": EvaluateSpec,
    "merge": MergeSpec,
    "plot": PlotSpec,
    "command": CommandSpec,
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
        for each in dataclasses.fields(self.spec):
            value = getattr(self.spec, each.name)
            found += _references(value)
        return found


def _references(value: Any) -> list[Reference]:
    if isinstance(value, Reference):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [reference for item in items for reference in _references(item)]


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """Where events are sent to, as ``host:port``; ``connect`` to one that is there already."""

    address: str
    connect: bool


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a job runs, without effect on its results.

    ``batch_eval`` is in events, ``batch_skim`` in entries; ``max_*`` and ``workers`` count what is
    done at the same time.
    """

    cpus: int
    memory_mb: int
    gpus: int
    device: str
    disk_mb: int | None = None
    walltime_s: float | None = None
    environment: dict[str, str] = field(default_factory=dict)
    batch_eval: int = 100_000
    batch_skim: int = 100_000
    max_loaders: int = 1
    max_writers: int = 1
    max_trainers: int | None = None
    max_evaluators: int = 1
    workers: int = 1
    clean: bool = False
    timestamp: str = "%Y%m%dT%H%M%S"
    monitor: Monitor | None = None
    usage_interval_s: float | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    forward_exception: bool = True


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
    return read(Job, rest, spec=SPECS[task])


def _with_raw(cell: Json, task: str, index: int) -> dict[str, Json]:
    if not isinstance(cell, dict) or not isinstance(cell.get("spec"), dict):
        raise SpecError(f"cells[{index}].spec: expected a mapping")
    return {**cell, "task": task, "raw": cell["spec"]}
