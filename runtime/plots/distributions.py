"""What the trainings counted: the scores of each model, the inputs, and what is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..data.histograms import (
    SCORE,
    SIDES,
    Axis,
    Distance,
    Floats,
    Histograms,
    InputHistogram,
    compare,
    load_histograms,
)
from ..result import Result
from .models import Json, Models, summarise

BEFORE: Final = "no histograms: it was trained before they were kept"
OTHER_BINS: Final = "its scores are not shown: they have other bins than those before"
OTHER_EVENTS: Final = "its inputs are not shown: it read other events than those before"
NO_BENCHMARK: Final = "its scores were not measured (benchmark: false)"


@dataclass(frozen=True)
class Distributions:
    """The scores of each model (ROC curves, parts, sides, Σ w and Σ w², cells), or None.

    The ``inputs`` are those of the first training that has some. ``missing`` says line by line
    what is not there.
    """

    axis: Axis
    scores: list[Floats | None]
    inputs: list[InputHistogram]
    missing: list[str]

    def distances(self, model: int, roc: int) -> list[Distance | None]:
        """How far the training and the validation part of a model are apart, by side."""
        scores = self.scores[model]
        if scores is None:
            return [None] * len(SIDES)
        training, validation = scores[roc]
        return [compare(*pair) for pair in zip(training, validation, strict=True)]

    def describe(self, models: Models) -> Json:
        """The distances by ROC curve and side: mean, spread, and the values by model."""
        return {
            roc["name"]: {
                name: summarise(self._listed(index, side)) for side, name in enumerate(SIDES)
            }
            for index, roc in enumerate(models.rocs)
        }

    def _listed(self, roc: int, side: int) -> list[float | None]:
        found = [self.distances(model, roc)[side] for model in range(len(self.scores))]
        return [None if row is None else row.distance for row in found]


def load_distributions(results: Sequence[Result], models: Models) -> Distributions:
    """What the trainings counted; raises :class:`DataError` for a file that is damaged."""
    loaded = [
        (result, load_histograms(result, len(models.rocs), len(models.classes)))
        for result in results
    ]
    axis = next((found.axis for _, found in loaded if found), SCORE)
    scores: list[Floats | None] = []
    missing = []
    shown: tuple[Json, list[InputHistogram]] | None = None
    for result, found in loaded:
        texts = [BEFORE] if found is None else _find_missing(found, axis)
        if found is not None:
            read = result.data.get("read")
            shown = shown or (read, found.inputs)
            texts += [OTHER_EVENTS] if read != shown[0] else []
        missing += [f"{result.cell}: {text}" for text in texts]
        known = found.scores if found is not None and found.axis == axis else {}
        scores += [known.get(row["fold"]) for row in result.data["models"]]
    return Distributions(axis, scores, shown[1] if shown else [], missing)


def _find_missing(found: Histograms, axis: Axis) -> list[str]:
    if not found.scores:
        return [NO_BENCHMARK]
    return [OTHER_BINS] if found.axis != axis else []
