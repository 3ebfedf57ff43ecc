"""The plots of scores and inputs, and what a plot says of what is not there."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from hcrc.runtime.data.histograms import SCORE, Axis, Histograms, compare
from hcrc.runtime.errors import DataError
from hcrc.runtime.plots import style
from hcrc.runtime.plots.bars import list_edges, make_bars
from hcrc.runtime.plots.distributions import Distributions
from hcrc.runtime.plots.inputs import draw_inputs
from hcrc.runtime.plots.models import Models, Origin
from hcrc.runtime.plots.scores import choose_models, draw_scores, format_distance
from hcrc.runtime.result import load_result
from hcrc.runtime.tasks.plot import list_drawings
from matplotlib.patches import StepPatch

from .plotting import ROCS, load, make_histograms, make_model, run_plot, write_trained


@pytest.fixture(scope="module")
def plotted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training and its plot."""
    folder = tmp_path_factory.mktemp("plotted")
    write_trained(folder / "train0", [0.7, 0.8], make_histograms(2))
    run_plot(folder, "train0")
    return folder


def test_all_figures_are_there_as_png_and_pdf(plotted: Path) -> None:
    result = load_result(plotted / "plot" / "result.json")
    names = ["loss", "roc", "auc", *(f"scores-{i}" for i in range(1, 5)), "inputs-1"]
    assert list(result.files) == [
        "index.html",
        *(f"{name}.{kind}" for name in names for kind in ("png", "pdf")),
    ]
    for name in names:
        assert result.path(f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert result.path(f"{name}.pdf").read_bytes().startswith(b"%PDF-")


def test_the_distances_are_in_the_result(plotted: Path) -> None:
    row = load_result(plotted / "plot" / "result.json").data["ks"]
    values = []
    for cells in make_histograms(2).scores.values():
        found = compare(cells[1, 0, 1], cells[1, 1, 1])
        assert found is not None
        values.append(found.distance)
    assert row["ROC 1"]["negative"]["values"] == pytest.approx(values, rel=1e-4)
    assert row["ROC 1"]["negative"]["mean"] == pytest.approx(np.mean(values), rel=1e-4)
    assert row["ROC 3"]["positive"] == {"mean": None, "std": None, "values": [None, None]}


def test_the_same_results_make_the_same_files(plotted: Path) -> None:
    first = load_result(plotted / "plot" / "result.json").files
    second = run_plot(plotted, "train0").files
    assert {n: f.sha256 for n, f in first.items()} == {n: f.sha256 for n, f in second.items()}


def test_a_panel_shows_both_parts_of_both_sides(tmp_path: Path) -> None:
    histograms = make_histograms(2)
    write_trained(tmp_path / "train0", [0.7, 0.8], histograms, cell="train[offset=3]")
    models, found = load(tmp_path, "train0")
    panels = draw_scores(models, found, 0).axes
    assert [axes.get_title() for axes in panels] == [f"train[offset=3], fold {i}" for i in (0, 1)]
    cells = histograms.scores[1][0]
    distances = [compare(cells[0, side], cells[1, side]) for side in (0, 1)]
    legend = panels[1].get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {
        "positive, training",
        "negative, training",
        f"positive, validation: {format_distance(distances[0])}",
        f"negative, validation: {format_distance(distances[1])}",
    }
    filled = [patch for patch in panels[1].patches if isinstance(patch, StepPatch)]
    heights, edges, _ = filled[0].get_data()
    assert len(heights) == 52
    weight = cells[0, 0, 0]
    expected = [weight[0], *weight[1:-2].reshape(50, 20).sum(1), weight[-2]]
    np.testing.assert_allclose(heights, expected / weight.sum(), rtol=1e-5)
    np.testing.assert_allclose(edges, np.linspace(-0.02, 1.02, 53))
    assert panels[1].get_xlim() == (pytest.approx(-0.02), pytest.approx(1.02))


def test_bars_are_parts_of_the_weight_in_and_out_of_range() -> None:
    cells = np.array([[1.0, 2, -1, 4, 2, 3], [1, 4, 1, 16, 4, 9]])
    bars = make_bars(cells)
    assert bars is not None
    assert bars.height.tolist() == [1 / 8, 2 / 8, -1 / 8, 4 / 8, 2 / 8]
    assert bars.error.tolist() == [1 / 8, 2 / 8, 1 / 8, 4 / 8, 2 / 8]
    assert bars.lost == 3 / 8
    assert list_edges(Axis("x", 0, 3, 3), 3).tolist() == [-1, 0, 1, 2, 3, 4]
    assert make_bars(np.zeros((2, 6))) is None
    assert make_bars(-cells) is None


def test_of_many_models_those_furthest_apart_are_shown() -> None:
    count = 14
    cells = np.zeros((count, 1, 2, 2, 2, SCORE.cells))
    cells[:, 0, 0, :, :, 1] = 100
    cells[:, 0, 1, :, :, 1] = 100 - np.arange(count)[:, None, None] % 7
    cells[:, 0, 1, :, :, 500] = np.arange(count)[:, None, None] % 7
    rows = [make_model(fold, 0.7) for fold in range(count)]
    origins = [Origin("train", 1, fold) for fold in range(count)]
    models = Models("small", ROCS[:1], rows, 1, ["ZZ", "ttbar"], origins)
    found = Distributions(SCORE, list(cells), [], [])
    assert list(choose_models(found, 0)) == [n for n in range(count) if n % 7]
    figure = draw_scores(models, found, 0)
    assert len(figure.axes) == 12
    assert "the 12 of 14 models" in figure.get_suptitle().replace("\n", " ")


def test_a_curve_without_events_says_so(tmp_path: Path) -> None:
    write_trained(tmp_path / "train0", [0.7], make_histograms(1))
    models, found = load(tmp_path, "train0")
    (axes,) = draw_scores(models, found, 3).axes
    assert [text.get_text() for text in axes.texts] == ["no events"]
    assert format_distance(None) == "KS not measured"


def test_inputs_are_shown_by_class(tmp_path: Path) -> None:
    histograms = make_histograms(1)
    cells = histograms.inputs[0].cells
    cells[1, 0, -1] = cells[1, 0, :-1].sum() / 4
    write_trained(tmp_path / "train0", [0.7], histograms)
    models, found = load(tmp_path, "train0")
    figure = draw_inputs(models, found.inputs)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "pt [GeV]"
    lines = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
    for line, row in zip(lines, cells, strict=True):
        expected = [row[0, 0], *row[0, 1:-2].reshape(25, 2).sum(1), row[0, -2]]
        np.testing.assert_allclose(line.get_data().values, expected / sum(expected), rtol=1e-5)
    (legend,) = figure.legends
    sums = cells[:, 0].sum(1)
    assert [text.get_text() for text in legend.get_texts()] == [
        f"ZZ: Σw {sums[0]:.4g} (and {cells[0, 0, -1] / cells[0, 0, :-1].sum():.2%} NaN)",
        f"ttbar: Σw {sums[1]:.4g} (and 25.00% NaN)",
    ]


def test_results_made_before_there_were_histograms_are_plotted(tmp_path: Path) -> None:
    write_trained(tmp_path / "train0", [0.7])
    write_trained(tmp_path / "train1", [0.8], make_histograms(1))
    models, found = load(tmp_path, "train0", "train1")
    assert found.missing == ["train0: no histograms: it was trained before they were kept"]
    assert [scores is None for scores in found.scores] == [True, False]
    assert len(draw_scores(models, found, 0).axes) == 1
    drawings = list_drawings(*load(tmp_path, "train0"))
    assert [drawing.name for drawing in drawings] == ["loss", "roc", "auc"]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    first = make_histograms(1)
    write_trained(tmp_path / "train0", [0.7], first, read=["a"])
    write_trained(tmp_path / "train1", [0.7], Histograms(SCORE, {}, first.inputs), read=["a"])
    other = make_histograms(1, axis=Axis("score", 0, 1, 10))
    write_trained(tmp_path / "train2", [0.7], other, read=["b"])
    _, found = load(tmp_path, "train0", "train1", "train2")
    assert found.missing == [
        "train1: its scores were not measured (benchmark: false)",
        "train2: its scores are not shown: they have other bins than those before",
        "train2: its inputs are not shown: it read other events than those before",
    ]
    assert [scores is None for scores in found.scores] == [False, True, True]
    np.testing.assert_allclose(found.inputs[0].cells, first.inputs[0].cells, rtol=1e-6)


def test_a_damaged_file_of_histograms_is_refused(tmp_path: Path) -> None:
    write_trained(tmp_path / "train0", [0.7], make_histograms(1))
    path = load_result(tmp_path / "train0" / "result.json").path("histograms")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path, "train0")


def test_the_style_of_the_experiment_is_taken_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mplhep", None)
    assert style.find_style() == style.STYLE
    cms = {"font.sans-serif": ["Own", "Other"], "yaxis.labellocation": "top", "font.size": 26}
    module = ModuleType("mplhep")
    module.style = SimpleNamespace(CMS=cms)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mplhep", module)
    with style.styled():
        assert mpl.rcParams["font.family"] == ["Own", "DejaVu Sans"]
        assert mpl.rcParams["yaxis.labellocation"] == "top"
        assert mpl.rcParams["font.size"] == 12
