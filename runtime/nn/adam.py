"""Adam for a stack of models, each with a step count of its own (arXiv:1412.6980)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

BETAS: Final = (0.9, 0.999)
EPSILON: Final = 1e-8


class Adam:
    """Adam without weight decay on weights (K, n): betas 0.9 and 0.999, epsilon 1e-8.

    A model that is not active keeps its weights, its moments and its step count.
    """

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights
        self.first = torch.zeros_like(weights, requires_grad=False)
        self.second = torch.zeros_like(weights, requires_grad=False)
        self.steps = torch.zeros(len(weights), 1, dtype=weights.dtype, device=weights.device)

    @torch.no_grad()
    def step(self, gradient: Tensor, learning_rate: float, active: Tensor | None = None) -> None:
        """One step along ``gradient`` (K, n); ``active`` is (K), or None for all models."""
        if active is not None:
            active = active.unsqueeze(1)
        first = self.first.lerp(gradient, 1 - BETAS[0])
        second = (self.second * BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        steps = self.steps + 1
        rate = learning_rate / (1 - BETAS[0] ** steps)
        scale = (second / (1 - BETAS[1] ** steps)).sqrt_().add_(EPSILON)
        for old, new in (
            (self.weights, self.weights - rate * first / scale),
            (self.first, first),
            (self.second, second),
            (self.steps, steps),
        ):
            old.copy_(new if active is None else torch.where(active, new, old))
