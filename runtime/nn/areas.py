"""Areas under the ROC curves of scores that were written: those of a merge, or of one seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..data.columns import class_column, list_columns
from ..spec import Roc
from ..strict import read
from .benchmark import score
from .choose import Described
from .roc import roc

Json: TypeAlias = Any


def describe_events(
    data: Mapping[str, Json], label: NDArray[np.int32], columns: Mapping[str, NDArray[Any]]
) -> Described:
    """Events (N) by the classes of their classifier; a label that is none of them is -1.

    ``label`` (N) are indices of the labels in the data of the result that scored the events.
    """
    classes = data["classifier"]["classes"]
    numbers = [classes.index(name) if name in classes else -1 for name in data["labels"]]
    index = np.array([*numbers, -1], np.int64)
    return Described(classes, index[label], columns)


def measure_areas(
    data: Mapping[str, Json],
    events: Described,
    weight: NDArray[np.float64],
    parts: Sequence[NDArray[np.float32]],
) -> dict[str, float | None]:
    """The area under each ROC curve, over the events of its classes; None without any.

    ``parts`` are the columns ``p_…`` of the events, one part after the other. A curve of events
    that the columns at hand cannot select has no area either.
    """
    classifier = data["classifier"]
    columns = list_columns(classifier["classes"], classifier["outputs"])
    known = [name for name in columns if name.startswith("p_")]
    matrix = np.concatenate([np.zeros((0, len(known)), np.float32), *parts])
    own = [known.index(class_column(name)) for name in classifier["classes"]]
    probability = matrix[:, own].astype(np.float64)
    return {
        row["name"]: _area(read(Roc, row), events, weight, probability)
        for row in classifier["rocs"]
    }


def _area(
    curve: Roc, events: Described, weight: NDArray[np.float64], probability: NDArray[np.float64]
) -> float | None:
    positive, negative = (
        np.isin(events.label, [events.classes.index(name) for name in side])
        for side in (curve.positive, curve.negative)
    )
    used = positive | negative
    if curve.selection is not None:
        if not events.knows(curve.selection):
            return None
        used &= events.choose(curve.selection, f"ROC {curve.name}: selection")
    value = score(curve, events.classes, probability[used])
    return roc(value, positive[used], weight[used]).auc
