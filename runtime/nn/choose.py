"""Which events a loss and a ROC curve take: expressions over labels and cached columns.

In an expression ``label`` is an event's class, each class is a name to compare it with, and the
other names are columns of the cache: ``(kl == 1) | (label != ggF)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..data.expression import parse
from ..errors import SpecError
from ..spec import Classifier

LABEL: Final = "label"
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Described:
    """What is known of N events: labels (N) as indices of ``classes``, and columns (N) by name."""

    classes: Sequence[str]
    label: NDArray[np.integer[Any]]
    columns: Mapping[str, NDArray[Any]]

    @property
    def names(self) -> dict[str, NDArray[Any]]:
        """What an expression may name."""
        classes = {name: np.asarray(index) for index, name in enumerate(self.classes)}
        return {**classes, **self.columns, LABEL: self.label}

    def knows(self, text: str) -> bool:
        """Whether everything that an expression names is known; raises :class:`SpecError`."""
        return self.names.keys() >= set(parse(text).branches)

    def choose(self, text: str, where: str) -> Mask:
        """The events (N) for which an expression holds; raises :class:`SpecError`."""
        known = self.names
        try:
            expression = parse(text)
            for name in expression.branches:
                if name not in known:
                    raise SpecError(
                        f"there is no column {name!r}; there are {', '.join(sorted(known))}"
                    )
            value = expression.evaluate(known)
        except SpecError as error:
            raise SpecError(f"{where}: {error}") from error
        if value.dtype != np.bool_:
            raise SpecError(f'{where}: "{text}" is not true or false for each event')
        return np.broadcast_to(value, self.label.shape).copy()


@dataclass(frozen=True)
class Counting:
    """Which events count in a loss: ``total`` (N) in Σ w, ``entropy`` (N) in Σ w·ce."""

    total: Mask
    entropy: Mask


def count_events(classifier: Classifier, events: Described) -> Counting | None:
    """What the loss of a classifier takes; None for everything."""
    loss, where = classifier.loss, f"classifier {classifier.name}: loss"
    if loss is None:
        return None
    total = np.ones(len(events.label), np.bool_)
    if loss.selection is not None:
        total = events.choose(loss.selection, f"{where}.selection")
    entropy = total.copy()
    for index, mask in enumerate(loss.masks):
        place = f"{where}.masks[{index}]"
        for name in mask.classes:
            if name not in events.classes:
                raise SpecError(f"{place}: there is no class {name!r}")
        masked = [events.classes.index(name) for name in mask.classes]
        chosen = events.choose(mask.selection, f"{place}.selection")
        entropy &= ~(chosen & np.isin(events.label, masked))
    return Counting(total, entropy)


def choose_for_rocs(classifier: Classifier, events: Described) -> dict[str, Mask]:
    """The events (N) of each ROC curve that takes only some, by its name."""
    where = f"classifier {classifier.name}: ROC"
    return {
        roc.name: events.choose(roc.selection, f"{where} {roc.name}: selection")
        for roc in classifier.rocs
        if roc.selection is not None
    }
