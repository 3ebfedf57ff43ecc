"""The points that axes span, by number: the last axis runs fastest. None of them is kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product, repeat

from .values import AxisValue


class Grid:
    """Every combination of the values of some axes; without axes, one point."""

    def __init__(self, axes: Mapping[str, Sequence[AxisValue]]) -> None:
        self.axes = axes
        self.size = math.prod(map(len, axes.values()))
        self._strides: dict[str, int] = {}
        stride = self.size
        for name, values in axes.items():
            stride //= len(values) or 1
            self._strides[name] = stride

    def points(self) -> Iterator[dict[str, AxisValue]]:
        """All points, in order."""
        return (dict(zip(self.axes, point, strict=True)) for point in _spread(self.axes.values()))

    def point(self, number: int) -> dict[str, AxisValue]:
        """The point of a number."""
        steps = self._strides.items()
        return {
            name: self.axes[name][number // stride % len(self.axes[name])] for name, stride in steps
        }

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
        self.is_plain = all(steps.get(name) == grid.steps(name) for name in grid.axes)
        self.is_fixed = not steps
        self.size = grid.size

    def __iter__(self) -> Iterator[int]:
        if self.is_plain:
            return iter(range(self.size))
        if self.is_fixed:
            return repeat(0, self.size)
        axes = self._grid.axes.items()
        pools = [self._added.get(name) or repeat(0, len(values)) for name, values in axes]
        return map(sum, product(*pools))

    def __getitem__(self, number: int) -> int:
        strides = self._grid.strides()
        steps = self._added.items()
        return sum([step[number // strides[name] % len(step)] for name, step in steps])


def _spread(pools: Iterable[Sequence[AxisValue]]) -> Iterator[tuple[AxisValue, ...]]:
    """The product of the pools; one alone is not copied."""
    pools = list(pools)
    return zip(pools[0]) if len(pools) == 1 else product(*pools)
