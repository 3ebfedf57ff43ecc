"""What trains: K networks of one kind with a leading axis of models, HCR's or the user's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn

from .normalization import OFF, Ghosts


class Network(nn.Module, ABC):
    """K networks of one kind: ``weights`` is (K, weights), and all buffers have an axis of K."""

    weights: nn.Parameter

    @property
    def models(self) -> int:
        """K."""
        return len(self.weights)

    @abstractmethod
    def empty(self, models: int) -> Self:
        """A network of the same kind, of so many models."""

    @abstractmethod
    def initialize(self, model: int, generator: torch.Generator) -> None:
        """Draw one model's weights, with a generator of its own."""

    @abstractmethod
    def forward(
        self, matrix: Tensor, ghosts: Ghosts = OFF, *, only_last: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Class logits (K, N, classes) and view logits (K, N, 3) of prepared events.

        ``matrix`` is (N, COLUMNS), the same events for all models, or (K, N, COLUMNS). With
        ``only_last`` the gradient is that of the last layer's weights, and 0 for all others.
        """

    @torch.no_grad()
    def take(self, models: list[int]) -> Self:
        """A network of copies of some of the models, in training mode."""
        taken = self.empty(len(models)).to(self.weights)
        for mine, its in self._rows(taken):
            its.copy_(mine[models])
        return taken

    @torch.no_grad()
    def put(self, models: list[int], taken: Self) -> None:
        """Replace the models that :meth:`take` copied."""
        for mine, its in self._rows(taken):
            mine[models] = its

    def _rows(self, other: Self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(self.parameters(), other.parameters(), strict=True)
        yield from zip(self.buffers(), other.buffers(), strict=True)
