"""What a stack of models achieves on its training and validation parts: losses and ROC curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..spec import Roc
from .network import Network
from .roc import Curve, roc

# Models times events of a step on a CPU: more are not faster, and need memory.
CPU_BATCH: Final = 4096

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Data:
    """Prepared events for training, all on one device.

    ``matrix`` is (N, COLUMNS) float32, ``label`` (N) int64 by class, ``weight`` (N) float32.
    """

    matrix: Tensor
    label: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.matrix)


@dataclass(frozen=True)
class Scores:
    """K models on N events: cross-entropies (K, N), and by ROC the scores (K, N)."""

    entropy: Floats
    rocs: dict[str, Floats]
    label: npt.NDArray[np.int64]
    weight: Floats


@dataclass(frozen=True)
class Figures:
    """One model on one part: Σ w·ce / Σ w, None if no weight is there, and the ROC curves."""

    loss: float | None
    curves: dict[str, Curve]

    @property
    def auc(self) -> dict[str, float | None]:
        """The areas under the ROC curves, by name."""
        return {name: curve.auc for name, curve in self.curves.items()}


@torch.no_grad()
def score_events(
    network: Network, data: Data, classes: list[str], rocs: Sequence[Roc], batch: int
) -> Scores:
    """Score all events with all models of the stack in evaluation mode.

    At most ``batch`` models times events at a time; on a CPU fewer, which is faster.
    """
    if data.matrix.device.type == "cpu":
        batch = min(batch, CPU_BATCH)
    batch = max(1, batch // network.models)
    network.eval()
    entropy = np.empty((network.models, len(data)), dtype=np.float32)
    scores = {roc.name: np.empty_like(entropy) for roc in rocs}
    for start in range(0, len(data), batch):
        rows = slice(start, start + batch)
        logits, _ = network(data.matrix[rows])
        label = data.label[rows].expand(network.models, -1)
        loss = cross_entropy(logits.transpose(1, 2), label, reduction="none")
        entropy[:, rows] = loss.cpu().numpy()
        probability = logits.softmax(dim=2)
        for curve in rocs:
            positive = [classes.index(name) for name in curve.positive]
            scores[curve.name][:, rows] = probability[:, :, positive].sum(2).cpu().numpy()
    network.train()
    return Scores(entropy, scores, data.label.cpu().numpy(), data.weight.cpu().numpy())


def measure(
    scores: Scores, model: int, part: npt.NDArray[np.bool_], rocs: Mapping[str, tuple[Any, Any]]
) -> Figures:
    """One model's figures on the events of a part; ``rocs`` are class indices by :func:`sides`."""
    weight = scores.weight[part].astype(np.float64)
    total = weight.sum()
    loss = float(weight @ scores.entropy[model, part] / total) if total != 0 else None
    label = scores.label[part]
    curves = {}
    for name, (positive, negative) in rocs.items():
        is_positive = np.isin(label, positive)
        used = is_positive | np.isin(label, negative)
        score = scores.rocs[name][model, part]
        curves[name] = roc(score[used], is_positive[used], weight[used])
    return Figures(loss, curves)


def sides(classes: list[str], rocs: Sequence[Roc]) -> dict[str, tuple[list[int], list[int]]]:
    """The indices of the positive and the negative classes of each ROC, by its name."""
    return {
        curve.name: (
            [classes.index(name) for name in curve.positive],
            [classes.index(name) for name in curve.negative],
        )
        for curve in rocs
    }
