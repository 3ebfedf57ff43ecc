"""The models of some trainings: what they achieved, and where each comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import floor, log10
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..data.shape import CLASSIFIER, Each, Maybe, check_data
from ..errors import DataError, SpecError
from ..result import RESULT, Result

Json: TypeAlias = Any
Floats: TypeAlias = NDArray[np.float64]
FIGURES: Final = Maybe({"loss": Maybe(float), "auc": Each(Maybe(float))})
CURVE: Final = {"auc": Maybe(float), "false_positive": [float], "true_positive": [float]}
HISTORY: Final = {
    "stage": Maybe(str, needed=False),
    "epoch": int,
    "training": FIGURES,
    "validation": FIGURES,
}
TRAINED: Final = {
    "classifier": CLASSIFIER,
    "models": [
        {
            "fold": int,
            "history": [HISTORY],
            "rocs": Each(CURVE),
        }
    ],
}


@dataclass(frozen=True)
class Origin:
    """Where a model comes from: the cell that trained it, its seed as far as known, its fold."""

    cell: str
    seed: int | None
    fold: int

    def __str__(self) -> str:
        return f"{self.cell}, fold {self.fold}"


@dataclass(frozen=True)
class Models:
    """The models of some trainings of one classifier, seed by seed and fold by fold.

    ``origins`` are those of the ``rows``, in the same order.
    """

    classifier: str
    rocs: list[Json]
    rows: list[Json]
    seeds: int
    classes: list[str] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)

    @property
    def count(self) -> str:
        """How many: ``3 folds``, or ``6 models`` of several seeds."""
        word = "model" if self.seeds > 1 else "fold"
        return f"{len(self.rows)} {word}{'' if len(self.rows) == 1 else 's'}"

    @property
    def title(self) -> str:
        """What is shown: the classifier, how many models, and what line and band are."""
        spread = ": mean ± standard deviation" if len(self.rows) > 1 else ""
        return f"{self.name}{spread}"

    @property
    def name(self) -> str:
        """The classifier, and how many models of how many seeds."""
        seeds = f" of {self.seeds} seeds" if self.seeds > 1 else ""
        return f"{self.classifier}, {self.count}{seeds}"


@dataclass(frozen=True)
class Series:
    """A figure by epoch: the finished epochs (n), and each model's values (models, n), or NaN."""

    epochs: NDArray[np.int64]
    values: Floats


def load_models(results: Sequence[Result]) -> Models:
    """The models of the results; raises :class:`DataError` if they are of two classifiers."""
    if not results:
        raise SpecError("models: at least one is needed")
    first = results[0]
    for result in results:
        check_data(result, TRAINED)
        check_curves(result)
    for result in results[1:]:
        if result.data["classifier"] != first.data["classifier"]:
            raise DataError(
                f"{result.folder / RESULT}: has another classifier than {first.folder / RESULT}"
            )
    classifier = first.data["classifier"]
    rows = [row for result in results for row in result.data["models"]]
    origins = [
        Origin(result.cell, _read_seed(result), row["fold"])
        for result in results
        for row in result.data["models"]
    ]
    return Models(
        classifier["name"],
        classifier["rocs"],
        rows,
        len(results),
        classifier["classes"],
        origins,
    )


def _read_seed(result: Result) -> int | None:
    parts = [result.spec.get(key) for key in ("seed", "offset")]
    numbers = [part for part in parts if type(part) is int]
    return sum(numbers) if len(numbers) == len(parts) else None


def check_curves(result: Result) -> None:
    """Raises :class:`DataError` for a curve with an area whose axes do not go together."""
    for index, model in enumerate(result.data["models"]):
        for name, curve in model["rocs"].items():
            lengths = len(curve["false_positive"]), len(curve["true_positive"])
            if curve["auc"] is not None and (lengths[0] != lengths[1] or not lengths[0]):
                where = f"{result.folder / RESULT}: data.models[{index}].rocs.{name}"
                raise DataError(f"{where}: {lengths[0]} and {lengths[1]} points")


def describe(models: Models) -> dict[str, Json]:
    """Mean and spread of the last losses and areas; None where no model has one."""
    losses = {
        part: summarise(last_loss(row, part) for row in models.rows)
        for part in ("training", "validation")
    }
    names = [roc["name"] for roc in models.rocs]
    areas = {name: summarise(area(row, name) for row in models.rows) for name in names}
    return {
        "models": len(models.rows),
        "seeds": models.seeds,
        "loss": losses,
        "auc": areas,
        "summary": [
            f"AUC {name} {format_spread(row['values'])} over {models.count}"
            for name, row in areas.items()
        ],
    }


def summarise(values: Iterable[float | None]) -> dict[str, Json]:
    """Mean, standard deviation (ddof 0), and the values by model."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    mean, std = (float(np.mean(known)), float(np.std(known))) if known else (None, None)
    return {"mean": mean, "std": std, "values": listed}


def format_spread(values: Iterable[float | None]) -> str:
    """Mean and standard deviation, the latter to two digits: ``0.736 ± 0.016``."""
    row = summarise(values)
    if row["mean"] is None:
        return "not measured"
    if len(row["values"]) == 1 or not row["std"]:
        return f"{row['mean']:.4f}"
    digits = min(max(1 - floor(log10(row["std"])), 2), 5)
    return f"{row['mean']:.{digits}f} ± {row['std']:.{digits}f}"


def last_loss(row: Json, part: str) -> float | None:
    """The loss of a model on a part after its last epoch."""
    figures = row["history"][-1][part] if row["history"] else None
    return figures["loss"] if figures else None


def area(row: Json, name: str) -> float | None:
    """The last area of a model under a ROC curve of its validation part."""
    found: float | None = row["rocs"].get(name, {}).get("auc")
    return found


def collect(models: Models, part: str, roc: str | None) -> Series:
    """The loss, or the area of a ROC curve, of a part by epoch, for each model."""
    epochs = sorted({row["epoch"] for model in models.rows for row in model["history"]})
    values = np.full((len(models.rows), len(epochs)), np.nan)
    for index, model in enumerate(models.rows):
        for row in model["history"]:
            figures = row[part] or {"loss": None, "auc": {}}
            value = figures["loss"] if roc is None else figures["auc"].get(roc)
            if value is not None:
                values[index, epochs.index(row["epoch"])] = value
    measured = ~np.isnan(values).all(axis=0)
    return Series(np.array(epochs, np.int64)[measured] + 1, values[:, measured])
