"""The loss and the areas under the ROC curves by epoch, and the ROC curves.

Each line is the mean over all folds and seeds, each band their standard deviation (divided by
their number, not by one less). Curves are those of the validation parts after the last epoch.
"""

from __future__ import annotations

from math import ceil, sqrt
from textwrap import fill
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoMinorLocator, MaxNLocator
from numpy.typing import NDArray

from .models import Floats, Json, Models, area, collect, format_spread
from .style import GUIDE_COLOUR, LABEL_LETTERS, PARTS, draw_nothing, make_panels

TUNED: Final = "finetuning"
FEW_MODELS: Final = 6
COLUMNS: Final = 3
GRID: Final = 501


def draw_loss(models: Models) -> Figure:
    """Training and validation loss by epoch."""
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    draw_epochs(axes, models, None)
    axes.set_ylabel("weighted mean cross-entropy [nat]")
    axes.set_title(models.title, fontsize="medium")
    return figure


def draw_aucs(models: Models) -> Figure:
    """The area under each ROC curve by epoch, a panel each."""
    figure, panels = make_roc_panels(models)
    for axes, roc in zip(panels, models.rocs, strict=True):
        draw_epochs(axes, models, roc["name"])
        axes.set_ylabel("area under the ROC curve")
    return figure


def draw_rocs(models: Models) -> Figure:
    """The ROC curves of the validation parts, a panel each."""
    figure, panels = make_roc_panels(models)
    for axes, roc in zip(panels, models.rocs, strict=True):
        draw_roc(axes, models, roc)
    return figure


def make_roc_panels(models: Models) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each ROC curve."""
    names = [roc["name"] for roc in models.rocs]
    return make_panels(models.title, names, min(ceil(sqrt(len(names))), COLUMNS))


def draw_epochs(axes: Axes, models: Models, roc: str | None) -> None:
    """Lines by epoch for the training and the validation parts."""
    drawn = False
    for part, colour in PARTS.items():
        series = collect(models, part, roc)
        if len(series.epochs):
            drawn = True
            last = series.values[:, -1]
            label = f"{part} {format_spread(last[~np.isnan(last)])}"
            draw_band(axes, series.epochs, series.values, colour, label)
    axes.set_xlabel("finished epochs")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if drawn:
        draw_fine_tuning(axes, models)
        axes.legend()
    else:
        draw_nothing(axes, "not measured")


def draw_fine_tuning(axes: Axes, models: Models) -> None:
    """A line before the first epoch of each fine-tuning, which goes on counting the epochs."""
    tuned = [[r["epoch"] for r in row["history"] if r.get("stage") == TUNED] for row in models.rows]
    label = "fine-tuning"
    for epoch in sorted({min(epochs) for epochs in tuned if epochs}):
        axes.axvline(epoch + 0.5, color=GUIDE_COLOUR, linestyle=":", linewidth=1, label=label)
        label = "_"


def draw_roc(axes: Axes, models: Models, roc: Json) -> None:
    """One ROC curve: each model, the mean true positive rate, and its spread."""
    name = roc["name"]
    curves = [row["rocs"][name] for row in models.rows if area(row, name) is not None]
    axes.plot([0, 1], [0, 1], color=GUIDE_COLOUR, linestyle=":", linewidth=1)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel(fill(f"false positive rate of {', '.join(roc['negative'])}", LABEL_LETTERS))
    axes.set_ylabel(fill(f"true positive rate of {', '.join(roc['positive'])}", LABEL_LETTERS))
    axes.xaxis.set_minor_locator(AutoMinorLocator())
    if not curves:
        draw_nothing(axes, "no events")
        return
    grid = np.linspace(0, 1, GRID)
    values = np.stack([interpolate(curve, grid) for curve in curves])
    label = f"validation, AUC {format_spread(curve['auc'] for curve in curves)}"
    draw_band(axes, grid, values, PARTS["validation"], label)
    axes.legend(loc="lower right")


def interpolate(curve: Json, grid: Floats) -> Floats:
    """True positive rates at the false positive rates of a grid.

    With negative weights the rate of false positives may step back; it is held until it passes.
    """
    false_positive = np.maximum.accumulate(np.asarray(curve["false_positive"], np.float64))
    return np.interp(grid, false_positive, np.asarray(curve["true_positive"], np.float64))


def draw_band(axes: Axes, x: NDArray[Any], values: Floats, colour: str, label: str) -> None:
    """Mean and spread of the rows, and each of them as a line: the more there are, the thinner."""
    mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    marker = "o" if len(x) < 3 else None
    if len(values) > 1:
        few = len(values) <= FEW_MODELS
        width, alpha = (0.7, 0.6) if few else (0.3, 0.25)
        axes.fill_between(x, mean - std, mean + std, color=colour, alpha=0.25, linewidth=0)
        axes.plot(x, values.T, color=colour, linewidth=width, alpha=alpha)
    axes.plot(x, mean, color=colour, linewidth=2, marker=marker, label=label)
