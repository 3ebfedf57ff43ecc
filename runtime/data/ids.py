"""Event ids: sample, run, luminosity block and event number, as columns that can be compared.

Ids are found equal by a 64-bit hash first and then exactly, so that a million of them take a
fraction of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

Integers = NDArray[np.int64]
MULTIPLIERS: Final = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
STEP: Final = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Ids:
    """The ids of n events; ``sample`` indexes a list of sample ids that is kept elsewhere."""

    sample: Integers
    run: Integers
    lumi: Integers
    event: Integers

    def __len__(self) -> int:
        return len(self.event)

    def take(self, index: NDArray[Any]) -> Ids:
        """The ids at these places, or where a mask is true."""
        return Ids(self.sample[index], self.run[index], self.lumi[index], self.event[index])

    def row(self, index: int) -> tuple[int, int, int, int]:
        """One id."""
        return tuple(int(column[index]) for column in self._columns())  # type: ignore[return-value]

    def describe(self, index: int, samples: Sequence[str]) -> str:
        """One id for a reader: ``ZZ4b/UL18 1:23:456``."""
        sample, run, lumi, event = self.row(index)
        return f"{samples[sample]} {run}:{lumi}:{event}"

    def hash(self) -> NDArray[np.uint64]:
        """A 64-bit hash of each id (the mixer of SplitMix64, column by column)."""
        state = np.zeros(len(self), np.uint64)
        for column in self._columns():
            state = (state ^ column.astype(np.uint64)) + np.uint64(STEP)
            for shift, multiplier in zip((30, 27), MULTIPLIERS, strict=True):
                state = (state ^ (state >> np.uint64(shift))) * np.uint64(multiplier)
            state ^= state >> np.uint64(31)
        return state

    def _columns(self) -> tuple[Integers, Integers, Integers, Integers]:
        return self.sample, self.run, self.lumi, self.event


def concatenate(parts: Sequence[Ids]) -> Ids:
    """All ids in a row."""
    if not parts:
        return Ids(*[np.zeros(0, np.int64)] * 4)
    columns = zip(*[(part.sample, part.run, part.lumi, part.event) for part in parts], strict=True)
    return Ids(*[np.concatenate(column).astype(np.int64) for column in columns])


def find_duplicate(ids: Ids) -> tuple[int, int] | None:
    """The places of the first event that comes again, and of the one before it; None if none."""
    hashes = ids.hash()
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    found = []
    for at in same:
        first, again = int(order[at]), int(order[at + 1])
        if ids.row(first) == ids.row(again):
            found.append((again, first))
    return min(found)[::-1] if found else None


def check_unique(parts: Sequence[Ids], paths: Sequence[object], samples: Sequence[str]) -> None:
    """Raises :class:`DataError` for an event that comes twice, naming where each part is from."""
    ids = concatenate(parts)
    pair = find_duplicate(ids)
    if pair is not None:
        ends = np.cumsum([len(part) for part in parts])
        first, again = (paths[int(np.searchsorted(ends, at, side="right"))] for at in pair)
        event = ids.describe(pair[0], samples)
        raise DataError(f"event {event} is read twice: {first} and {again}")


def find_common(ids: Ids, others: Ids) -> Integers:
    """The places in ``ids`` of those that are among ``others``, in order."""
    near = np.flatnonzero(np.isin(ids.hash(), others.hash()))
    if not len(near):
        return near
    suspects = others.take(np.isin(others.hash(), ids.take(near).hash()))
    rows = {suspects.row(index) for index in range(len(suspects))}
    return np.array([index for index in near.tolist() if ids.row(index) in rows], np.int64)
