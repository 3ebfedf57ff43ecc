"""Prescales: one in n events of a sample, with the weights of all of them.

Which events are kept is a hash of their numbers, and the kept ones are scaled so that the sum of
weights over all that were read stays: over every file of a label in a dataset, so that neither
files nor the steps they are read in change anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import DataError, SpecError
from ..nn.folds import FoldRule, random_folds
from ..spec import Prescale
from .expression import Expression, parse

SEED: Final = "prescale"
EVENT: Final = "event"
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sums:
    """Of the events that a prescale is for: the sum of all weights, and of those it keeps."""

    read: float
    kept: float


@dataclass(frozen=True)
class Thinned:
    """What a prescale does with n entries: those ``among`` which it chooses, those it ``keeps``.

    ``weight`` (n) is that whose sum stays; entries that are not among them are all kept.
    """

    among: Mask
    keeps: Mask
    weight: NDArray[np.float64]


def add_weights(parts: Sequence[Thinned]) -> Sums:
    """The sums of all parts, rounded once, so that the parts' sizes do not matter."""
    read = (part.weight[part.among] for part in parts)
    kept = (part.weight[part.among & part.keeps] for part in parts)
    return Sums(*(math.fsum(chain.from_iterable(weights)) for weights in (read, kept)))


@dataclass(frozen=True)
class Thinning:
    """A prescale, ready to be applied to the entries of a file."""

    rule: FoldRule
    among: Expression | None
    weight: Expression

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches that it reads."""
        among = self.among.branches if self.among else ()
        return (EVENT, *among, *self.weight.branches)

    def apply(self, columns: Mapping[str, NDArray[Any]]) -> Thinned:
        """What it does with entries, whose branches are at hand."""
        event = torch.from_numpy(np.asarray(columns[EVENT]).astype(np.int64))
        shape = event.shape
        among = np.broadcast_to(
            np.True_ if self.among is None else self.among.evaluate(columns), shape
        )
        if among.dtype != np.bool_:
            raise SpecError("prescale: among is not true or false for each event")
        chosen = (self.rule.assign(event) == 0).numpy()
        weight = np.broadcast_to(self.weight.evaluate(columns), shape).astype(np.float64)
        return Thinned(among, chosen | ~among, weight)


def make_thinning(prescale: Prescale | None) -> Thinning | None:
    """What a prescale does; None for none, and for one in one. Raises :class:`SpecError`."""
    if prescale is None or prescale.by == 1:
        return None
    if prescale.by < 1:
        raise SpecError(f"prescale: by is {prescale.by}, not a number above 0")
    among = parse(prescale.among) if prescale.among else None
    return Thinning(random_folds(prescale.by, SEED, 0), among, parse(prescale.weight))


def find_factors(sums: Iterable[tuple[str, Sums]]) -> dict[str, float]:
    """What the kept events of each label are scaled by; raises :class:`DataError` for none kept."""
    parts: dict[str, list[Sums]] = {}
    for label, each in sums:
        parts.setdefault(label, []).append(each)
    total = {
        label: Sums(math.fsum(each.read for each in row), math.fsum(each.kept for each in row))
        for label, row in parts.items()
    }
    for label, part in total.items():
        if part.kept == 0 and part.read != 0:
            raise DataError(f"the prescale of {label} keeps no weight of {part.read:g}")
    return {label: part.read / part.kept if part.kept else 1.0 for label, part in total.items()}
