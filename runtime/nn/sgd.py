"""Plain gradient descent for a stack of models."""

from __future__ import annotations

import torch
from torch import Tensor


class SGD:
    """Gradient descent without momentum on weights (K, n): it has no state but the weights."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    def take(self, models: list[int], weights: Tensor) -> SGD:
        """The optimiser of some of the models, whose weights were copied to ``weights``."""
        return SGD(weights)

    def put(self, models: list[int], taken: SGD) -> None:
        """Replace what :meth:`take` copied, which is nothing."""

    def state(self) -> dict[str, Tensor]:
        """What it remembers beside the weights: nothing."""
        return {}

    @torch.no_grad()
    def step(self, gradient: Tensor, learning_rate: float | Tensor) -> None:
        """One step along ``gradient`` (K, n); a rate of each model is (K, 1)."""
        self.weights -= torch.as_tensor(learning_rate).to(gradient) * gradient
