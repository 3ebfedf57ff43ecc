"""Ghost batch normalisation over blocks of events, and the convolutions that it is folded into.

Tensors are (B, features, pixels, n): B is models times blocks, a block being n events in order.
A layer's ghost batches are blocks, or unions of equally many neighbouring blocks, so that layers
with different numbers of ghost batches share one layout and none of them moves data. Events are
innermost: every operation runs over contiguous events.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import Final

import torch
from torch import Tensor

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


@dataclass(frozen=True)
class Moments:
    """What normalises a layer: x -> (x - mean) * inverse, each (B, statistics)."""

    mean: Tensor
    inverse: Tensor


class Statistics:
    """The running means and scales of K models in one forward pass.

    ``mean`` and ``scale`` are (K, n_statistics). In training it collects what the layers' ghost
    batches had, which :meth:`updated` folds in.
    """

    def __init__(self, layout: Layout, mean: Tensor, scale: Tensor, ghosts: Ghosts) -> None:
        self.layout = layout
        self.mean = mean
        self.scale = scale
        self.ghosts = ghosts
        self.seen: dict[str, tuple[Tensor, Tensor]] = {}

    def moments(self, layer: Layer, x: Tensor, weight: Tensor | float) -> Moments:
        """The moments for x (B, statistics, …, n).

        ``weight``, (B, 1, …, n) or one number, is how often a pixel counts.
        """
        groups = self.ghosts.fixed if layer.fixed else self.ghosts.batches
        if not groups:
            return self._running(layer, len(x))
        models = len(self.mean)
        mean, variance = ghost_moments(x, weight, models * groups)
        scale = (variance + EPSILON).sqrt()
        if not layer.embedding:
            with torch.no_grad():
                self.seen[layer.name] = (
                    mean.view(models, groups, -1).mean(1),
                    scale.view(models, groups, -1).mean(1),
                )
        repeats = len(x) // len(mean)
        return Moments(_repeat(mean, repeats), _repeat(scale.reciprocal(), repeats))

    def _running(self, layer: Layer, blocks: int) -> Moments:
        place = self.layout.statistics[layer.name]
        repeats = blocks // len(self.mean)
        return Moments(
            _repeat(self.mean[:, place].clone(), repeats),
            _repeat(self.scale[:, place].reciprocal(), repeats),
        )


def _repeat(x: Tensor, repeats: int) -> Tensor:
    """Each row so many times; as an expansion, whose gradient is a sum in a fixed order."""
    if repeats == 1:
        return x
    return x.unsqueeze(1).expand(-1, repeats, *x.shape[1:]).reshape(-1, *x.shape[1:])


def ghost_moments(x: Tensor, weight: Tensor | float, groups: int) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance, each (groups, statistics), of x (B, statistics, …, n)."""
    x = x.flatten(2)
    if isinstance(weight, Tensor):
        weight = weight.flatten(2)
        count = _join(weight.sum(2), groups)
    else:
        pixels = weight * x.shape[2] * len(x) / groups
        count = torch.full((groups, 1), pixels, dtype=x.dtype, device=x.device)
    mean = _join((x * weight).sum(2), groups) / count.clamp(min=1)
    distance = x - _repeat(mean, len(x) // groups).unsqueeze(2)
    square = _join((distance.square() * weight).sum(2), groups)
    return mean, square / (count - 1).clamp(min=1)


def _join(block_sums: Tensor, groups: int) -> Tensor:
    """Sums over groups of neighbouring blocks."""
    if len(block_sums) == groups:
        return block_sums
    return block_sums.view(groups, -1, block_sums.shape[1]).sum(1)


def convolve(
    x: Tensor, moments: Moments, weight: Tensor, bias: Tensor | None, center: bool = False
) -> Tensor:
    """Normalise x (B, in, pixels, n) and convolve each pixel: (B, out, pixels, n).

    ``weight`` is (K, out, in) and ``bias`` (K, out). Both are linear, so that the
    normalisation goes into the weight of each block. ``center`` takes the mean off first, for
    inputs that lie far from zero: a feature that is constant then gives 0 and not its rounding.
    """
    if center:
        x = x - moments.mean[:, :, None, None]
        moments = Moments(torch.zeros_like(moments.mean), moments.inverse)
    repeats = len(x) // len(weight)
    weight = _repeat(weight, repeats) * moments.inverse.unsqueeze(1)
    shift = -torch.bmm(weight, moments.mean.unsqueeze(2))
    if bias is not None:
        shift = shift + _repeat(bias, repeats).unsqueeze(2)
    return torch.baddbmm(shift, weight, x.flatten(2)).view(len(x), -1, *x.shape[2:])


def scale_and_shift(moments: Moments, gamma: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Factor and offset, each (B, features), of a normalisation with gamma and bias (K, …)."""
    repeats = len(moments.mean) // len(gamma)
    factor = _repeat(gamma, repeats) * moments.inverse
    return factor, _repeat(bias, repeats) - factor * moments.mean
