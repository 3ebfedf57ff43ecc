"""What changes during a stage of a training, as functions of the number of finished epochs.

The batch grows at milestones instead of the learning rate falling (arXiv:1711.00489), and the
number of ghost batches falls as the batch grows. The learning rate falls at later milestones
(FixedStep), or when the validation loss does not (the others).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from torch import Tensor

from ..spec import Ghost, Training
from .adam import Adam
from .normalization import Ghosts
from .rate import MilestoneRate, PlateauRate, Rate
from .sgd import SGD


class Optimizer(Protocol):
    """What makes the steps of a stack of models; models can be taken out and put back."""

    def take(self, models: list[int], weights: Tensor) -> Self:
        """The optimiser of some of the models, whose weights were copied to ``weights``."""

    def put(self, models: list[int], taken: Self) -> None:
        """Replace what :meth:`take` copied."""

    def step(self, gradient: Tensor, learning_rate: float | Tensor) -> None:
        """One step along ``gradient`` (K, n); a rate of each model is (K, 1)."""

    def state(self) -> dict[str, Tensor]:
        """What it remembers beside the weights, by name, each with a row for each model."""


@dataclass(frozen=True)
class Epoch:
    """One epoch of a training part: how many steps of how many events, and with what.

    ``ghosts`` are those that were planned, reduced to numbers that divide the batch.
    """

    batch: int
    steps: int
    ghosts: Ghosts


@dataclass(frozen=True)
class Schedule:
    """The schedule of one stage of a training; a fine-tuning trains only the last layer."""

    training: Training
    ghost: Ghost
    stage: Literal["training", "finetuning"] = "training"

    @property
    def needs_loss(self) -> bool:
        """Whether the learning rate depends on the validation loss."""
        return self.training.schedule != "FixedStep"

    @property
    def only_last(self) -> bool:
        """Whether only the last layer is trained."""
        return self.stage == "finetuning"

    def start_rate(self) -> Rate:
        """The learning rate of one model at the start of the stage."""
        if self.needs_loss:
            return PlateauRate(self.training, self.training.learning_rate)
        return MilestoneRate(self.training)

    def start_optimizer(self, weights: Tensor) -> Optimizer:
        """The optimiser of the stack's weights (K, n) at the start of the stage."""
        return SGD(weights) if self.training.schedule == "FinetuneStepSGD" else Adam(weights)

    def batch(self, epoch: int) -> int:
        """Events per step after ``epoch`` finished epochs."""
        steps = _passed(self.training.batch_milestones, epoch)
        return max(1, _floor(_scaled(self.training.batch, self.training.batch_scale, steps)))

    def ghosts(self, epoch: int) -> Ghosts:
        """Ghost batches after ``epoch`` finished epochs; the fixed part keeps the first number."""
        steps = _passed(self.ghost.milestones, epoch)
        batches = _floor(_scaled(self.ghost.batches, self.ghost.scale, steps))
        return Ghosts(batches, self.ghost.batches)

    def plan(self, epoch: int, events: int) -> Epoch:
        """The epoch after ``epoch`` finished ones, for a training part of that many events.

        The last incomplete batch is dropped; a part smaller than the batch is one batch. Ghost
        batches have equal sizes: where their number does not divide the batch, it is the largest
        smaller one that does, so that no event is dropped for it.
        """
        batch = min(self.batch(epoch), events)
        planned = self.ghosts(epoch)
        return Epoch(
            batch=batch,
            steps=events // batch if batch else 0,
            ghosts=Ghosts(_divisor(planned.batches, batch), _divisor(planned.fixed, batch)),
        )

    def plans(self, events: int) -> list[Epoch]:
        """All epochs of the stage, for a training part of that many events."""
        return [self.plan(epoch, events) for epoch in range(self.training.epochs)]


def _passed(milestones: Sequence[int], epoch: int) -> int:
    return sum(milestone <= epoch for milestone in milestones)


def _scaled(value: float, scale: float, times: int) -> float:
    return float(value * scale**times)


def _floor(value: float) -> int:
    """The integer part, where a rounding error does not cost the next integer."""
    nearest = round(value)
    return nearest if math.isclose(value, nearest, rel_tol=1e-12) else int(value)


def _divisor(wanted: int, number: int) -> int:
    """The largest number up to ``wanted`` that divides ``number``; 0 stays 0."""
    return next((n for n in range(wanted, 0, -1) if number % n == 0), 0)
