"""Weighted histograms, filled in torch where the values are."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from ..data.histograms import Axis

# What is above the range by less than this part of it is so by rounding: a sum of probabilities.
ROUNDING: Final = 1e-6


def locate(axis: Axis, value: Tensor) -> Tensor:
    """The cell of each value, int64: 0 below, 1 to n in the bins, n + 1 above, n + 2 NaN."""
    place = (value.double() - axis.low) * (axis.bins / (axis.high - axis.low))
    cell = place.floor().clamp(-1, axis.bins) + 1
    at_end = (place >= axis.bins) & (place <= axis.bins * (1 + ROUNDING))
    cell = torch.where(at_end, axis.bins, cell)
    return torch.where(place.isnan(), axis.bins + 2, cell).long()


def start_cells(*shape: int, device: torch.device) -> Tensor:
    """Empty histograms (2, …): Σ w, then Σ w²."""
    return torch.zeros(2, *shape, dtype=torch.float64, device=device)


def add_weights(cells: Tensor, place: Tensor, weight: Tensor) -> None:
    """Add events to histograms (2, …), each at its place in all of their cells, one after another.

    ``place`` and ``weight`` are of one shape.
    """
    flat, place, weight = cells.view(2, -1), place.flatten(), weight.double().flatten()
    flat[0].scatter_add_(0, place, weight)
    flat[1].scatter_add_(0, place, weight * weight)
