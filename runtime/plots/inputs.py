"""The inputs of the network, class by class, of all events that were trained on or validated on."""

from __future__ import annotations

from textwrap import fill
from typing import Final

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..data.histograms import InputHistogram, merge_bins
from .bars import draw_outline, draw_range, format_lost, list_edges, make_bars
from .models import Models
from .style import COLOURS, LABEL_LETTERS, SMALL_PANEL_INCHES, draw_nothing, make_panels

COLUMNS: Final = 4
MOST_BINS: Final = 30


def group_inputs(inputs: list[InputHistogram]) -> dict[str, list[InputHistogram]]:
    """The inputs figure by figure, in their order."""
    groups: dict[str, list[InputHistogram]] = {}
    for row in inputs:
        groups.setdefault(row.group, []).append(row)
    return groups


def draw_inputs(models: Models, rows: list[InputHistogram]) -> Figure:
    """A panel for each input, a line for each class, whose weight is 1 in each."""
    title = f"{models.classifier}: inputs by class, each of weight 1; shaded: out of range"
    columns = min(len(rows), COLUMNS)
    figure, panels = make_panels(title, [""] * len(rows), columns, SMALL_PANEL_INCHES)
    drawn: dict[str, Artist] = {}
    for axes, row in zip(panels, rows, strict=True):
        found = draw_input(axes, row, models.classes)
        drawn |= {name: artist for name, artist in found.items() if name not in drawn}
    if drawn:
        figure.legend(drawn.values(), drawn, loc="outside lower center", ncols=len(drawn))
    return figure


def draw_input(axes: Axes, row: InputHistogram, classes: list[str]) -> dict[str, Artist]:
    """One input; gives the lines of the classes, by their names and the sums of their weights."""
    cells = merge_bins(row.cells, row.axis.bins // 2) if row.axis.bins > MOST_BINS else row.cells
    edges = list_edges(row.axis, cells.shape[-1] - 3)
    draw_range(axes, edges)
    drawn: dict[str, Artist] = {}
    for index, name in enumerate(classes):
        bars = make_bars(cells[index])
        if bars is not None:
            label = f"{name}: Σw {cells[index, 0].sum():.4g}{format_lost(bars)}"
            drawn[label] = draw_outline(axes, edges, bars, COLOURS[index % len(COLOURS)])
    axes.minorticks_off()  # ticks take half of the time, and 16 panels have many
    axes.set_xlabel(fill(row.axis.name, LABEL_LETTERS))
    axes.set_ylabel("part of the weight")
    if not drawn:
        draw_nothing(axes, "no events")
    return drawn
