"""Ghost batch normalisation over blocks of events, with the convolution that follows it.

Tensors are (B, features, …, n): B is models times blocks, a block being n events in order.
A layer's ghost batches are blocks, or unions of equally many neighbouring blocks, so that layers
with different numbers of ghost batches share one layout and none of them moves data. Events are
innermost: every operation runs over contiguous events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm
from typing import Final

import torch
from torch import Tensor

from .kernels import Grouping, Pixels, ghost_convolve, ghost_moments, repeat_rows
from .layers import Layer, Layout

EPSILON: Final = 1e-5
MOMENTUM: Final = 0.1


@dataclass(frozen=True)
class Ghosts:
    """The ghost batches of a training step: of most layers, and of the fixed part; 0 is off."""

    batches: int
    fixed: int

    @property
    def blocks(self) -> int:
        """The least number of blocks of which every ghost batch is a union."""
        return lcm(self.batches or 1, self.fixed or 1)


OFF: Final = Ghosts(0, 0)


class Normalization:
    """The normalisation of K models in one forward pass.

    ``mean`` and ``scale`` are the running statistics, (K, n_statistics). ``seen`` collects, by
    number of ghost batches and by layer, mean and 1/scale of each, (K * groups, statistics).
    """

    def __init__(self, layout: Layout, mean: Tensor, scale: Tensor, ghosts: Ghosts) -> None:
        self.layout = layout
        # Copies, as a backward pass needs them after an update in place.
        self.mean = mean.clone()
        self.scale = scale.clone()
        self.ghosts = ghosts
        self.seen: dict[int, dict[str, tuple[Tensor, Tensor]]] = {}

    def convolve(
        self, layer: Layer, x: Tensor, pixels: Pixels, kernel: Tensor, bias: Tensor
    ) -> Tensor:
        """Normalise x (B, in, …, n) and convolve each pixel: (B, out, …, n).

        ``kernel`` is (K, out, in) and ``bias`` (K, out).
        """
        groups = self.ghosts.fixed if layer.fixed else self.ghosts.batches
        flat = x.flatten(2)
        if groups:
            y = self._by_ghosts(layer, flat, pixels, kernel, bias, groups)
        else:
            y = self._by_running(layer, flat, kernel, bias)
        return y.view(len(x), -1, *x.shape[2:])

    def _by_ghosts(
        self, layer: Layer, x: Tensor, pixels: Pixels, kernel: Tensor, bias: Tensor, groups: int
    ) -> Tensor:
        grouping = Grouping(len(self.mean) * groups, len(x))
        with torch.no_grad():
            moments = ghost_moments(x, pixels, grouping)
            inverse = (moments.variance + EPSILON).rsqrt_()
        if not layer.embedding:
            self.seen.setdefault(groups, {})[layer.name] = (moments.mean, inverse)
        return ghost_convolve(x, kernel, bias, moments, inverse, pixels, grouping)

    def _by_running(self, layer: Layer, x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        """By the running statistics, which go into kernel and bias.

        Inputs lie far from zero: an embedding takes their mean off first, for accuracy.
        """
        place = self.layout.statistics[layer.name]
        mean, repeats = self.mean[:, place].unsqueeze(2), len(x) // len(self.mean)
        kernel = kernel / self.scale[:, place].unsqueeze(1)
        offset = bias.unsqueeze(2)
        if layer.embedding:
            x = x - repeat_rows(mean, repeats)
        else:
            offset = offset - torch.bmm(kernel, mean)
        return torch.baddbmm(repeat_rows(offset, repeats), repeat_rows(kernel, repeats), x)

    def averages(self) -> Iterator[tuple[list[str], Tensor, Tensor]]:
        """Layers, with the means over their ghost batches of mean and scale, (K, statistics).

        All layers with the same number of ghost batches at once.
        """
        for groups, seen in self.seen.items():
            means, inverses = zip(*seen.values(), strict=True)
            size = (len(self.mean), groups, -1)
            mean = torch.cat(means, dim=1).view(size).mean(1)
            scale = torch.cat(inverses, dim=1).reciprocal_().view(size).mean(1)
            yield list(seen), mean, scale
