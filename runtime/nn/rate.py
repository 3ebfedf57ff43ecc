"""The learning rate of one model, epoch by epoch: it falls at milestones, or on a plateau."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ..spec import Training

# A fall by less than this is none, as in torch.
LEAST_FALL: Final = 1e-8


@dataclass
class MilestoneRate:
    """A learning rate that falls after certain numbers of finished epochs."""

    training: Training
    finished: int = 0

    @property
    def value(self) -> float:
        """The learning rate of the present epoch."""
        steps = sum(epoch <= self.finished for epoch in self.training.learning_rate_milestones)
        return float(self.training.learning_rate * self.training.learning_rate_scale**steps)

    def finish_epoch(self, loss: float | None) -> None:
        """Go on to the next epoch, whatever the validation loss."""
        self.finished += 1

    def state(self) -> dict[str, float]:
        """What it remembers, by name."""
        return {"finished": self.finished}


@dataclass
class PlateauRate:
    """A learning rate that falls when the validation loss does not, down to a least one.

    What counts is that of ``torch.optim.lr_scheduler.ReduceLROnPlateau``: a loss is better if it
    is below the best by a relative threshold. After more than ``patience`` epochs without a
    better one the rate falls, and ``cooldown`` epochs are not counted.
    """

    training: Training
    value: float
    best: float = math.inf
    worse: int = 0
    cooldown: int = 0

    def finish_epoch(self, loss: float | None) -> None:
        """Go on to the next epoch after this validation loss; none is no better one."""
        self.worse += 1
        if loss is not None and loss < self.best * (1 - self.training.learning_rate_threshold):
            self.best, self.worse = loss, 0
        if self.cooldown:
            self.cooldown -= 1
            self.worse = 0
        if self.worse > self.training.learning_rate_patience:
            self.cooldown = self.training.learning_rate_cooldown
            self.worse = 0
            self._fall()

    def state(self) -> dict[str, float]:
        """What it remembers, by name."""
        return {key: getattr(self, key) for key in ("value", "best", "worse", "cooldown")}

    def _fall(self) -> None:
        lower = self.value * self.training.learning_rate_scale
        lower = max(lower, self.training.learning_rate_minimum)
        if self.value - lower > LEAST_FALL:
            self.value = lower


Rate = MilestoneRate | PlateauRate
