"""What changes during a training, as functions of the number of finished epochs.

FixedStep: the batch grows at milestones instead of the learning rate falling (arXiv:1711.00489),
the learning rate falls at later ones, and the number of ghost batches falls as the batch grows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..spec import Ghost, Training
from .normalization import Ghosts


@dataclass(frozen=True)
class Epoch:
    """One epoch of a training part: how many steps of how many events, and with what.

    ``ghosts`` are those that were planned, reduced to numbers that divide the batch.
    """

    batch: int
    steps: int
    learning_rate: float
    ghosts: Ghosts


@dataclass(frozen=True)
class FixedStep:
    """The schedule of one training."""

    training: Training
    ghost: Ghost

    def batch(self, epoch: int) -> int:
        """Events per step after ``epoch`` finished epochs."""
        steps = _passed(self.training.batch_milestones, epoch)
        return max(1, _floor(_scaled(self.training.batch, self.training.batch_scale, steps)))

    def learning_rate(self, epoch: int) -> float:
        """The learning rate after ``epoch`` finished epochs."""
        steps = _passed(self.training.learning_rate_milestones, epoch)
        return _scaled(self.training.learning_rate, self.training.learning_rate_scale, steps)

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
            learning_rate=self.learning_rate(epoch),
            ghosts=Ghosts(_divisor(planned.batches, batch), _divisor(planned.fixed, batch)),
        )


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
