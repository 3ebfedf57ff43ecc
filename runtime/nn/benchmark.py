"""What a stack of models achieves on its training and validation parts: losses and ROC curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

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
# Gets the scores (K, n) of a ROC curve, by its name, for some rows of the events.
Fill: TypeAlias = Callable[[str, slice, Tensor], None]


@dataclass(frozen=True)
class Data:
    """Prepared events for training, all on one device.

    ``matrix`` is (N, COLUMNS) float32, ``label`` (N) int64 by class, ``weight`` (N) float32.
    ``total`` and ``counted`` (N) are the weights in the loss, Σ counted·ce / Σ total; None where
    they are the weights. ``chosen`` (N) are the events of ROC curves that take only some, by name.
    """

    matrix: Tensor
    label: Tensor
    weight: Tensor
    total: Tensor | None = None
    counted: Tensor | None = None
    chosen: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.matrix)


@dataclass(frozen=True)
class Scores:
    """K models on N events: cross-entropies (K, N), and by ROC the scores (K, N).

    The rest is (N), as :class:`Data` has it.
    """

    entropy: Floats
    rocs: dict[str, Floats]
    label: npt.NDArray[np.int64]
    weight: Floats
    total: Floats
    counted: Floats
    chosen: Mapping[str, npt.NDArray[np.bool_]]


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
    network: Network,
    data: Data,
    classes: list[str],
    rocs: Sequence[Roc],
    batch: int,
    fill: Fill | None = None,
) -> Scores:
    """Score all events with all models of the stack in evaluation mode.

    At most ``batch`` models times events at a time; on a CPU fewer, which is faster. ``fill`` gets
    the scores on the device, before they are copied.
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
            value = score(curve, classes, probability)
            if fill is not None:
                fill(curve.name, rows, value)
            scores[curve.name][:, rows] = value.cpu().numpy()
    network.train()
    weight = data.weight.cpu().numpy()
    total, counted = (
        weight if part is None else part.cpu().numpy() for part in (data.total, data.counted)
    )
    return Scores(entropy, scores, data.label.cpu().numpy(), weight, total, counted, data.chosen)


def score(roc: Roc, classes: Sequence[str], probability: Any) -> Any:
    """The score in [0, 1] of a ROC curve, of probabilities (…, classes) of torch or NumPy."""
    positive = [classes.index(name) for name in roc.positive]
    value = probability[..., positive].sum(-1)
    if roc.score == "difference":
        negative = [classes.index(name) for name in roc.negative]
        value = (value - probability[..., negative].sum(-1)) / 2 + 0.5
    return value


def measure(
    scores: Scores, model: int, part: npt.NDArray[np.bool_], rocs: Mapping[str, tuple[Any, Any]]
) -> Figures:
    """One model's figures on the events of a part; ``rocs`` are class indices by :func:`sides`."""
    weight = scores.weight[part].astype(np.float64)
    total = scores.total[part].astype(np.float64).sum()
    counted = scores.counted[part].astype(np.float64)
    loss = float(counted @ scores.entropy[model, part] / total) if total != 0 else None
    label = scores.label[part]
    curves = {}
    for name, (positive, negative) in rocs.items():
        is_positive = np.isin(label, positive)
        used = is_positive | np.isin(label, negative)
        if name in scores.chosen:
            used &= scores.chosen[name][part]
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
