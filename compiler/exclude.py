"""Combinations of axes that a task leaves out: its ``exclude``, and cells that others lack.

In come the axes and the exclusions as written, out come the numbers of the points that are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from .diagnostics import Diagnostic, Note, suggest
from .folders import axis_text
from .grid import Grid
from .nodes import Mapping as MappingNode
from .nodes import Node, Scalar
from .nodes import Sequence as SequenceNode
from .ranges import range_of
from .values import AxisValue
from .workflow import Axis

MAX_SHOWN: Final = 5
Point = Mapping[str, AxisValue]


class Exclusion(NamedTuple):
    """Texts of values by axis: a point with one of them on each of these axes is left out."""

    values: dict[str, set[str]]
    node: Node
    notes: tuple[Note, ...]

    def matches(self, texts: Mapping[str, str]) -> bool:
        """Whether a point, by the texts of its values, is left out."""
        return all(texts[name] in allowed for name, allowed in self.values.items())


def read_exclusions(
    node: Node | None, axes: Mapping[str, Axis]
) -> tuple[list[Exclusion], list[Diagnostic]]:
    """The exclusions of a filled ``exclude``."""
    found: list[Exclusion] = []
    wrong: list[Diagnostic] = []
    for item in node.items if isinstance(node, SequenceNode) else ():
        values: dict[str, set[str]] = {}
        notes: list[Note] = []
        for name, entry in item.items() if isinstance(item, MappingNode) else ():
            if name not in axes:
                message = f'the task has no axis "{name}"'
                help = suggest(name, axes) or 'say the axes in "for"'
                wrong.append(Diagnostic("unknown-axis", message, entry.key.span, help))
                continue
            values[name], problems = _texts(entry.value, axes[name])
            notes += entry.value.notes
            wrong += problems
        found.append(Exclusion(values, item, tuple(dict.fromkeys(notes))))
    return found, wrong


def _texts(node: Node, axis: Axis) -> tuple[set[str], list[Diagnostic]]:
    """The texts of values that an exclusion names; each has to be one of the axis."""
    known = {axis_text(value): value for value in axis.values}
    items = node.items if isinstance(node, SequenceNode) else (node,)
    scalars = [item for item in items if isinstance(item, Scalar) and item.value is not None]
    texts = {axis_text(item.value): item for item in scalars if item.value is not None}
    if isinstance(node, Scalar) and not set(texts) <= set(known) and _is_integers(axis):
        values = range_of(node)
        wrong = [value for value in values if isinstance(value, Diagnostic)]
        if wrong:
            return set(), wrong
        texts = {str(value): node for value in values}
    missing = [(text, item) for text, item in texts.items() if text not in known]
    help = f"its values: {', '.join(list(known)[:20])}"
    return set(texts), [
        Diagnostic(
            "missing-cell",
            f'the axis "{axis.name}" has no value {text}',
            item.span,
            help,
            item.notes,
        )
        for text, item in missing
    ]


def _is_integers(axis: Axis) -> bool:
    return all(type(value) is int for value in axis.values)


class _Shared:
    """What a grid with gaps has on the axes that it shares with others, by the values' texts."""

    def __init__(self, grid: Grid, axes: Collection[str]) -> None:
        self.names = [name for name in grid.axes if name in axes]
        self.there = {
            tuple([axis_text(point[name]) for name in self.names]) for point in grid.points()
        }

    def has(self, texts: Mapping[str, str]) -> bool:
        """Whether there is any cell at the values of a point."""
        return tuple([texts[name] for name in self.names]) in self.there


def keep_points(
    axes: Mapping[str, Sequence[AxisValue]],
    exclusions: Sequence[Exclusion],
    others: Iterable[Grid],
) -> tuple[list[int] | None, list[Diagnostic]]:
    """The numbers of the points that stay, None for all, and exclusions that leave nothing out.

    A point stays if each of ``others``, the grids of the tasks that are read, has a cell for it.
    """
    sparse = [_Shared(grid, axes) for grid in others if grid.kept is not None]
    if not exclusions and not sparse:
        return None, []
    kept: list[int] = []
    unmatched = list(exclusions)
    grid = Grid(axes)
    for number, point in enumerate(grid.points()):
        texts = _texts_of(point)
        if not all(shared.has(texts) for shared in sparse):
            continue
        matching = [item for item in exclusions if item.matches(texts)]
        unmatched = [item for item in unmatched if item not in matching]
        if not matching:
            kept.append(number)
    found = [
        Diagnostic(
            "unmatched-exclusion", "this leaves no cell out", item.node.span, notes=item.notes
        )
        for item in unmatched
    ]
    return None if len(kept) == grid.size else kept, found


def check_results(grid: Grid, at: Scalar, results: Grid) -> list[Diagnostic]:
    """Whether there is a result for each point of a task that is not left out."""
    there = _Shared(results, grid.axes)
    missing = [_show(point) for point in map(_texts_of, grid.points()) if not there.has(point)]
    if not missing:
        return []
    more = f", nor for {len(missing) - 1:,} more" if missing[1:] else ""
    message = f"there is no result below {at.text} for {missing[0]}{more}"
    shown = missing[:MAX_SHOWN] + ["…"] * (len(missing) > MAX_SHOWN)
    help = f"make it, or leave it out: exclude: [{', '.join(shown)}]"
    return [Diagnostic("missing-result", message, at.span, help, at.notes)]


def _texts_of(point: Point) -> dict[str, str]:
    return {name: axis_text(value) for name, value in point.items()}


def _show(texts: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}: {text}" for name, text in texts.items()) + "}"
