"""Plot trained models: the loss and the areas under the ROC curves by epoch, and the ROC curves.

Each line is the mean over all folds and seeds, each band their standard deviation (divided by
their number, not by one less). Curves are those of the validation parts after the last epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10, sqrt
from pathlib import Path
from textwrap import fill
from typing import Any, Final, TypeAlias, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import AutoMinorLocator, MaxNLocator
from numpy.typing import NDArray

from ..data.shape import CLASSIFIER, Each, Maybe, check_data
from ..errors import DataError, SpecError
from ..job import Context
from ..result import RESULT, Attempt, Result, open_attempt
from ..spec import Cell, PlotSpec

Json: TypeAlias = Any
Floats: TypeAlias = NDArray[np.float64]
PARTS: Final = {"training": "#0072B2", "validation": "#D55E00"}
GUIDE_COLOUR: Final = "#999999"
TUNED: Final = "finetuning"
FEW_MODELS: Final = 6
COLUMNS: Final = 3
GRID: Final = 501
PANEL_INCHES: Final = (4.8, 4.6)
LABEL_LETTERS: Final = 44
DPI: Final = 150
FIGURES: Final = Maybe({"loss": Maybe(float), "auc": Each(Maybe(float))})
CURVE: Final = {"auc": Maybe(float), "false_positive": [float], "true_positive": [float]}
HISTORY: Final = {
    "stage": Maybe(str, needed=False),
    "epoch": int,
    "training": FIGURES,
    "validation": FIGURES,
}
TRAINED: Final = {
    "classifier": CLASSIFIER,
    "models": [
        {
            "history": [HISTORY],
            "rocs": Each(CURVE),
        }
    ],
}
STYLE: Final[dict[Any, Any]] = {
    "font.size": 12,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "xtick.major.pad": 6,
    "ytick.major.pad": 6,
    "ytick.right": True,
    "ytick.minor.visible": True,
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Models:
    """The models of some trainings of one classifier, seed by seed and fold by fold."""

    classifier: str
    rocs: list[Json]
    rows: list[Json]
    seeds: int

    @property
    def count(self) -> str:
        """How many: ``3 folds``, or ``6 models`` of several seeds."""
        word = "model" if self.seeds > 1 else "fold"
        return f"{len(self.rows)} {word}{'' if len(self.rows) == 1 else 's'}"

    @property
    def title(self) -> str:
        """What is shown: the classifier, how many models, and what line and band are."""
        seeds = f" of {self.seeds} seeds" if self.seeds > 1 else ""
        spread = ": mean ± standard deviation" if len(self.rows) > 1 else ""
        return f"{self.classifier}, {self.count}{seeds}{spread}"


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
    drawings = {"loss": draw_loss}
    if models.rocs:
        drawings |= {"roc": draw_rocs, "auc": draw_aucs}
    files: dict[str, Path] = {}
    for done, (name, draw) in enumerate(drawings.items(), 1):
        files[f"{name}.png"] = attempt.path(f"{name}.png")
        with mpl.rc_context(STYLE):
            FigureCanvasAgg(draw(models)).print_figure(
                files[f"{name}.png"], dpi=DPI, metadata={"Software": None}
            )
        context.events.progress(attempt.cell.id, "plot", done, len(drawings))
    attempt.commit(files, describe(models))


def load_models(results: Sequence[Result]) -> Models:
    """The models of the results; raises :class:`DataError` if they are of two classifiers."""
    if not results:
        raise SpecError("models: at least one is needed")
    first = results[0]
    for result in results:
        check_data(result, TRAINED)
        check_curves(result)
    for result in results[1:]:
        if result.data["classifier"] != first.data["classifier"]:
            raise DataError(
                f"{result.folder / RESULT}: has another classifier than {first.folder / RESULT}"
            )
    classifier = first.data["classifier"]
    rows = [row for result in results for row in result.data["models"]]
    return Models(classifier["name"], classifier["rocs"], rows, len(results))


def check_curves(result: Result) -> None:
    """Raises :class:`DataError` for a curve with an area whose axes do not go together."""
    for index, model in enumerate(result.data["models"]):
        for name, curve in model["rocs"].items():
            lengths = len(curve["false_positive"]), len(curve["true_positive"])
            if curve["auc"] is not None and (lengths[0] != lengths[1] or not lengths[0]):
                where = f"{result.folder / RESULT}: data.models[{index}].rocs.{name}"
                raise DataError(f"{where}: {lengths[0]} and {lengths[1]} points")


def describe(models: Models) -> dict[str, Json]:
    """Mean and spread of the last losses and areas; None where no model has one."""
    losses = {part: summarise(_last(row, part) for row in models.rows) for part in PARTS}
    names = [roc["name"] for roc in models.rocs]
    areas = {name: summarise(_area(row, name) for row in models.rows) for name in names}
    return {
        "models": len(models.rows),
        "seeds": models.seeds,
        "loss": losses,
        "auc": areas,
        "summary": [
            f"AUC {name} {format_spread(row['values'])} over {models.count}"
            for name, row in areas.items()
        ],
    }


def summarise(values: Iterable[float | None]) -> dict[str, Json]:
    """Mean, standard deviation (ddof 0), and the values by model."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    mean, std = (float(np.mean(known)), float(np.std(known))) if known else (None, None)
    return {"mean": mean, "std": std, "values": listed}


def format_spread(values: Iterable[float | None]) -> str:
    """Mean and standard deviation, the latter to two digits: ``0.736 ± 0.016``."""
    row = summarise(values)
    if row["mean"] is None:
        return "not measured"
    if len(row["values"]) == 1 or not row["std"]:
        return f"{row['mean']:.4f}"
    digits = min(max(1 - floor(log10(row["std"])), 2), 5)
    return f"{row['mean']:.{digits}f} ± {row['std']:.{digits}f}"


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
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    draw_epochs(axes, models, None)
    axes.set_ylabel("weighted mean cross-entropy [nat]")
    axes.set_title(models.title, fontsize="medium")
    return figure


def draw_aucs(models: Models) -> Figure:
    """The area under each ROC curve by epoch, a panel each."""
    figure, panels = make_panels(models)
    for axes, roc in zip(panels, models.rocs, strict=True):
        draw_epochs(axes, models, roc["name"])
        axes.set_ylabel("area under the ROC curve")
    return figure


def draw_rocs(models: Models) -> Figure:
    """The ROC curves of the validation parts, a panel each."""
    figure, panels = make_panels(models)
    for axes, roc in zip(panels, models.rocs, strict=True):
        draw_roc(axes, models, roc)
    return figure


def make_panels(models: Models) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each ROC curve."""
    count = len(models.rocs)
    columns = min(ceil(sqrt(count)), COLUMNS)
    rows = ceil(count / columns)
    size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(fill(models.title, LABEL_LETTERS * columns), fontsize="medium")
    panels = [figure.add_subplot(rows, columns, index + 1) for index in range(count)]
    for axes, roc in zip(panels, models.rocs, strict=True):
        axes.set_title(fill(roc["name"], LABEL_LETTERS), fontsize="medium")
    return figure, panels


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
    curves = [row["rocs"][name] for row in models.rows if _area(row, name) is not None]
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


def draw_nothing(axes: Axes, reason: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.text(0.5, 0.5, reason, ha="center", va="center", transform=axes.transAxes)
