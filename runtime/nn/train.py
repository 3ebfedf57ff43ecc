"""Train models on events in memory: folds, seeds and offsets, each as if it were alone.

The events are one matrix on the device, a batch is a selection of its rows. Models that train
together are one stack with a leading axis, and each keeps its own generator and step count: one
that is through with an epoch waits for the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from ..spec import Classifier, Roc
from .benchmark import Data, Figures, Scores, measure, score_events, sides
from .checkpoint import Forgetful, Store
from .embedding import embedding_statistics, set_embedding_statistics
from .folds import FoldRule
from .hcr import HCR
from .loss import weighted_sum
from .model import make_network
from .network import Network
from .normalization import Ghosts
from .overtraining import ScoreHistograms
from .schedule import Optimizer, Schedule
from .training import KEEP_LAST, Choice, Run, Trainee, Training


@dataclass(frozen=True)
class Settings:
    """What the models of a training have in common: the stages, one after the other, and more.

    ``stack_events`` bounds the models times events of a step, and ``max_trainers`` the models,
    beyond which models train one after the other; the results agree to rounding. ``choice`` says
    which epoch's models are kept, and when one stops.
    """

    classifier: Classifier
    stages: tuple[Schedule, ...]
    benchmark: bool
    batch_eval: int
    stack_events: int
    max_trainers: int | None = None
    choice: Choice = KEEP_LAST

    def stack_models(self, batch: int) -> int:
        """How many models may train as one stack, with that many events in a batch."""
        models = max(1, self.stack_events // batch)
        return models if self.max_trainers is None else min(models, self.max_trainers)


@dataclass(frozen=True)
class Report:
    """Who is told how far a model is, and what it achieved; by default nobody.

    ``resumed`` gets the number of finished epochs that a training goes on after.
    """

    progress: Callable[[Trainee, int, int], None] = lambda trainee, done, total: None
    epoch: Callable[[Trainee, dict[str, Any]], None] = lambda trainee, row: None
    resumed: Callable[[int], None] = lambda epochs: None


def train(
    data: Data,
    event: Tensor,
    trainees: list[Trainee],
    settings: Settings,
    report: Report,
    store: Store | None = None,
) -> tuple[list[Network], list[Training]]:
    """Train the models of all trainees: the stack of networks after each stage, and the trainings.

    ``event`` (N) are the event numbers that the folds follow. ``store`` gets the state after each
    epoch but the last; with the one that it holds the training goes on, bit by bit as it would
    have. Raises :class:`DataError` if there is nothing to train on, if the weights of a batch sum
    to zero, or if a loss is NaN.
    """
    store = store or Forgetful()
    run = start_run(data, event, trainees, settings)
    state = store.load()
    if state is not None:
        run.restore(state, settings.stages)
        report.resumed(run.trainings[0].epoch)
    for schedule in settings.stages[run.stage :]:
        if run.epoch == 0:
            run.start_stage(schedule)
        for epoch in range(run.epoch, schedule.training.epochs):
            trainings = run.trainings
            if run.is_over:
                break
            losses = train_epoch(
                run.network, run.optimizer, data, trainings, schedule, settings, report
            )
            finish_epoch(run.network, data, trainings, losses, schedule, settings)
            run.finish_epoch(schedule.training.epochs - epoch - 1)
            for training in trainings:
                report.epoch(training.trainee, training.history[-1])
            if trainings[0].epoch < len(trainings[0].plans):
                store.save(run.state())
        run.end_stage()
    if settings.choice.keep_best and settings.benchmark:
        measure_models(run, data, settings)
    return run.networks, run.trainings


def measure_models(run: Run, data: Data, settings: Settings) -> None:
    """Take the figures of the models that are kept for the last ones."""
    scores = score_models(run.network, data, run.trainings, settings, settings.classifier.rocs)
    for model, training in enumerate(run.trainings):
        benchmark(scores, model, training, settings)


def score_models(
    network: Network, data: Data, trainings: list[Training], settings: Settings, rocs: list[Roc]
) -> Scores:
    """Score all events, and leave each training the histograms of its scores."""
    classes = settings.classifier.classes
    held_out = torch.stack([training.held_out for training in trainings])
    histograms = ScoreHistograms(data, held_out, classes, rocs)
    scores = score_events(network, data, classes, rocs, settings.batch_eval, histograms.fill)
    for training, counted in zip(trainings, histograms.take(), strict=True):
        training.scores = counted
    return scores


def start_run(data: Data, event: Tensor, trainees: list[Trainee], settings: Settings) -> Run:
    """All models before their first step."""
    folds = {rule: rule.assign(event) for rule in {trainee.rule for trainee in trainees}}
    trainings = [start_training(trainee, folds[trainee.rule], settings) for trainee in trainees]
    network = start_network(data, trainings, settings)
    optimizer = settings.stages[0].start_optimizer(network.weights)
    return Run(network, optimizer, trainings, settings.choice)


def train_epoch(
    network: Network,
    optimizer: Optimizer,
    data: Data,
    trainings: list[Training],
    schedule: Schedule,
    settings: Settings,
    report: Report,
) -> Tensor:
    """All steps of the next epoch; gives (models, Σ w·ce and Σ w, steps)."""
    device, epoch = data.matrix.device, trainings[0].epoch
    for training in trainings:
        shuffled = torch.randperm(len(training.part), generator=training.generator)
        training.order = training.part[shuffled].to(device)
    weights = data.weight if data.total is None else data.total
    counted = data.weight if data.counted is None else data.counted
    losses = torch.zeros(len(trainings), 2, max(t.plans[epoch].steps for t in trainings))
    for models, steps in schedule_stacks(trainings, epoch, settings):
        stack = network.take(models)
        taken = optimizer.take(models, stack.weights)
        plan = trainings[models[0]].plans[epoch]
        values = [[trainings[model].rate.value] for model in models]
        rates = torch.tensor(values, dtype=torch.float64, device=device)
        found = []
        taken_events = steps.stop * plan.batch
        order = torch.stack([trainings[model].order[:taken_events] for model in models])
        for step in steps:
            rows = order[:, step * plan.batch : (step + 1) * plan.batch]
            logits, _ = stack(data.matrix[rows], plan.ghosts, only_last=schedule.only_last)
            total = weighted_sum(logits, data.label[rows], counted[rows])
            norm = weights[rows].sum(1)
            (gradient,) = torch.autograd.grad((total / norm).sum(), stack.weights)
            taken.step(gradient, rates)
            found.append(torch.stack([total.detach(), norm], dim=1))
            for model in models:
                trainings[model].done += 1
                report.progress(
                    trainings[model].trainee, trainings[model].done, trainings[model].steps
                )
        losses[models, :, steps.start : steps.stop] = torch.stack(found, dim=2).cpu()
        network.put(models, stack)
        optimizer.put(models, taken)
    check_losses(losses, trainings, epoch)
    return losses


def start_training(trainee: Trainee, fold: Tensor, settings: Settings) -> Training:
    """The events a model trains on, and its plan; raises :class:`DataError` for no step at all."""
    held_out = fold == trainee.fold
    part = (~held_out).nonzero().squeeze(1)
    plans = [plan for schedule in settings.stages for plan in schedule.plans(len(part))]
    if sum(plan.steps for plan in plans) == 0:
        raise DataError(
            f"fold {trainee.fold}: {len(part)} events and {len(plans)} epochs are no step to train"
        )
    rate = settings.stages[0].start_rate()
    return Training(trainee, held_out, part, trainee.generator, plans, rate)


def start_network(data: Data, trainings: list[Training], settings: Settings) -> Network:
    """The stack before the first step: first weights, and the statistics of the embeddings."""
    kind = settings.classifier
    network = make_network(
        kind.model, kind.options, kind.architecture, len(kind.classes), len(trainings)
    )
    for model, training in enumerate(trainings):
        network.initialize(model, training.generator)
    network.to(data.matrix.device)
    if isinstance(network, HCR):
        set_statistics(network, data, trainings)
    return network


def set_statistics(network: HCR, data: Data, trainings: list[Training]) -> None:
    """Set the statistics of the embeddings, from the training part of each model."""
    same_part: dict[tuple[FoldRule, int], list[int]] = {}
    for model, training in enumerate(trainings):
        key = training.trainee.rule, training.trainee.fold
        same_part.setdefault(key, []).append(model)
    for models in same_part.values():
        part = trainings[models[0]].part.to(data.matrix.device)
        statistics = embedding_statistics(data.matrix, part, network.architecture)
        set_embedding_statistics(network, models, statistics)


def schedule_stacks(
    trainings: list[Training], epoch: int, settings: Settings
) -> Iterator[tuple[list[int], range]]:
    """Which models make which steps of an epoch as one stack: those with the same batches.

    Where their steps differ, those with more go on after the others are through.
    """
    groups: dict[tuple[int, Ghosts], list[int]] = {}
    for model, training in enumerate(trainings):
        plan = training.plans[epoch]
        groups.setdefault((plan.batch, plan.ghosts), []).append(model)
    stacks = (
        group[start : start + settings.stack_models(batch)]
        for (batch, _), group in groups.items()
        if batch
        for start in range(0, len(group), settings.stack_models(batch))
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
    network: Network,
    data: Data,
    trainings: list[Training],
    losses: Tensor,
    schedule: Schedule,
    settings: Settings,
) -> None:
    """Add a row to each model's history: the schedule, the batches' loss, and the benchmarks.

    The learning rates go on to the next epoch. Raises :class:`DataError` if one of them depends
    on a validation loss that there is not.
    """
    scores = None
    needs_loss = schedule.needs_loss or settings.choice.needs_loss
    if settings.benchmark or needs_loss:
        classifier = settings.classifier
        rocs = classifier.rocs if settings.benchmark else []
        if is_last(trainings[0], settings):
            scores = score_models(network, data, trainings, settings, rocs)
        else:
            scores = score_events(network, data, classifier.classes, rocs, settings.batch_eval)
    for model, training in enumerate(trainings):
        plan = training.plans[training.epoch]
        totals, norms = losses[model, :, : plan.steps].double()
        row: dict[str, Any] = {
            "stage": schedule.stage,
            "epoch": training.epoch,
            "batch": plan.batch,
            "learning_rate": training.rate.value,
            "ghost_batches": plan.ghosts.batches,
            "ghost_batches_fixed": plan.ghosts.fixed,
            "steps": plan.steps,
            "batch_loss": float((totals / norms).mean()) if plan.steps else None,
        }
        row |= benchmark(scores, model, training, settings)
        loss = row["validation"]["loss"] if row["validation"] else None
        if loss is None and needs_loss:
            what = f"the learning rate of {schedule.training.schedule} follows"
            what = what if schedule.needs_loss else "the choice of an epoch needs"
            raise DataError(f"fold {training.trainee.fold}: no weight to validate on, which {what}")
        training.rate.finish_epoch(loss)
        training.history.append(row)


def is_last(training: Training, settings: Settings) -> bool:
    """Whether no benchmark may come after that of this epoch, so that its scores are counted."""
    choice = settings.choice
    over = choice.patience is not None or training.epoch + 1 == len(training.plans)
    return settings.benchmark and over and not choice.keep_best


def benchmark(
    scores: Scores | None, model: int, training: Training, settings: Settings
) -> dict[str, Any]:
    """Loss and AUCs on both parts; without benchmarks None, or the validation loss alone."""
    parts: dict[str, Figures | None] = {"training": None, "validation": None}
    if scores is not None:
        curves = settings.classifier.rocs if settings.benchmark else []
        rocs = sides(settings.classifier.classes, curves)
        held_out = training.held_out.numpy()
        if settings.benchmark:
            parts["training"] = measure(scores, model, ~held_out, rocs)
        parts["validation"] = training.last = measure(scores, model, held_out, rocs)
    for name, figures in parts.items():
        if figures and figures.loss is not None and not math.isfinite(figures.loss):
            raise DataError(
                f"fold {training.trainee.fold}, epoch {training.epoch}: "
                f"the {name} loss is not a number"
            )
    return {
        name: {"loss": figures.loss, "auc": figures.auc} if figures else None
        for name, figures in parts.items()
    }
