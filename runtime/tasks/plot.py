"""Plot trained models: the loss and the areas under the ROC curves by epoch, and the ROC curves.

Each line is the mean over all folds and seeds, each band their standard deviation (divided by
their number, not by one less). Curves are those of the validation parts after the last epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..errors import DataError
from ..job import Context
from ..result import RESULT, Attempt, Result, open_attempt
from ..spec import Cell, PlotSpec

Json: TypeAlias = Any
Floats: TypeAlias = NDArray[np.float64]
PARTS: Final = {"training": "#0072B2", "validation": "#D55E00"}
CURVE_COLOUR: Final = "#0072B2"
GUIDE_COLOUR: Final = "#999999"
SINGLE_LINES: Final = 12
COLUMNS: Final = 3
GRID: Final = 501
PANEL_INCHES: Final = (4.4, 4.0)
DPI: Final = 150


@dataclass(frozen=True)
class Models:
    """The models of some trainings of one classifier, seed by seed and fold by fold."""

    classifier: str
    rocs: list[str]
    rows: list[Json]
    seeds: int

    @property
    def title(self) -> str:
        """What is shown: the classifier, and how many models."""
        folds, left = divmod(len(self.rows), self.seeds)
        seeds = f"{self.seeds} seed{'s' if self.seeds > 1 else ''}"
        count = f"{len(self.rows)} models of {seeds}" if left else f"{folds} folds × {seeds}"
        return f"{self.classifier}: {count}"


@dataclass(frozen=True)
class Series:
    """A figure by epoch: the finished epochs (n), and each model's values (models, n), or NaN."""

    epochs: NDArray[np.int64]
    values: Floats


def run(cells: list[Cell], context: Context) -> None:
    """Make the result of each cell."""
    for cell in cells:
        with open_attempt(cell) as attempt:
            plot(attempt, context)


def plot(attempt: Attempt, context: Context) -> None:
    """Draw the plots of a plot cell and commit them."""
    spec = cast(PlotSpec, attempt.cell.spec)
    models = load_models([attempt.read_result(ref.result, ref.hash) for ref in spec.models])
    figures = {"loss": draw_loss(models)}
    if models.rocs:
        figures |= {"roc": draw_rocs(models), "auc": draw_aucs(models)}
    files: dict[str, Path] = {}
    for done, (name, figure) in enumerate(figures.items(), 1):
        files[f"{name}.png"] = attempt.path(f"{name}.png")
        FigureCanvasAgg(figure).print_figure(
            files[f"{name}.png"], dpi=DPI, metadata={"Software": None}
        )
        context.events.progress(attempt.cell.id, "plot", done, len(figures))
    attempt.commit(files, describe(models))


def load_models(results: Sequence[Result]) -> Models:
    """The models of the results; raises :class:`DataError` if they are of two classifiers."""
    first = results[0]
    for result in results[1:]:
        if result.data["classifier"] != first.data["classifier"]:
            raise DataError(
                f"{result.folder / RESULT}: has another classifier than {first.folder / RESULT}"
            )
    classifier = first.data["classifier"]
    rocs = [row["name"] for row in classifier["rocs"]]
    rows = [row for result in results for row in result.data["models"]]
    return Models(classifier["name"], rocs, rows, len(results))


def describe(models: Models) -> dict[str, Json]:
    """Mean and spread of the last losses and areas; None where no model has one."""
    losses = {part: [_last(row, part) for row in models.rows] for part in PARTS}
    areas = {name: [_area(row, name) for row in models.rows] for name in models.rocs}
    return {
        "models": len(models.rows),
        "seeds": models.seeds,
        "loss": {part: summarise(values) for part, values in losses.items()},
        "auc": {name: summarise(values) for name, values in areas.items()},
    }


def summarise(values: Iterable[float | None]) -> dict[str, Json]:
    """Mean, standard deviation (ddof 0), and the values by model."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    mean, std = (float(np.mean(known)), float(np.std(known))) if known else (None, None)
    return {"mean": mean, "std": std, "values": listed}


def _last(row: Json, part: str) -> float | None:
    figures = row["history"][-1][part] if row["history"] else None
    return figures["loss"] if figures else None


def _area(row: Json, name: str) -> float | None:
    area: float | None = row["rocs"].get(name, {}).get("auc")
    return area


def collect(models: Models, part: str, roc: str | None) -> Series:
    """The loss, or the area of a ROC curve, of a part by epoch, for each model."""
    epochs = sorted({row["epoch"] for model in models.rows for row in model["history"]})
    values = np.full((len(models.rows), len(epochs)), np.nan)
    for index, model in enumerate(models.rows):
        for row in model["history"]:
            figures = row[part] or {"loss": None, "auc": {}}
            value = figures["loss"] if roc is None else figures["auc"].get(roc)
            if value is not None:
                values[index, epochs.index(row["epoch"])] = value
    measured = ~np.isnan(values).all(axis=0)
    return Series(np.array(epochs, np.int64)[measured] + 1, values[:, measured])


def draw_loss(models: Models) -> Figure:
    """Training and validation loss by epoch."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.add_subplot()
    draw_epochs(axes, models, None)
    axes.set_ylabel("weighted cross-entropy")
    axes.set_title(models.title, fontsize="medium")
    return figure


def draw_aucs(models: Models) -> Figure:
    """The area under each ROC curve by epoch, a panel each."""
    figure, panels = make_panels(models)
    for axes, name in zip(panels, models.rocs, strict=True):
        draw_epochs(axes, models, name)
        axes.set_ylabel("AUC")
        axes.set_title(name, fontsize="medium")
    return figure


def draw_rocs(models: Models) -> Figure:
    """The ROC curves, a panel each."""
    figure, panels = make_panels(models)
    for axes, name in zip(panels, models.rocs, strict=True):
        draw_roc(axes, models, name)
        axes.set_title(name, fontsize="medium")
    return figure


def make_panels(models: Models) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each ROC curve."""
    count = len(models.rocs)
    columns = min(ceil(sqrt(count)), COLUMNS)
    rows = ceil(count / columns)
    size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(models.title)
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(count)]


def draw_epochs(axes: Axes, models: Models, roc: str | None) -> None:
    """Lines by epoch for the training and the validation parts."""
    drawn = False
    for part, colour in PARTS.items():
        series = collect(models, part, roc)
        if len(series.epochs):
            drawn = True
            draw_band(axes, series.epochs, series.values, colour, part)
    axes.set_xlabel("finished epochs")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    if drawn:
        axes.legend(frameon=False)
    else:
        draw_nothing(axes, "not measured")


def draw_roc(axes: Axes, models: Models, name: str) -> None:
    """One ROC curve: each model, the mean true positive rate, and its spread."""
    curves = [row["rocs"][name] for row in models.rows if _area(row, name) is not None]
    axes.plot([0, 1], [0, 1], color=GUIDE_COLOUR, linestyle=":", linewidth=1)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.grid(alpha=0.25)
    if not curves:
        draw_nothing(axes, "no events")
        return
    grid = np.linspace(0, 1, GRID)
    values = np.stack([interpolate(curve, grid) for curve in curves])
    areas = np.array([curve["auc"] for curve in curves])
    label = f"AUC = {areas.mean():.4f} ± {areas.std():.4f}"
    draw_band(axes, grid, values, CURVE_COLOUR, label)
    axes.legend(loc="lower right", frameon=False)


def interpolate(curve: Json, grid: Floats) -> Floats:
    """True positive rates at the false positive rates of a grid.

    With negative weights the rate of false positives may step back; it is held until it passes.
    """
    false_positive = np.maximum.accumulate(np.asarray(curve["false_positive"], np.float64))
    return np.interp(grid, false_positive, np.asarray(curve["true_positive"], np.float64))


def draw_band(axes: Axes, x: NDArray[Any], values: Floats, colour: str, label: str) -> None:
    """Mean and spread of the rows, and each of them as a thin line if they are few."""
    mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    few = 1 < len(values) <= SINGLE_LINES
    for row in values if few else ():
        axes.plot(x, row, color=colour, linewidth=0.6, alpha=0.45)
    if len(values) > 1:
        axes.fill_between(x, mean - std, mean + std, color=colour, alpha=0.2, linewidth=0)
    marker = "o" if len(x) < 3 else None
    axes.plot(x, mean, color=colour, linewidth=1.8, marker=marker, label=label)


def draw_nothing(axes: Axes, reason: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.text(0.5, 0.5, reason, ha="center", va="center", transform=axes.transAxes)
