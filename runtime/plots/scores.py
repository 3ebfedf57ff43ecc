"""The check for overtraining: the scores of each model in its training and its validation part.

They are counted in 1000 bins, which the distances are of, and drawn in 50.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..data.histograms import PARTS, SIDES, Axis, Distance, Floats, merge_bins
from .bars import draw_filled, draw_points, draw_range, format_lost, list_edges, make_bars
from .distributions import Distributions
from .models import Json, Models
from .style import COLOURS, LABEL_LETTERS, draw_nothing, make_panels

BINS: Final = 50
MOST_PANELS: Final = 12
COLUMNS: Final = 3
HEADROOM: Final = 1.5


def format_distance(found: Distance | None) -> str:
    """``KS 0.088 < 0.100``: what it is, and what 95% of samples of one distribution are below."""
    if found is None:
        return "KS not measured"
    sign = ">" if found.distance > found.usual else "<"
    return f"KS {found.distance:.3f} {sign} {found.usual:.3f}"


def draw_scores(models: Models, found: Distributions, index: int) -> Figure:
    """The scores of one ROC curve: a panel for each model, at most 12, those furthest apart."""
    shown = choose_models(found, index)
    count = sum(scores is not None for scores in found.scores)
    title = f"{models.rocs[index]['name']}: {models.classifier}; KS: how far apart the two "
    title += "parts are, and what 95 % of samples of one distribution are below"
    if len(shown) < count:
        title += f"; the {len(shown)} of {count} models that are furthest apart"
    names = [str(models.origins[model]) for model in shown]
    figure, panels = make_panels(title, names, min(len(shown), COLUMNS))
    for axes, (model, scores) in zip(panels, shown.items(), strict=True):
        draw_model(axes, scores[index], found.axis, found.distances(model, index))
        axes.set_xlabel(fill(describe_score(models.rocs[index]), LABEL_LETTERS))
        axes.set_ylabel("part of the weight")
    return figure


def choose_models(found: Distributions, roc: int) -> dict[int, Floats]:
    """The scores of the models to show, of those that were measured, in their order."""
    known = {model: scores for model, scores in enumerate(found.scores) if scores is not None}

    def rank(model: int) -> float:
        rows = found.distances(model, roc)
        return max((row.distance / row.usual for row in rows if row), default=0)

    chosen = sorted(known, key=rank, reverse=True)[:MOST_PANELS]
    return {model: known[model] for model in sorted(chosen)}


def draw_model(
    axes: Axes, scores: Floats, axis: Axis, distances: Sequence[Distance | None]
) -> None:
    """Both sides of one model: filled for the training part, points for the validation part.

    ``scores`` are those of one ROC curve: (parts, sides, Σ w and Σ w², cells).
    """
    cells = merge_bins(scores, BINS)
    edges = list_edges(axis, cells.shape[-1] - 3)
    draw_range(axes, edges)
    empty = True
    for side, name in enumerate(SIDES):
        distance = format_distance(distances[side])
        labels = {"training": f"{name}, training", "validation": f"{name}, validation: {distance}"}
        for part, draw in zip(PARTS, (draw_filled, draw_points), strict=True):
            bars = make_bars(cells[PARTS.index(part), side])
            if bars is not None:
                empty = False
                draw(axes, edges, bars, COLOURS[side], labels[part] + format_lost(bars))
    if empty:
        draw_nothing(axes, "no events")
    else:
        axes.set_ylim(top=axes.get_ylim()[1] * HEADROOM)
        axes.legend(fontsize="x-small", loc="upper center")


def describe_score(roc: Json) -> str:
    """What the score is of: ``P(ZZ, ZH)``, of events that are ZZ, ZH or data, ttbar."""
    positive, negative = (f"P({', '.join(roc[side])})" for side in SIDES)
    if roc.get("score") == "difference":
        return f"({positive} - {negative}) / 2 + 1/2"
    return f"{positive}, negative: {', '.join(roc['negative'])}"
