"""Train results as plots read them: figures that follow from one value, histograms on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hcrc.runtime.data.histograms import SCORE, Axis, Histograms, InputHistogram
from hcrc.runtime.plots.distributions import Distributions, load_distributions
from hcrc.runtime.plots.models import Models, load_models
from hcrc.runtime.result import Result, load_result, open_attempt
from hcrc.runtime.tasks import plot

from .data_files import classifier, make_cell, make_context, reference, train_spec

EPOCHS = 4
ROCS = [{"name": f"ROC {i}", "positive": ["ttbar"], "negative": ["ZZ"]} for i in range(4)]
PT = Axis("pt [GeV]", 0, 100, 50)


def make_model(fold: int, value: float, *, measured: bool = True) -> dict[str, Any]:
    """A model whose figures follow from one value."""
    areas = {row["name"]: value for row in ROCS[:3]} | {"ROC 3": None}
    history = [
        {
            "epoch": epoch,
            "training": {"loss": 1 - value / (epoch + 1), "auc": areas} if measured else None,
            "validation": {"loss": 1.1 - value / (epoch + 1), "auc": areas} if measured else None,
        }
        for epoch in range(EPOCHS)
    ]
    rate = np.linspace(0, 1, 50)
    curve = {"false_positive": rate.tolist(), "true_positive": (rate ** (1 - value)).tolist()}
    rocs = {name: {**curve, "auc": area} for name, area in areas.items() if area is not None}
    empty = {"ROC 3": {"false_positive": [], "true_positive": [], "auc": None}}
    return {"fold": fold, "history": history, "rocs": rocs | empty}


def make_histograms(models: int, rocs: int = len(ROCS), axis: Axis = SCORE) -> Histograms:
    """Histograms that differ from model to model; the last curve has no events."""
    random = np.random.default_rng(models)
    scores = {}
    for fold in range(models):
        cells = random.normal(1, 1, (rocs, 2, 2, 2, axis.cells)) * np.linspace(1, 2, axis.cells)
        cells[..., 1, :] = np.abs(cells[..., 0, :]) + 0.1
        cells[..., -1] = 0
        cells[-1] = 0
        scores[fold] = cells
    cells = random.random((2, 2, PT.cells))
    return Histograms(axis, scores, [InputHistogram("some jets", PT, cells)])


def write_trained(
    folder: Path,
    values: list[float],
    histograms: Histograms | None = None,
    cell: str = "",
    **changes: Any,
) -> None:
    """A train result with no files but histograms; others are not read for plots."""
    data = {"classifier": classifier(rocs=ROCS), "kfolds": len(values)}
    data["models"] = [make_model(fold, value) for fold, value in enumerate(values)]
    name = cell or folder.name
    with open_attempt(make_cell("train", train_spec(folder), folder, name)) as attempt:
        files = {}
        if histograms is not None:
            files["histograms"] = attempt.path("histograms.npz")
            histograms.write(files["histograms"])
            data["histograms"] = histograms.describe()
        attempt.commit(files, data | changes)


def load(folder: Path, *names: str) -> tuple[Models, Distributions]:
    """What is plotted of some train results."""
    results = [load_result(folder / name / "result.json") for name in names]
    models = load_models(results)
    return models, load_distributions(results, models)


def run_plot(folder: Path, *names: str) -> Result:
    """The result of a plot of some train results."""
    spec = {"models": [reference(name, folder / name) for name in names]}
    plot.run([make_cell("plot", spec, folder / "plot")], make_context())
    return load_result(folder / "plot" / "result.json")
