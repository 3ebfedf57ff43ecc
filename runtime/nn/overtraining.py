"""How the scores of each ROC curve are distributed in the training and the validation part.

They are counted on the device, batch by batch, while the events are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from ..data.histograms import PARTS, SCORE, SIDES, Floats
from ..spec import Roc
from .benchmark import Data, sides
from .histogram import add_weights, locate, start_cells

# Events of no side are counted beside the two, and dropped at the end.
NEITHER: Final = len(SIDES)


class ScoreHistograms:
    """The scores of K models on N events, of which ``held_out`` (K, N) are the validation parts."""

    def __init__(
        self, data: Data, held_out: Tensor, classes: Sequence[str], rocs: Sequence[Roc]
    ) -> None:
        device = data.matrix.device
        self._data, self._held_out = data, held_out
        self._side = {}
        for name, (positive, negative) in sides(list(classes), rocs).items():
            of_class = torch.full((len(classes),), NEITHER, device=device)
            of_class[negative], of_class[positive] = SIDES.index("negative"), 0
            self._side[name] = of_class
        self._chosen = {
            name: torch.from_numpy(mask).to(device) for name, mask in data.chosen.items()
        }
        self._index = {roc.name: index for index, roc in enumerate(rocs)}
        shape = (len(rocs), len(held_out), len(PARTS), len(SIDES) + 1, SCORE.cells)
        self._cells = start_cells(*shape, device=device)
        first = torch.arange(len(held_out), device=device) * len(PARTS)
        self._first = first.unsqueeze(1)

    def fill(self, roc: str, rows: slice, score: Tensor) -> None:
        """Count the scores (K, n) of some events."""
        side = self._side[roc][self._data.label[rows]]
        if roc in self._chosen:
            side = torch.where(self._chosen[roc][rows], side, NEITHER)
        part = self._first + self._held_out[:, rows].to(score.device)
        place = (part * (len(SIDES) + 1) + side) * SCORE.cells + locate(SCORE, score)
        weight = self._data.weight[rows].expand(score.shape)
        add_weights(self._cells[:, self._index[roc]], place, weight)

    def take(self) -> list[Floats]:
        """The histograms of each model: (ROC curves, parts, sides, Σ w and Σ w², cells)."""
        cells = self._cells[:, :, :, :, :NEITHER].permute(2, 1, 3, 4, 0, 5)
        return [model.cpu().numpy() for model in cells]
