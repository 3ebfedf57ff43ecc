"""The train task: k models for each cell on one cached dataset, all cells of a job together."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor

from ..crew import Crew
from ..data.cache import Events, chunk_names, load_events
from ..errors import DataError, MemoryShortageError, SpecError
from ..events import EventWriter
from ..job import Context
from ..nn.benchmark import Data
from ..nn.checkpoint import CheckpointFile
from ..nn.choose import Described, choose_for_rocs, count_events
from ..nn.inputs import count_inputs
from ..nn.memory import keep_freed_memory
from ..nn.prepare import COLUMNS
from ..nn.schedule import Schedule
from ..nn.train import Report, Settings, train
from ..nn.training import Choice, Trainee
from ..record import CHECKPOINT
from ..result import Attempt, Result, open_attempt
from ..spec import Cell, Classifier, Execution, Ghost, TrainSpec
from .trained import Read, commit, list_folds, make_rule

OWN_FIELDS: Final = ("seed", "offset")
NO_GHOST: Final = Ghost(batches=0, scale=1.0, milestones=[])
PROGRESS_SECONDS: Final = 1.0
CPU_STACK_EVENTS: Final = 2**14
# Memory that a training step needs for each event and feature, with attention.
EVENT_BYTES: Final = 8192


def run(cells: list[Cell], context: Context) -> None:
    """Train every cell of the job and leave a result for each; raises JobError."""
    device = choose_device(context.execution.device)
    torch.set_num_threads(context.execution.cpus)
    if device.type == "cpu":
        keep_freed_memory()
    for group in group_cells(cells):
        with ExitStack() as stack:
            attempts = [stack.enter_context(open_attempt(cell)) for cell in group]
            try:
                train_cells(attempts, context, device)
            except torch.OutOfMemoryError as error:
                text = f"{device}: out of memory; other jobs may be using it"
                raise MemoryShortageError(text) from error


def choose_device(name: str) -> torch.device:
    """The device of that name, ``auto`` being a GPU if there is one; raises SpecError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    unknown = SpecError(f"device: {name!r} is none of auto, cpu, cuda, cuda:N")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise unknown from error
    if device.type not in ("cpu", "cuda"):
        raise unknown
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SpecError(f"device: {name}, but this machine has {torch.cuda.device_count()} GPUs")
    return device


def group_cells(cells: list[Cell]) -> list[list[Cell]]:
    """Cells that can train together: those whose specs differ in nothing but seed and offset."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        shared = {key: value for key, value in cell.raw.items() if key not in OWN_FIELDS}
        groups.setdefault(json.dumps(shared, sort_keys=True), []).append(cell)
    return list(groups.values())


def train_cells(attempts: list[Attempt], context: Context, device: torch.device) -> None:
    """Train cells of one group on their dataset and commit their results."""
    specs = [cast(TrainSpec, attempt.cell.spec) for attempt in attempts]
    classifier, reference = specs[0].classifier, specs[0].dataset
    check_rocs(classifier)
    trainees = list_trainees(specs)
    stages = make_stages(specs[0])
    sources = [attempt.read_result(reference.result, reference.hash) for attempt in attempts]
    crew = Crew(context.execution.max_loaders)
    events = load_events(sources[0], crew, specs[0].only_chunks)
    checksums = read_checksums(sources[0], chunk_names(sources[0], specs[0].only_chunks), crew)
    check_finite(events)
    cell_ids = [attempt.cell.id for attempt in attempts]
    data = make_data(events, classifier, device)
    changed = changed_files(sources[0], checksums)
    empty = empty_classes(data.label, classifier.classes)
    unusual = [*changed, *(f"no event has the class {name}" for name in empty)]
    for cell_id, text in product(cell_ids, unusual):
        context.events.message(cell_id, text, "warning")
    read = Read(events, sources[0], checksums, count_inputs(data, len(classifier.classes)))
    settings = make_settings(specs[0], stages, context.execution, device)
    reporter = Reporter(context.events, cell_ids)
    checkpoint = open_checkpoint(attempts, checksums, device, reporter)
    networks, trainings = train(
        data, events.event, trainees, settings, reporter.report(), checkpoint
    )
    for number, attempt in enumerate(attempts):
        commit(attempt, number, networks, trainings, read, device)
    for attempt in attempts:
        (attempt.home / CHECKPOINT).unlink(missing_ok=True)


def open_checkpoint(
    attempts: list[Attempt], checksums: dict[str, str], device: torch.device, reporter: Reporter
) -> CheckpointFile:
    """Where cells that train together keep their state: in the folder of the first one.

    It is of the same cells, in the same order, with the same events, on the same kind of device.
    """
    cells = [[attempt.cell.hash, attempt.cell.raw] for attempt in attempts]
    made_of = json.dumps([cells, checksums, device.type], sort_keys=True)
    key = hashlib.sha256(made_of.encode()).hexdigest()
    return CheckpointFile(attempts[0].home / CHECKPOINT, key, reporter.warn)


def list_trainees(specs: list[TrainSpec]) -> list[Trainee]:
    """The models to train, cell by cell; raises SpecError."""
    return [
        Trainee(number, spec.seed, spec.offset, fold, make_rule(spec))
        for number, spec in enumerate(specs)
        for fold in list_folds(spec)
    ]


def make_settings(
    spec: TrainSpec, stages: tuple[Schedule, ...], execution: Execution, device: torch.device
) -> Settings:
    """The settings of a group, and how large a stack its models train as.

    A GPU takes all it has memory for. On a CPU a stack saves the overhead of small operations,
    so that a step of 9 models takes 10 to 40% less than 9 steps, at a batch of 1024; beyond
    that it only takes memory.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        stack_events = free // (2 * EVENT_BYTES * spec.classifier.architecture.features)
    else:
        stack_events = CPU_STACK_EVENTS
    return Settings(
        classifier=spec.classifier,
        stages=stages,
        benchmark=spec.benchmark,
        batch_eval=execution.batch_eval,
        stack_events=stack_events,
        max_trainers=execution.max_trainers,
        choice=Choice(spec.keep == "best", spec.patience),
    )


def make_stages(spec: TrainSpec) -> tuple[Schedule, ...]:
    """The stages of a training; raises SpecError for a learning rate that would not fall."""
    stages = [Schedule(spec.training, spec.ghost)]
    if spec.finetuning is not None:
        stages.append(Schedule(spec.finetuning, NO_GHOST, "finetuning"))
    for schedule in stages:
        scale = schedule.training.learning_rate_scale
        if schedule.needs_loss and scale >= 1:
            raise SpecError(
                f"{schedule.stage}.learning_rate_scale: {scale:g} is not below 1, as "
                f"{schedule.training.schedule} needs it"
            )
    return tuple(stages)


def check_rocs(classifier: Classifier) -> None:
    """Raise SpecError for a ROC curve of something that is not a class."""
    for roc in classifier.rocs:
        for name in (*roc.positive, *roc.negative):
            if name not in classifier.classes:
                raise SpecError(
                    f"classifier {classifier.name}: ROC {roc.name} uses {name!r}; "
                    f"the classes are {', '.join(classifier.classes)}"
                )


def read_checksums(source: Result, names: list[str], crew: Crew) -> dict[str, str]:
    """The sha256 of some files of a result as they are now, by name."""
    checksums: list[str] = []
    crew.work([source.path(name) for name in names], read_checksum, checksums.append)
    return dict(zip(names, checksums, strict=True))


def read_checksum(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def changed_files(source: Result, checksums: dict[str, str]) -> list[str]:
    """A line for each file that has other checksums than its result records."""
    return [
        f"{source.place(name)} is no longer what {source.cell} wrote"
        for name, checksum in checksums.items()
        if checksum != source.files[name].sha256
    ]


def check_finite(events: Events) -> None:
    """Raise DataError for the first event with a weight or an input that is NaN or infinite."""
    good = {"weight": events.weight.isfinite(), "input": events.inputs.sum(1).isfinite()}
    for what, finite in good.items():
        if not finite.all():
            row = int((~finite).nonzero()[0])
            number = ":".join(str(int(c[row])) for c in (events.run, events.lumi, events.event))
            sample = events.samples[int(events.sample[row])]
            raise DataError(f"{sample}: cached event {number}: its {what} is NaN or infinite")


def make_data(events: Events, classifier: Classifier, device: torch.device) -> Data:
    """The events on the device, their labels as classes of the classifier; raises DataError."""
    if events.inputs.shape[1] != COLUMNS:
        raise DataError(
            f"the cached events have {events.inputs.shape[1]} columns, the network needs {COLUMNS}"
        )
    for name in events.labels:
        if name not in classifier.classes:
            raise DataError(
                f"the dataset has the label {name!r}; "
                f"the classes of {classifier.name} are {', '.join(classifier.classes)}"
            )
    index = torch.tensor([classifier.classes.index(name) for name in events.labels])
    label = index[events.label] if len(events) else events.label
    columns = {name: column.numpy() for name, column in events.columns.items()}
    described = Described(classifier.classes, label.numpy(), columns)
    counting = count_events(classifier, described)
    total, counted = (
        None if mask is None else (events.weight * torch.from_numpy(mask)).to(device)
        for mask in ((counting.total, counting.entropy) if counting else (None, None))
    )
    return Data(
        events.inputs.to(device),
        label.to(device),
        events.weight.to(device),
        total,
        counted,
        choose_for_rocs(classifier, described),
    )


def empty_classes(label: Tensor, classes: Sequence[str]) -> list[str]:
    """The classes that no event has."""
    counts = torch.bincount(label, minlength=len(classes)).tolist()
    return [name for name, count in zip(classes, counts, strict=True) if count == 0]


@dataclass
class Reporter:
    """Tells a training's progress and figures to the event file, not more often than needed."""

    events: EventWriter
    cells: list[str]
    told: dict[Trainee, float] = field(default_factory=dict)

    def report(self) -> Report:
        """What the trainer calls."""
        return Report(self.progress, self.epoch, self.resumed)

    def warn(self, text: str) -> None:
        """Say of the first cell what is unusual."""
        self.events.message(self.cells[0], text, "warning")

    def resumed(self, epochs: int) -> None:
        """Say that the training was interrupted before."""
        for cell in self.cells:
            self.events.message(cell, f"goes on after epoch {epochs} of an earlier attempt")

    def progress(self, trainee: Trainee, done: int, total: int) -> None:
        """Say how far a model is: once a second, and at the end."""
        now = time.monotonic()
        if done < total and now - self.told.get(trainee, -PROGRESS_SECONDS) < PROGRESS_SECONDS:
            return
        self.told[trainee] = now
        self.events.progress(self.cells[trainee.cell], f"train fold {trainee.fold}", done, total)

    def epoch(self, trainee: Trainee, row: dict[str, Any]) -> None:
        """Say an epoch's losses and areas under the ROC curves, as far as there are any."""
        metrics = {"batch loss": row["batch_loss"]}
        for part in ("training", "validation"):
            if row[part] is not None:
                metrics[f"{part} loss"] = row[part]["loss"]
                metrics |= {f"{part} AUC {name}": auc for name, auc in row[part]["auc"].items()}
        cell = self.cells[trainee.cell]
        for name, value in metrics.items():
            if value is not None:
                self.events.metric(cell, name, value, fold=trainee.fold, epoch=row["epoch"])
