"""Adam for a stack of models, each with a step count of its own (arXiv:1412.6980)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

BETAS: Final = (0.9, 0.999)
EPSILON: Final = 1e-8


class Adam:
    """Adam without weight decay on weights (K, n): betas 0.9 and 0.999, epsilon 1e-8."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights
        self.first = torch.zeros_like(weights, requires_grad=False)
        self.second = torch.zeros_like(weights, requires_grad=False)
        self.steps = torch.zeros(len(weights), 1, dtype=torch.float64, device=weights.device)

    @torch.no_grad()
    def take(self, models: list[int], weights: Tensor) -> Adam:
        """The optimiser of some of the models, whose weights were copied to ``weights``."""
        taken = Adam(weights)
        for mine, its in self._rows(taken):
            its.copy_(mine[models])
        return taken

    @torch.no_grad()
    def put(self, models: list[int], taken: Adam) -> None:
        """Replace the rows that :meth:`take` copied."""
        for mine, its in self._rows(taken):
            mine[models] = its

    def state(self) -> dict[str, Tensor]:
        """What it remembers beside the weights, by name, each with a row for each model."""
        return {"first": self.first, "second": self.second, "steps": self.steps}

    def _rows(self, other: Adam) -> tuple[tuple[Tensor, Tensor], ...]:
        return (
            (self.first, other.first),
            (self.second, other.second),
            (self.steps, other.steps),
        )

    @torch.no_grad()
    def step(self, gradient: Tensor, learning_rate: float | Tensor) -> None:
        """One step along ``gradient`` (K, n); a rate of each model is (K, 1) float64."""
        self.steps += 1
        self.first.lerp_(gradient, 1 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        rate = (learning_rate / (1 - BETAS[0] ** self.steps)).to(gradient)
        correction = (1 - BETAS[1] ** self.steps).sqrt().to(gradient)
        self.weights -= rate * self.first / (self.second.sqrt() / correction + EPSILON)
