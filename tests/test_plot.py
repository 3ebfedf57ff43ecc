"""The plot task: the figures it gives, and the pictures it draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hcrc.runtime.data.histograms import Axis
from hcrc.runtime.errors import DataError
from hcrc.runtime.plots import curves
from hcrc.runtime.plots.distributions import load_distributions
from hcrc.runtime.plots.models import Models, collect, describe, format_spread, load_models
from hcrc.runtime.result import load_result
from hcrc.runtime.tasks import plot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .data_files import classifier, error_text, leftovers, mutate
from .plotting import EPOCHS, ROCS, make_histograms, make_model, run_plot, write_trained

HEADS = {".png": b"\x89PNG\r\n\x1a\n", ".pdf": b"%PDF-", ".html": b"<!DOCTYPE html>"}
FILES = ["auc.pdf", "auc.png", "index.html", "loss.pdf", "loss.png", "roc.pdf", "roc.png"]


def test_mean_and_spread_are_over_folds_and_seeds(tmp_path: Path) -> None:
    write_trained(tmp_path / "train0", [0.7, 0.8])
    write_trained(tmp_path / "train1", [0.6, 0.9])
    result = run_plot(tmp_path, "train0", "train1")
    values = [0.7, 0.8, 0.6, 0.9]
    row = result.data["auc"]["ROC 0"]
    assert row["values"] == values
    assert row["mean"] == pytest.approx(np.mean(values))
    assert row["std"] == pytest.approx(np.std(values))
    assert result.data["auc"]["ROC 3"] == {"mean": None, "std": None, "values": [None] * 4}
    losses = 1.1 - np.array(values) / EPOCHS
    assert result.data["loss"]["validation"]["mean"] == pytest.approx(losses.mean())
    assert (result.data["models"], result.data["seeds"]) == (4, 2)
    assert sorted(result.files) == FILES
    for name in result.files:
        head = HEADS[Path(name).suffix]
        assert result.path(name).read_bytes().startswith(head)


def test_epochs_of_a_fine_tuning_follow_those_of_the_training(tmp_path: Path) -> None:
    models = [make_model(fold, 0.7) for fold in range(2)]
    for model in models:
        for row in model["history"]:
            row["stage"] = "training" if row["epoch"] < 3 else "finetuning"
    write_trained(tmp_path / "train", [0.7, 0.8], models=models)
    write_trained(tmp_path / "plain", [0.7, 0.8])
    drawn = []
    for name in ("train", "plain"):
        loaded = load_models([load_result(tmp_path / name / "result.json")])
        assert collect(loaded, "validation", None).epochs.tolist() == [1, 2, 3, 4]
        (axes,) = curves.draw_loss(loaded).axes
        legend = [text.get_text() for text in axes.get_legend().get_texts()]
        drawn.append([line.get_xdata() for line in axes.lines if line.get_linestyle() == ":"])
        assert ("fine-tuning" in legend) is (name == "train")
    assert drawn == [[[3.5, 3.5]], []]


def test_lines_by_epoch_hold_what_was_measured() -> None:
    rows = [make_model(0, 0.5), make_model(1, 0.7, measured=False)]
    rows[0]["history"][1]["validation"] = None
    models = Models("small", ROCS[:1], rows, 1)
    series = collect(models, "validation", None)
    assert series.epochs.tolist() == [1, 3, 4]
    np.testing.assert_allclose(series.values[0], [0.6, 1.1 - 0.5 / 3, 1.1 - 0.5 / 4])
    assert np.isnan(series.values[1]).all()
    assert collect(models, "training", "ROC 0").values[0].tolist() == [0.5] * 4


def test_curves_are_interpolated_where_the_rate_steps_back() -> None:
    curve = {"false_positive": [0, 0.5, 0.4, 1], "true_positive": [0, 0.6, 0.7, 1]}
    grid = np.array([0, 0.25, 0.75, 1])
    np.testing.assert_allclose(curves.interpolate(curve, grid), [0, 0.3, 0.85, 1])


def test_a_panel_shows_mean_spread_and_area() -> None:
    models = Models("small", ROCS[:1], [make_model(0, 0.7), make_model(1, 0.8)], 1)
    (axes,) = curves.draw_rocs(models).axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["validation, AUC 0.750 ± 0.050"]
    assert axes.get_xlabel() == "false positive rate of ZZ"
    assert axes.get_ylabel() == "true positive rate of ttbar"
    assert models.title == "small, 2 folds: mean ± standard deviation"
    assert len(axes.lines) == 4


def test_the_lines_of_many_models_are_thin() -> None:
    for count, width in ((6, 0.7), (30, 0.3)):
        rows = [make_model(fold % 3, 0.5 + fold / 100) for fold in range(count)]
        models = Models("small", ROCS[:1], rows, count // 3)
        (axes,) = curves.draw_loss(models).axes
        widths = [line.get_linewidth() for line in axes.lines]
        assert widths == ([width] * count + [2]) * 2
        assert len(axes.collections) == 2
        assert models.title.startswith(f"small, {count} models of {count // 3} seeds: ")


def test_the_summary_has_a_line_for_each_curve(tmp_path: Path) -> None:
    write_trained(tmp_path / "train0", [0.7, 0.8])
    write_trained(tmp_path / "train1", [0.6, 0.9])
    results = [load_result(tmp_path / name / "result.json") for name in ("train0", "train1")]
    assert describe(load_models(results))["summary"] == [
        "AUC ROC 0 0.75 ± 0.11 over 4 models",
        "AUC ROC 1 0.75 ± 0.11 over 4 models",
        "AUC ROC 2 0.75 ± 0.11 over 4 models",
        "AUC ROC 3 not measured over 4 models",
    ]
    summary = describe(load_models(results[:1]))["summary"]
    assert summary[0] == "AUC ROC 0 0.750 ± 0.050 over 2 folds"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.7356], "0.7356"),
        ([0.5, 0.5], "0.5000"),
        ([0.71, 0.75], "0.730 ± 0.020"),
        ([0.7354, 0.7356], "0.73550 ± 0.00010"),
        ([0.1, None, 0.9], "0.50 ± 0.40"),
        ([None, None], "not measured"),
        ([], "not measured"),
    ],
)
def test_a_spread_has_two_digits(values: list[float | None], expected: str) -> None:
    assert format_spread(values) == expected


def test_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    names = ["$p_{4b", "$\\frac$" * 20]
    rocs = [{"name": name, "positive": ["$\\x$"], "negative": ["ZZ"]} for name in names]
    model = make_model(0, 0.7)
    write_trained(tmp_path / "train0", [], classifier=classifier(rocs=rocs), models=[model])
    assert sorted(run_plot(tmp_path, "train0").files) == FILES


def test_without_curves_or_epochs_there_is_still_a_plot(tmp_path: Path) -> None:
    model = {"fold": 0, "history": [], "rocs": {}}
    write_trained(tmp_path / "train0", [], classifier=classifier(rocs=[]), models=[model])
    result = run_plot(tmp_path, "train0")
    assert sorted(result.files) == ["index.html", "loss.pdf", "loss.png"]
    assert result.data["loss"]["training"]["mean"] is None


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_results_that_were_edited_are_drawn_or_refused_in_a_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("edited")
    few = make_histograms(1, axis=Axis("score", 0, 1, 3))
    write_trained(folder / "train0", [0.7], few)
    result = load_result(folder / "train0" / "result.json")
    result = replace(result, data=mutate(data, mutate(data, result.data)))

    def draw() -> None:
        models = load_models([result])
        found = load_distributions([result], models)
        describe(models), found.describe(models)
        for drawing in plot.list_drawings(models, found):
            drawing.draw()

    assert error_text(draw).isprintable()


def test_models_of_two_classifiers_are_refused(tmp_path: Path) -> None:
    write_trained(tmp_path / "train0", [0.7])
    write_trained(tmp_path / "train1", [0.7], classifier=classifier(name="other"))
    with pytest.raises(DataError) as error:
        run_plot(tmp_path, "train0", "train1")
    assert str(error.value) == (
        f"{tmp_path}/train1/result.json: has another classifier than {tmp_path}/train0/result.json"
    )
    assert leftovers(tmp_path / "plot") == []
