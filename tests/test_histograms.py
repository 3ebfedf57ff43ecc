"""Weighted histograms: how they are counted, compared, written and read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hcrc.runtime.data.histograms import (
    SCORE,
    Axis,
    Histograms,
    InputHistogram,
    compare,
    load_histograms,
    merge_bins,
)
from hcrc.runtime.errors import DataError
from hcrc.runtime.nn.benchmark import Data, score_events
from hcrc.runtime.nn.histogram import add_weights, locate, start_cells
from hcrc.runtime.nn.inputs import count_inputs
from hcrc.runtime.nn.overtraining import ScoreHistograms
from hcrc.runtime.nn.train import Report, train
from hcrc.runtime.nn.training import Choice
from hcrc.runtime.result import Result, load_result, open_attempt
from hcrc.runtime.spec import Roc

from .data_files import make_cell, train_spec
from .training import CLASSES, CLASSIFIER, DATA, EVENT, SETTINGS, TRAINEES

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
JETS_COLUMN = 85
NAN, INF = float("nan"), float("inf")


def count(axis: Axis, value: np.ndarray, weight: np.ndarray) -> np.ndarray:
    cells = start_cells(axis.cells, device=CPU)
    add_weights(cells, locate(axis, torch.from_numpy(value)), torch.from_numpy(weight))
    return cells.numpy()


def plain(axis: Axis, value: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The same by NumPy's own histograms."""
    groups = [value < axis.low, value > axis.high, np.isnan(value)]
    rows = []
    for each in (weight, weight**2):
        bins, _ = np.histogram(value, axis.bins, (axis.low, axis.high), weights=each)
        below, above, none = (each[group].sum() for group in groups)
        rows.append([below, *bins, above, none])
    return np.array(rows)


def test_histograms_are_those_of_numpy() -> None:
    random = np.random.default_rng(1)
    value = np.concatenate([random.normal(1, 2, 5000), [NAN, NAN, INF, -INF, -1, 3]])
    weight = random.normal(0.5, 1, len(value))
    assert (weight < 0).sum() > 1000
    axis = Axis("x", -1, 3, 40)
    found = count(axis, value, weight)
    np.testing.assert_allclose(found, plain(axis, value, weight), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.sum(1), [weight.sum(), (weight**2).sum()])
    assert all(found[1, [0, -2, -1]] > 0)


def test_a_sum_of_probabilities_that_rounding_takes_above_one_stays_in_the_last_bin() -> None:
    value = np.array([1, np.nextafter(np.float32(1), np.float32(2)), 1.001], np.float32)
    found = count(SCORE, value, np.array([1.0, 2.0, 4.0]))
    assert found[0, -3:].tolist() == [3, 4, 0]


def distance_of_events(values: list[np.ndarray], weights: list[np.ndarray]) -> float:
    """The weighted Kolmogorov-Smirnov distance, event by event."""
    places = np.concatenate(values)
    below = [
        np.array([weight[value <= place].sum() for place in places]) / weight.sum()
        for value, weight in zip(values, weights, strict=True)
    ]
    return float(np.abs(below[0] - below[1]).max())


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_the_distance_is_that_of_the_events(shift: float) -> None:
    """Values are those of bins, so that the binning loses nothing."""
    random = np.random.default_rng(2)
    values = [
        (random.beta(2, 3, count) * 800 + offset).astype(int) / 1000 + 0.0005
        for count, offset in ((700, 0), (900, 1000 * shift))
    ]
    weights = [random.normal(0.5, 0.6, len(value)) for value in values]
    assert all((weight < 0).any() for weight in weights)
    one, other = (count(SCORE, v, w) for v, w in zip(values, weights, strict=True))
    found = compare(one, other)
    assert found is not None
    assert found.distance == pytest.approx(distance_of_events(values, weights), rel=1e-12)
    events = [w.sum() ** 2 / (w**2).sum() for w in weights]
    assert found.usual == pytest.approx(1.3581 * np.sqrt(1 / events[0] + 1 / events[1]))


def test_the_distance_takes_what_is_out_of_range_and_leaves_out_what_is_no_number() -> None:
    one = count(SCORE, np.array([0.5, NAN]), np.array([1.0, 7.0]))
    other = count(SCORE, np.array([0.5, 1.5]), np.array([1.0, 1.0]))
    found = compare(one, other)
    assert found is not None
    assert found.distance == pytest.approx(0.5)


def test_five_of_a_hundred_samples_are_further_apart_than_usual() -> None:
    random = np.random.default_rng(3)
    far = 0
    for _ in range(400):
        one, other = (count(SCORE, random.random(300), np.ones(300)) for _ in range(2))
        found = compare(one, other)
        assert found is not None
        far += found.distance > found.usual
    assert 5 < far < 35


@pytest.mark.parametrize("weights", [[], [1.0, -1.0], [1.0, -2.0]])
def test_what_has_no_weight_is_not_compared(weights: list[float]) -> None:
    one = count(SCORE, np.full(len(weights), 0.5), np.array(weights))
    other = count(SCORE, np.array([0.5]), np.ones(1))
    assert compare(one, other) is None
    assert compare(other, one) is None


def test_merged_bins_keep_the_cells_beside_them() -> None:
    cells = np.arange(2 * 9.0).reshape(2, 9)
    merged = merge_bins(cells, 3)
    assert merged[0].tolist() == [0, 1 + 2, 3 + 4, 5 + 6, 7, 8]
    assert merge_bins(cells, 4) is cells


def test_scores_are_counted_by_part_and_side() -> None:
    """A class on both sides counts as positive, and a curve may take only some events."""
    networks, trainings = train(DATA, EVENT, TRAINEES[:2], SETTINGS, Report())
    rocs = [*CLASSIFIER.rocs, Roc(name="all", positive=["signal", "ttbar"], negative=["ttbar"])]
    chosen = np.arange(len(DATA)) % 3 > 0
    data = replace(DATA, chosen={"all": chosen})
    held_out = torch.stack([training.held_out for training in trainings])
    histograms = ScoreHistograms(data, held_out, CLASSES, rocs)
    network = networks[0]
    scores = score_events(network, data, CLASSES, rocs, 60, histograms.fill)
    weight, label = DATA.weight.double().numpy(), DATA.label.numpy()
    sides = [[label == 0, label > 0], [(label < 2) & chosen, np.zeros(len(label), bool)]]
    for model, found in enumerate(histograms.take()):
        assert found.shape == (2, 2, 2, 2, SCORE.cells)
        for roc, row in enumerate(rocs):
            value = scores.rocs[row.name][model].astype(np.float64)
            for part, inside in enumerate([~held_out[model].numpy(), held_out[model].numpy()]):
                for side in range(2):
                    used = sides[roc][side] & inside
                    expected = plain(SCORE, value[used], weight[used])
                    np.testing.assert_allclose(found[roc, part, side], expected, atol=1e-9)


@pytest.mark.parametrize(
    "choice",
    [Choice(), Choice(patience=1), Choice(keep_best=True)],
    ids=["last", "patience", "best"],
)
def test_the_scores_are_those_of_the_models_that_are_kept(choice: Choice) -> None:
    settings = replace(SETTINGS, choice=choice)
    networks, trainings = train(DATA, EVENT, TRAINEES[:3], settings, Report())
    held_out = torch.stack([training.held_out for training in trainings])
    again = ScoreHistograms(DATA, held_out, CLASSES, CLASSIFIER.rocs)
    score_events(networks[-1], DATA, CLASSES, CLASSIFIER.rocs, 50, again.fill)
    for training, expected in zip(trainings, again.take(), strict=True):
        assert training.scores is not None
        np.testing.assert_allclose(training.scores, expected, atol=1e-6)


def test_without_benchmarks_no_scores_are_counted() -> None:
    settings = replace(SETTINGS, benchmark=False, choice=Choice(keep_best=True))
    _, trainings = train(DATA, EVENT, TRAINEES[:2], settings, Report())
    assert [training.scores for training in trainings] == [None, None]


def test_only_the_last_benchmark_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    fill = ScoreHistograms.fill
    monkeypatch.setattr(
        ScoreHistograms, "fill", lambda *args: (counted.append(args[2]), fill(*args))
    )
    train(DATA, EVENT, TRAINEES[:1], SETTINGS, Report())
    assert len(counted) == len({rows.start for rows in counted}) == 5


def test_inputs_are_counted_by_class_and_without_absent_jets() -> None:
    found = {row.axis.name: row for row in count_inputs(DATA, 3)}
    assert len(found) == 24
    weight, label = DATA.weight.double().numpy(), DATA.label.numpy()
    matrix = DATA.matrix.double().numpy()
    pt, flag = np.expm1(matrix[:, :12]), matrix[:, 36:44]
    others = found["NotCanJets pt [GeV]"]
    for number in range(3):
        jets = [(pt[:, jet], label == number) for jet in range(4)]
        for jet, (value, used) in enumerate(jets, 1):
            row = found[f"CanJet {jet} pt [GeV]"]
            expected = plain(row.axis, value[used], weight[used])
            np.testing.assert_allclose(row.cells[number], expected, atol=1e-9)
        there = (flag != -1) & (label == number)[:, None]
        expected = plain(others.axis, pt[:, 4:][there], np.repeat(weight, 8).reshape(-1, 8)[there])
        np.testing.assert_allclose(others.cells[number], expected, atol=1e-9)
        jets_of = np.rint(np.exp(matrix[label == number][:, JETS_COLUMN]) + 3)
        row = found["nSelJets"]
        expected = plain(row.axis, jets_of, weight[label == number])
        np.testing.assert_allclose(row.cells[number], expected, atol=1e-9)


def test_overflow_of_an_input_is_kept() -> None:
    matrix = DATA.matrix.clone()
    matrix[:, 0] = float(np.log1p(600))
    (row,) = [
        row
        for row in count_inputs(Data(matrix, DATA.label, DATA.weight), 3)
        if row.axis.name == "CanJet 1 pt [GeV]"
    ]
    totals = torch.bincount(DATA.label, DATA.weight.double()).numpy()
    np.testing.assert_allclose(row.cells[:, 0, -2], totals)
    assert row.cells[:, 0, :-2].sum() == 0


def write_histograms(folder: Path, scores: dict[int, np.ndarray]) -> Result:
    axis = Axis("x", 0, 1, 5)
    inputs = [InputHistogram("some", axis, np.arange(32.0).reshape(2, 2, 8))]
    histograms = Histograms(axis, scores, inputs)
    with open_attempt(make_cell("train", train_spec(folder), folder)) as attempt:
        path = attempt.path("histograms.npz")
        histograms.write(path)
        models = [{"fold": fold} for fold in (0, 2)]
        data = {"models": models, "histograms": histograms.describe()}
        attempt.commit({"histograms": path}, data)
    return load_result(folder / "result.json")


def test_histograms_are_read_as_they_were_written(tmp_path: Path) -> None:
    scores = {2: np.random.default_rng(4).normal(size=(3, 2, 2, 2, 8))}
    found = load_histograms(write_histograms(tmp_path, scores), 3, 2)
    assert found is not None
    assert found.axis == found.inputs[0].axis == Axis("x", 0, 1, 5)
    assert list(found.scores) == [2]
    np.testing.assert_allclose(found.scores[2], scores[2], rtol=1e-6)
    assert found.inputs[0].group == "some"
    assert found.inputs[0].cells.tolist() == np.arange(32.0).reshape(2, 2, 8).tolist()


def test_files_that_are_not_what_the_result_says_are_refused(tmp_path: Path) -> None:
    result = write_histograms(tmp_path, {0: np.zeros((3, 2, 2, 2, 8))})
    with pytest.raises(
        DataError, match=r"scores-0 are no histograms of the shape \(4, 2, 2, 2, 8\)"
    ):
        load_histograms(result, 4, 2)
    with pytest.raises(DataError, match=r"inputs-0 are no histograms of the shape \(7, 2, 8\)"):
        load_histograms(result, 3, 7)
    result.data["histograms"]["scores"]["bins"] = 0
    with pytest.raises(DataError, match="x has 0 bins from 0 to 1"):
        load_histograms(result, 3, 2)
    result.data["histograms"] = None
    with pytest.raises(DataError, match="histograms: expected a mapping, got None"):
        load_histograms(result, 3, 2)
    result = load_result(tmp_path / "result.json")
    path, whole = result.path("histograms"), result.path("histograms").read_bytes()
    for damaged in (b"", b"no zip", whole[:300], whole[:200] + b"broken" + whole[206:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"histograms.npz: cannot be read: \S"):
            load_histograms(result, 3, 2)
    np.save(path.with_suffix(".npy"), np.zeros(3))
    path.with_suffix(".npy").replace(path)
    with pytest.raises(DataError, match="cannot be read"):
        load_histograms(result, 3, 2)
    del result.files["histograms"]
    assert load_histograms(result, 3, 2) is None
