"""Train models on events in memory: folds, seeds and offsets, each as if it were alone.

The events are one matrix on the device, a batch is a selection of its rows. Models that train
together are one stack with a leading axis, and each keeps its own generator and step count: one
that is through with an epoch waits for the others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from ..spec import Classifier
from .adam import Adam
from .benchmark import Data, Figures, Scores, measure, score_events, sides
from .embedding import embedding_statistics, set_embedding_statistics
from .folds import FoldRule
from .hcr import HCR
from .loss import weighted_sum
from .normalization import Ghosts
from .schedule import Epoch, FixedStep


@dataclass(frozen=True)
class Trainee:
    """A model to train: its place among the cells of the job, its seed and its fold.

    The cells of a job may have different folds, each by a rule of its own.
    """

    cell: int
    seed: int
    offset: int
    fold: int
    rule: FoldRule

    @property
    def generator(self) -> torch.Generator:
        """A new generator of the model's own, for its first weights and the order of events.

        Its seed is the first 63 bits of sha256("hcrc/<seed + offset>/<fold>").
        """
        text = f"hcrc/{self.seed + self.offset}/{self.fold}"
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return torch.Generator().manual_seed(number >> 1)


@dataclass(frozen=True)
class Settings:
    """What the models of a training have in common.

    ``stack_events`` bounds the models times events of a step, beyond which models train one after
    the other; the results agree to rounding.
    """

    classifier: Classifier
    schedule: FixedStep
    benchmark: bool
    batch_eval: int
    stack_events: int


@dataclass(frozen=True)
class Report:
    """Who is told how far a model is, and what it achieved; by default nobody."""

    progress: Callable[[Trainee, int, int], None] = lambda trainee, done, total: None
    epoch: Callable[[Trainee, dict[str, Any]], None] = lambda trainee, row: None


@dataclass
class Training:
    """The state of one model's training, beside its row of the stack.

    ``held_out`` (N) bool on the CPU are the events it is validated on, ``part`` the rows of those
    it trains on, ``order`` those of the present epoch.
    """

    trainee: Trainee
    held_out: Tensor
    part: Tensor
    generator: torch.Generator
    plans: list[Epoch]
    done: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    last: Figures | None = None
    order: Tensor = field(default_factory=lambda: torch.empty(0))

    @property
    def steps(self) -> int:
        """The steps of all epochs."""
        return sum(plan.steps for plan in self.plans)


def train(
    data: Data, event: Tensor, trainees: list[Trainee], settings: Settings, report: Report
) -> tuple[HCR, list[Training]]:
    """Train the models of all trainees; gives the stack of networks and what happened to each.

    ``event`` (N) are the event numbers that the folds follow. Raises :class:`DataError` if
    there is nothing to train on, if the weights of a batch sum to zero, or if a loss is NaN.
    """
    folds = {rule: rule.assign(event) for rule in {trainee.rule for trainee in trainees}}
    trainings = [start_training(trainee, folds[trainee.rule], settings) for trainee in trainees]
    network = make_network(data, trainings, settings)
    optimizer = Adam(network.weights)
    for epoch in range(settings.schedule.training.epochs):
        for training in trainings:
            shuffled = torch.randperm(len(training.part), generator=training.generator)
            training.order = training.part[shuffled].to(data.matrix.device)
        losses = torch.zeros(len(trainings), 2, max(t.plans[epoch].steps for t in trainings))
        for models, steps in schedule_stacks(trainings, epoch, settings.stack_events):
            stack = network.take(models)
            adam = optimizer.take(models, stack.weights)
            plan = trainings[models[0]].plans[epoch]
            found = []
            for step in steps:
                batch = slice(step * plan.batch, (step + 1) * plan.batch)
                rows = torch.stack([trainings[model].order[batch] for model in models])
                logits, _ = stack(data.matrix[rows], plan.ghosts)
                weight = data.weight[rows]
                total, norm = weighted_sum(logits, data.label[rows], weight), weight.sum(1)
                (gradient,) = torch.autograd.grad((total / norm).sum(), stack.weights)
                adam.step(gradient, plan.learning_rate)
                found.append(torch.stack([total.detach(), norm], dim=1))
                for model in models:
                    trainings[model].done += 1
                    report.progress(
                        trainings[model].trainee, trainings[model].done, trainings[model].steps
                    )
            losses[models, :, steps.start : steps.stop] = torch.stack(found, dim=2).cpu()
            network.put(models, stack)
            optimizer.put(models, adam)
        check_losses(losses, trainings, epoch)
        finish_epoch(network, data, trainings, losses, epoch, settings)
        for training in trainings:
            report.epoch(training.trainee, training.history[-1])
    return network.eval(), trainings


def start_training(trainee: Trainee, fold: Tensor, settings: Settings) -> Training:
    """The events a model trains on, and its plan; raises :class:`DataError` for no step at all."""
    held_out = fold == trainee.fold
    part = (~held_out).nonzero().squeeze(1)
    epochs = range(settings.schedule.training.epochs)
    plans = [settings.schedule.plan(epoch, len(part)) for epoch in epochs]
    if sum(plan.steps for plan in plans) == 0:
        raise DataError(
            f"fold {trainee.fold}: {len(part)} events and {len(plans)} epochs are no step to train"
        )
    return Training(trainee, held_out, part, trainee.generator, plans)


def make_network(data: Data, trainings: list[Training], settings: Settings) -> HCR:
    """The stack before the first step: first weights, and the statistics of the embeddings."""
    classifier = settings.classifier
    network = HCR(classifier.architecture, len(classifier.classes), len(trainings))
    for model, training in enumerate(trainings):
        network.initialize(model, training.generator)
    network.to(data.matrix.device)
    same_part: dict[tuple[FoldRule, int], list[int]] = {}
    for model, training in enumerate(trainings):
        key = training.trainee.rule, training.trainee.fold
        same_part.setdefault(key, []).append(model)
    for models in same_part.values():
        part = trainings[models[0]].part.to(data.matrix.device)
        statistics = embedding_statistics(data.matrix, part, classifier.architecture)
        set_embedding_statistics(network, models, statistics)
    return network


def schedule_stacks(
    trainings: list[Training], epoch: int, stack_events: int
) -> Iterator[tuple[list[int], range]]:
    """Which models make which steps of an epoch as one stack: those with the same batches.

    Where their steps differ, those with more go on after the others are through.
    """
    groups: dict[tuple[int, Ghosts], list[int]] = {}
    for model, training in enumerate(trainings):
        plan = training.plans[epoch]
        groups.setdefault((plan.batch, plan.ghosts), []).append(model)
    stacks = (
        group[start : start + max(1, stack_events // batch)]
        for (batch, _), group in groups.items()
        if batch
        for start in range(0, len(group), max(1, stack_events // batch))
    )
    for models in stacks:
        first = 0
        for last in sorted({trainings[model].plans[epoch].steps for model in models}):
            ready = [model for model in models if trainings[model].plans[epoch].steps >= last]
            if last > first:
                yield ready, range(first, last)
            first = last


def check_losses(losses: Tensor, trainings: list[Training], epoch: int) -> None:
    """Raise :class:`DataError` for the first step of (models, Σ w·ce and Σ w, steps) gone wrong."""
    for training, (totals, norms) in zip(trainings, losses, strict=True):
        steps = training.plans[epoch].steps
        wrong = ~(totals[:steps] / norms[:steps]).isfinite()
        if wrong.any():
            step = int(wrong.nonzero()[0])
            what = "the weights sum to zero" if norms[step] == 0 else "the loss is not a number"
            raise DataError(f"fold {training.trainee.fold}, epoch {epoch}, step {step}: {what}")


def finish_epoch(
    network: HCR,
    data: Data,
    trainings: list[Training],
    losses: Tensor,
    epoch: int,
    settings: Settings,
) -> None:
    """Add a row to each model's history: the schedule, the batches' loss, and the benchmarks."""
    scores = None
    if settings.benchmark:
        classifier = settings.classifier
        scores = score_events(
            network, data, classifier.classes, classifier.rocs, settings.batch_eval
        )
    for model, training in enumerate(trainings):
        plan = training.plans[epoch]
        totals, norms = losses[model, :, : plan.steps].double()
        row: dict[str, Any] = {
            "epoch": epoch,
            "batch": plan.batch,
            "learning_rate": plan.learning_rate,
            "ghost_batches": plan.ghosts.batches,
            "ghost_batches_fixed": plan.ghosts.fixed,
            "steps": plan.steps,
            "batch_loss": float((totals / norms).mean()) if plan.steps else None,
        }
        training.history.append(row | benchmark(scores, model, training, settings))


def benchmark(
    scores: Scores | None, model: int, training: Training, settings: Settings
) -> dict[str, Any]:
    """Loss and AUCs on both parts; None without benchmarks."""
    if scores is None:
        return {"training": None, "validation": None}
    rocs = sides(settings.classifier.classes, settings.classifier.rocs)
    held_out = training.held_out.numpy()
    training.last = measure(scores, model, held_out, rocs)
    parts = {"training": measure(scores, model, ~held_out, rocs), "validation": training.last}
    for name, figures in parts.items():
        if figures.loss is not None and not math.isfinite(figures.loss):
            raise DataError(
                f"fold {training.trainee.fold}, epoch {len(training.history)}: "
                f"the {name} loss is not a number"
            )
    return {name: {"loss": figures.loss, "auc": figures.auc} for name, figures in parts.items()}
