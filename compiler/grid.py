"""The points that axes span, by number: the last axis runs fastest. None of them is kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product, repeat

from .values import AxisValue


class Grid:
    """Every combination of the values of some axes; without axes, one point.

    ``kept``, if it is given, are the places, among all combinations, of those that there are.
    """

    def __init__(
        self, axes: Mapping[str, Sequence[AxisValue]], kept: Sequence[int] | None = None
    ) -> None:
        self.axes = axes
        self.kept = kept
        self.span = math.prod(map(len, axes.values()))
        self.size = self.span if kept is None else len(kept)
        self._strides: dict[str, int] = {}
        stride = self.span
        for name, values in axes.items():
            stride //= len(values) or 1
            self._strides[name] = stride

    def points(self) -> Iterator[dict[str, AxisValue]]:
        """All points, in order."""
        if self.kept is not None:
            return map(self.point, range(self.size))
        return (dict(zip(self.axes, point, strict=True)) for point in _spread(self.axes.values()))

    def point(self, number: int) -> dict[str, AxisValue]:
        """The point of a number."""
        number = self.place(number)
        steps = self._strides.items()
        return {
            name: self.axes[name][number // stride % len(self.axes[name])] for name, stride in steps
        }

    def place(self, number: int) -> int:
        """Where a point is among all combinations."""
        return number if self.kept is None else self.kept[number]

    @cached_property
    def ranks(self) -> Mapping[int, int]:
        """The numbers of the points that are kept, by their places among all combinations."""
        return {place: number for number, place in enumerate(self.kept or ())}

    def steps(self, name: str) -> range:
        """What each value of an axis adds to the number of a point."""
        stride = self._strides[name]
        return range(0, len(self.axes[name]) * stride, stride)

    def part(self, names: Iterable[str]) -> Grid:
        """The grid of some of the axes."""
        return Grid({name: self.axes[name] for name in names})

    def places(self, part: Grid) -> Places:
        """Of each point, the number of its place in a grid of some of the axes."""
        return Places(self, {name: part.steps(name) for name in part.axes})

    def strides(self) -> Mapping[str, int]:
        """How far apart the numbers of neighbours on each axis are."""
        return self._strides


class Places:
    """A number for each point of a grid: the sum of what its value on each axis adds."""

    def __init__(self, grid: Grid, steps: Mapping[str, Sequence[int]]) -> None:
        self._grid = grid
        self._added = steps
        self.is_plain = grid.kept is None and all(
            steps.get(name) == grid.steps(name) for name in grid.axes
        )
        self.is_fixed = not steps
        self.size = grid.size

    def __iter__(self) -> Iterator[int]:
        if self.is_plain:
            return iter(range(self.size))
        if self.is_fixed:
            return repeat(0, self.size)
        axes = self._grid.axes.items()
        pools = [self._added.get(name) or repeat(0, len(values)) for name, values in axes]
        if self._grid.kept is not None:
            return map(self.__getitem__, range(self.size))
        return map(sum, product(*pools))

    def __getitem__(self, number: int) -> int:
        number = self._grid.place(number)
        strides = self._grid.strides()
        steps = self._added.items()
        return sum([step[number // strides[name] % len(step)] for name, step in steps])


class Ranked(Places):
    """Places in a grid with gaps, as the numbers of its points."""

    def __init__(self, places: Places, ranks: Mapping[int, int]) -> None:
        self._places = places
        self._ranks = ranks
        self.is_plain = False
        self.is_fixed = places.is_fixed
        self.size = places.size

    def __iter__(self) -> Iterator[int]:
        return map(self._ranks.__getitem__, self._places)

    def __getitem__(self, number: int) -> int:
        return self._ranks[self._places[number]]


def _spread(pools: Iterable[Sequence[AxisValue]]) -> Iterator[tuple[AxisValue, ...]]:
    """The product of the pools; one alone is not copied."""
    pools = list(pools)
    return zip(pools[0]) if len(pools) == 1 else product(*pools)
