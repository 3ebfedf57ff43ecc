"""ROC curves of weighted events, from histograms of the score. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

BINS: Final = 1000
Array = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Curve:
    """A ROC curve from (0, 0) to (1, 1), and the area under it.

    With negative weights a rate may leave [0, 1]. ``auc`` is None, and the rates are empty, if
    one side has no weight.
    """

    false_positive: Array
    true_positive: Array
    auc: float | None

    def thin(self, points: int) -> Curve:
        """At most that many points for a plot, with both ends; the area stays that of all."""
        last = len(self.false_positive) - 1
        if last < points:
            return self
        index = np.unique(np.linspace(0, last, points).round().astype(np.int64))
        return Curve(self.false_positive[index], self.true_positive[index], self.auc)


def roc(score: Array, is_positive: npt.NDArray[np.bool_], weight: Array, bins: int = BINS) -> Curve:
    """The curve of cutting on a score in [0, 1], from its upper edge down; all arrays are (n)."""
    positive = _selected(score[is_positive], weight[is_positive], bins)
    negative = _selected(score[~is_positive], weight[~is_positive], bins)
    return make_curve(positive, negative)


def make_curve(positive: Array, negative: Array) -> Curve:
    """The curve from the weights above each cut, (bins + 1) for either side; the last is all."""
    if positive[-1] == 0 or negative[-1] == 0:
        return Curve(np.empty(0), np.empty(0), None)
    true_positive, false_positive = positive / positive[-1], negative / negative[-1]
    area = np.diff(false_positive) @ (true_positive[1:] + true_positive[:-1]) / 2
    return Curve(false_positive, true_positive, float(area))


def _selected(score: Array, weight: Array, bins: int) -> Array:
    index = np.clip((score * bins).astype(np.int64), 0, bins - 1)
    histogram = np.bincount(index, weight.astype(np.float64), minlength=bins)
    return np.concatenate([[0.0], np.cumsum(histogram[::-1])])
