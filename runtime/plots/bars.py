"""Histograms as they are drawn: as parts of all weight, with what is out of range beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from ..data.histograms import Axis, Floats
from .style import GUIDE_COLOUR


@dataclass(frozen=True)
class Bars:
    """Parts of the weight and their uncertainties, (bins + 2): below the range, in it, above it.

    ``lost`` is the part that is not a number, in addition.
    """

    height: Floats
    error: Floats
    lost: float


def make_bars(cells: Floats) -> Bars | None:
    """The bars of a histogram (2, cells); None without weight, of which there can be no parts."""
    total = cells[0, :-1].sum()
    if total <= 0:
        return None
    height, error = cells[0, :-1] / total, np.sqrt(cells[1, :-1]) / total
    return Bars(height, error, float(cells[0, -1] / total))


def format_lost(bars: Bars) -> str:
    """What to say of the part that is not a number, if there is one."""
    return f" (and {bars.lost:.2%} NaN)" if bars.lost else ""


def list_edges(axis: Axis, bins: int) -> Floats:
    """The edges of the bars: one bin more at either end, for what is out of range."""
    width = (axis.high - axis.low) / bins
    return axis.low + width * np.arange(-1.0, bins + 2)


def draw_range(axes: Axes, edges: Floats) -> None:
    """Shade where the bars of what is out of range stand."""
    for low, high in (edges[:2], edges[-2:]):
        axes.axvspan(low, high, color=GUIDE_COLOUR, alpha=0.2, linewidth=0)
    axes.set_xlim(edges[0], edges[-1])


def draw_outline(axes: Axes, edges: Floats, bars: Bars, colour: str) -> Artist:
    """A line along the tops of the bars."""
    line: Artist = axes.stairs(bars.height, edges, color=colour, linewidth=1.3)
    return line


def draw_filled(axes: Axes, edges: Floats, bars: Bars, colour: str, label: str) -> None:
    """Bars that are filled, lightly."""
    axes.stairs(bars.height, edges, color=colour, fill=True, alpha=0.3, label=label)


def draw_points(axes: Axes, edges: Floats, bars: Bars, colour: str, label: str) -> None:
    """Points with their uncertainties, where there is something."""
    some = bars.error > 0
    middle = (edges[1:] + edges[:-1]) / 2
    axes.errorbar(
        middle[some],
        bars.height[some],
        bars.error[some],
        fmt="o",
        markersize=2.5,
        linewidth=0.8,
        color=colour,
        label=label,
    )
