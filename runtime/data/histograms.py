"""Weighted histograms of a training: what they are, how they compare, and their file. NumPy only.

A histogram of n bins has n + 3 cells, so that no event is lost: what lies below the range, the
bins, what lies above it, and what is not a number. Each cell holds Σ w and Σ w².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..result import Result
from .paths import first_line
from .shape import Json, check_shape
from .truth import UNREADABLE

Floats: TypeAlias = NDArray[np.floating[Any]]
FILE: Final = "histograms"
PARTS: Final = ("training", "validation")
SIDES: Final = ("positive", "negative")
# Of two samples of one distribution, 5% are further apart than this over √(n m / (n + m)).
KOLMOGOROV_95: Final = 1.3581
AXIS: Final = {"name": str, "low": float, "high": float, "bins": int}
DESCRIBED: Final = {"scores": AXIS, "inputs": [{"group": str, "axis": AXIS}]}


@dataclass(frozen=True)
class Axis:
    """Equal bins from ``low`` to ``high``, both of which belong to them, of what ``name`` says."""

    name: str
    low: float
    high: float
    bins: int

    @property
    def cells(self) -> int:
        """The bins, and the cells below, above, and of what is not a number."""
        return self.bins + 3


SCORE: Final = Axis("score", 0.0, 1.0, 1000)


@dataclass(frozen=True)
class InputHistogram:
    """An input of the network, class by class: (classes, Σ w and Σ w², cells).

    ``group`` is the figure it is drawn in.
    """

    group: str
    axis: Axis
    cells: Floats


@dataclass(frozen=True)
class Histograms:
    """Those of a training: the scores by fold, and the inputs of all events.

    Scores are (ROC curves, parts, sides, Σ w and Σ w², cells).
    """

    axis: Axis
    scores: dict[int, Floats]
    inputs: list[InputHistogram]

    def describe(self) -> Json:
        """What the result says of the file."""
        rows = [{"group": row.group, "axis": asdict(row.axis)} for row in self.inputs]
        return {"scores": asdict(self.axis), "inputs": rows}

    def write(self, path: Path) -> None:
        """Write all to a file, with the seven digits of float32."""
        arrays = {f"scores-{fold}": cells for fold, cells in self.scores.items()}
        arrays |= {f"inputs-{index}": row.cells for index, row in enumerate(self.inputs)}
        kept: dict[str, Any] = {name: cells.astype(np.float32) for name, cells in arrays.items()}
        np.savez_compressed(path, **kept)


@dataclass(frozen=True)
class Distance:
    """How far two weighted distributions are apart: the largest difference of what lies below.

    Of two samples of one distribution, about 95% are closer than ``usual``. With negative weights
    what lies below may leave [0, 1], and the distance be above 1.
    """

    distance: float
    usual: float


def compare(one: Floats, other: Floats) -> Distance | None:
    """The Kolmogorov-Smirnov distance of two histograms (2, cells); None for one without weight.

    It is that of the bins, so at most that of the events, and leaves out what is not a number.
    """
    below, events = [], []
    for weight, square in (one[:, :-1].astype(np.float64), other[:, :-1].astype(np.float64)):
        total = float(weight.sum())
        if total <= 0:
            return None
        below.append(np.cumsum(weight) / total)
        events.append(total**2 / float(square.sum()))
    usual = KOLMOGOROV_95 * sqrt(1 / events[0] + 1 / events[1])
    return Distance(float(np.abs(below[0] - below[1]).max()), usual)


def merge_bins(cells: Floats, bins: int) -> Floats:
    """Histograms (…, cells) with that many bins; where they do not go into the old ones, as is."""
    old = cells.shape[-1] - 3
    if old % bins:
        return cells
    merged = cells[..., 1:-2].reshape(*cells.shape[:-1], bins, old // bins).sum(-1)
    return np.concatenate([cells[..., :1], merged, cells[..., -2:]], axis=-1)


def load_histograms(result: Result, rocs: int, classes: int) -> Histograms | None:
    """Those that a training left; None for one made before there were any.

    Raises :class:`DataError` where they are not what the result says.
    """
    if FILE not in result.files:
        return None
    described: Json = result.data.get(FILE)
    check_shape(described, DESCRIBED, f"{result.folder}: data.{FILE}")
    path = result.path(FILE)
    axis = _read_axis(described["scores"], path)
    shape = (rocs, len(PARTS), len(SIDES), 2, axis.cells)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            folds = [row["fold"] for row in result.data["models"]]
            named = {fold: f"scores-{fold}" for fold in folds if f"scores-{fold}" in arrays}
            scores = {fold: _read(arrays, name, shape, path) for fold, name in named.items()}
            inputs = [
                _read_input(arrays, index, row, classes, path)
                for index, row in enumerate(described["inputs"])
            ]
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read: {first_line(error)}") from error
    return Histograms(axis, scores, inputs)


def _read_axis(row: Json, path: Path) -> Axis:
    axis = Axis(**{key: row[key] for key in AXIS})
    if not (axis.low < axis.high and axis.bins > 0):
        raise DataError(f"{path}: {axis.name} has {axis.bins} bins from {axis.low} to {axis.high}")
    return axis


def _read_input(arrays: Any, index: int, row: Json, classes: int, path: Path) -> InputHistogram:
    axis = _read_axis(row["axis"], path)
    cells = _read(arrays, f"inputs-{index}", (classes, 2, axis.cells), path)
    return InputHistogram(row["group"], axis, cells)


def _read(arrays: Any, name: str, shape: Sequence[int], path: Path) -> Floats:
    if name not in arrays:
        raise DataError(f"{path}: holds no {name}")
    found: Floats = arrays[name]
    if found.dtype != np.float32 or found.shape != tuple(shape) or not np.isfinite(found).all():
        raise DataError(f"{path}: {name} are no histograms of the shape {tuple(shape)}")
    return found.astype(np.float64)
