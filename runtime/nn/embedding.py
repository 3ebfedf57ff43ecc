"""The running statistics of the embeddings: set once, from one pass over the training part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..spec import Architecture
from .hcr import HCR, VIEWS
from .prepare import Inputs, unpack

CHUNK = 16384


@dataclass(frozen=True)
class Sums:
    """Count, mean and sum of squared distances (features) of what was seen, in float64."""

    count: Tensor
    mean: Tensor
    square: Tensor

    def merge(self, other: Sums) -> Sums:
        """The sums of both together (Chan, Golub and LeVeque's update)."""
        count = self.count + other.count
        part = other.count / count.clamp(min=1)
        step = other.mean - self.mean
        return Sums(
            count,
            self.mean + step * part,
            self.square + other.square + step**2 * self.count * part,
        )

    def deviation(self) -> Tensor:
        """The square root of the unbiased variance; 1 for a feature that does not vary."""
        deviation = (self.square / (self.count - 1).clamp(min=1)).sqrt()
        return torch.where(deviation > 0, deviation, torch.ones_like(deviation))


def embedding_statistics(
    matrix: Tensor, index: Tensor, architecture: Architecture, chunk: int = CHUNK
) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and deviation (features) by layer, over the events ``index`` of (N, COLUMNS)."""
    totals: dict[str, Sums] = {}
    for rows in torch.split(index, chunk):
        inputs = unpack(matrix[rows].unsqueeze(0), architecture.slip, architecture.attention)
        for name, x, weight in _embedded(inputs):
            sums = _sum(x.double(), weight)
            totals[name] = totals[name].merge(sums) if name in totals else sums
    return {name: (sums.mean, sums.deviation()) for name, sums in totals.items()}


def _embedded(inputs: Inputs) -> Iterator[tuple[str, Tensor, Tensor | float]]:
    yield "ancillaryEmbed", inputs.ancillary, 1.0
    yield "jetEmbed", inputs.jets, 1.0
    yield "dijetEmbed", inputs.dijets, 1.0
    yield "quadjetEmbed", inputs.quadjets, float(VIEWS)
    if inputs.attention is not None:
        yield "othJetEmbed", inputs.attention.others, inputs.attention.other_valid
        yield "MdPhi_embed", inputs.attention.pairs, inputs.attention.pair_count


def _sum(x: Tensor, weight: Tensor | float) -> Sums:
    """Sums over the pixels and events of x (1, features, pixels, n)."""
    x = x[0].flatten(1)
    times = weight[0].flatten(1).double() if isinstance(weight, Tensor) else x.new_tensor(weight)
    times = times.expand(1, x.shape[1])
    count = times.sum()
    mean = (x * times).sum(1) / count.clamp(min=1)
    return Sums(count, mean, ((x - mean.unsqueeze(1)) ** 2 * times).sum(1))


@torch.no_grad()
def set_embedding_statistics(
    network: HCR, models: list[int], statistics: dict[str, tuple[Tensor, Tensor]]
) -> None:
    """Give these models of the stack what :func:`embedding_statistics` found."""
    for name, (mean, deviation) in statistics.items():
        place = network.layout.statistics[f"inputEmbed.{name}"]
        for model in models:
            network.mean[model, place] = mean.to(network.mean)
            network.scale[model, place] = deviation.to(network.scale)
            network.is_set[model, place] = True
