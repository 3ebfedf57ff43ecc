"""Which events the loss and the ROC curves take, from the columns of a dataset to the figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hcrc.runtime.data.cache import load_events
from hcrc.runtime.data.dataset import join_columns
from hcrc.runtime.errors import DataError, SpecError
from hcrc.runtime.nn.areas import describe_events, measure_areas
from hcrc.runtime.nn.benchmark import Data, measure, score, score_events, sides
from hcrc.runtime.nn.choose import Described, choose_for_rocs, count_events
from hcrc.runtime.nn.train import Report, train
from hcrc.runtime.result import load_result
from hcrc.runtime.spec import ClassMask, Loss, Roc
from hcrc.runtime.tasks import train as task

from .training import CLASSES, CLASSIFIER, DATA, EVENT, SETTINGS, TRAINEES, write_cache

LABEL = DATA.label.numpy()
KL = np.where(LABEL == 0, 1.0 + EVENT.numpy() % 2, np.nan)
SR = EVENT.numpy() % 3 == 0
EVENTS = Described(CLASSES, LABEL, {"kl": KL, "SR": SR})


pytestmark = pytest.mark.usefixtures("one_thread")


def test_an_expression_names_labels_classes_and_columns() -> None:
    baseline = EVENTS.choose("(kl == 1) | (label != signal)", "here")
    assert (baseline == ((KL == 1) | (LABEL != 0))).all()
    assert (EVENTS.choose("kl == 1 or label != signal", "here") == baseline).all()
    assert EVENTS.choose("True", "here").all()
    assert (EVENTS.choose("SR & (label == ttbar)", "here") == (SR & (LABEL == 1))).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kk == 1", "here: there is no column 'kk'; there are SR, kl, label, multijet, signal"),
        ("kl + 1", 'here: "kl + 1" is not true or false for each event'),
        ("kl &", "here: expression"),
        ("kl & SR", 'here: expression "kl & SR": column 1: "&" needs true or false'),
    ],
)
def test_what_selects_nothing_is_said(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        EVENTS.choose(text, "here")
    assert str(caught.value).startswith(message)


def test_a_mask_takes_events_from_the_entropy_and_leaves_them_in_the_weight() -> None:
    loss = Loss(selection="label != multijet", masks=[ClassMask(selection="SR", classes=["ttbar"])])
    counting = count_events(replace(CLASSIFIER, loss=loss), EVENTS)
    assert counting is not None
    assert (counting.total == (LABEL != 2)).all()
    assert (counting.entropy == ((LABEL != 2) & ~(SR & (LABEL == 1)))).all()
    assert count_events(CLASSIFIER, EVENTS) is None
    wrong = Loss(selection=None, masks=[ClassMask(selection="SR", classes=["top"])])
    with pytest.raises(SpecError, match=r"loss.masks\[0\]: there is no class 'top'"):
        count_events(replace(CLASSIFIER, loss=wrong), EVENTS)


def weighted(total: Any, counted: Any) -> Data:
    return replace(
        DATA,
        total=DATA.weight * torch.as_tensor(total),
        counted=DATA.weight * torch.as_tensor(counted),
    )


def test_events_that_do_not_count_teach_nothing() -> None:
    """Their inputs may be anything; those of the others may not."""
    settings = replace(SETTINGS, benchmark=False)
    settings = replace(settings, classifier=replace(CLASSIFIER, rocs=[]))
    counts = torch.from_numpy(LABEL != 2)
    spoiled = {}
    for name, counted in {"left out": counts, "taken": torch.ones_like(counts)}.items():
        found = []
        for change in (0.0, 1.0):
            data = replace(weighted(counted, counted), label=DATA.label.clone())
            data.label[~counts] = torch.full_like(data.label[~counts], 2 - int(change))
            (network,), _ = train(data, EVENT, TRAINEES[:1], settings, Report())
            found.append(network.weights.detach())
        spoiled[name] = torch.equal(*found)
    assert spoiled == {"left out": True, "taken": False}


def test_the_measured_loss_is_that_of_the_events_that_count() -> None:
    total, counted = LABEL != 2, (LABEL != 2) & ~SR
    networks, _ = train(DATA, EVENT, TRAINEES[:1], SETTINGS, Report())
    scores = score_events(networks[0], weighted(total, counted), CLASSES, CLASSIFIER.rocs, 100)
    everything = np.ones(len(LABEL), np.bool_)
    found = measure(scores, 0, everything, {}).loss
    weight = DATA.weight.double().numpy()
    expected = (weight * counted) @ scores.entropy[0].astype(float) / (weight * total).sum()
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_curve_takes_its_events_alone() -> None:
    curve = Roc(name="kl 1", positive=["signal"], negative=["ttbar"],
                selection="(label != signal) | (kl == 1)")  # fmt: skip
    classifier = replace(CLASSIFIER, rocs=[*CLASSIFIER.rocs, curve])
    data = replace(DATA, chosen=choose_for_rocs(classifier, EVENTS))
    assert list(data.chosen) == ["kl 1"]
    networks, _ = train(DATA, EVENT, TRAINEES[:1], SETTINGS, Report())
    scores = score_events(networks[0], data, CLASSES, classifier.rocs, 100)
    everything = np.ones(len(LABEL), np.bool_)
    found = measure(scores, 0, everything, sides(CLASSES, classifier.rocs)).auc["kl 1"]
    kept = data.chosen["kl 1"] & (LABEL != 2)
    part = {"kl 1": sides(CLASSES, [curve])["kl 1"]}
    plain = replace(scores, chosen={})
    assert found == pytest.approx(measure(plain, 0, kept, part).auc["kl 1"])
    assert found != measure(plain, 0, everything, part).auc["kl 1"]


def test_a_difference_is_between_both_sides() -> None:
    curve = Roc(name="d", positive=["signal"], negative=["ttbar"], score="difference")
    probability = torch.tensor([[0.7, 0.1, 0.2], [0.0, 1.0, 0.0]])
    assert score(curve, CLASSES, probability).tolist() == pytest.approx([0.8, 0.0])
    assert score(curve, CLASSES, probability.numpy()).tolist() == pytest.approx([0.8, 0.0])
    assert score(replace(curve, score="sum"), CLASSES, probability).tolist() == pytest.approx(
        [0.7, 0.0]
    )


def test_areas_of_a_merge_are_over_the_same_events() -> None:
    rocs = [
        {"name": "all", "positive": ["signal"], "negative": ["ttbar"]},
        {"name": "kl 1", "positive": ["signal"], "negative": ["ttbar"],
         "selection": "(label != signal) | (kl == 1)"},
        {"name": "unknown", "positive": ["signal"], "negative": ["ttbar"], "selection": "x > 1"},
    ]  # fmt: skip
    data = {"labels": ["ttbar", "odd", "signal"],
            "classifier": {"classes": CLASSES, "outputs": {}, "rocs": rocs}}  # fmt: skip
    label = np.array([0, 0, 2, 2, 1], np.int32)
    events = describe_events(data, label, {"kl": np.array([np.nan, np.nan, 1, 2, np.nan])})
    assert events.label.tolist() == [1, 1, 0, 0, -1]
    matrix = np.array([[0.5, 0.5, 0], [0.1, 0.9, 0], [0.6, 0.4, 0], [0.2, 0.8, 0], [1, 0, 0]])
    areas = measure_areas(data, events, np.ones(5), [matrix.astype(np.float32)])
    assert areas == {"all": pytest.approx(0.75), "kl 1": pytest.approx(1.0), "unknown": None}


def test_columns_are_joined_with_nan_where_there_is_none() -> None:
    yes, number = np.array([True, False]), np.array([1.5])
    joined = join_columns([(2, {"SR": yes}), (0, {}), (1, {"SR": yes[:1]})])
    assert joined["SR"].dtype == np.bool_
    assert joined["SR"].tolist() == [True, False, True]
    mixed = join_columns([(2, {"SR": yes}), (1, {"kl": number})])
    np.testing.assert_array_equal(mixed["SR"], [1, 0, np.nan])
    np.testing.assert_array_equal(mixed["kl"], [np.nan, np.nan, 1.5])


def add_columns(folder: Path, columns: list[dict[str, torch.Tensor]]) -> None:
    """Rewrite the chunks of a cache with columns of the dataset's own."""
    result = load_result(folder / "result.json")
    for name, own in zip(result.files, columns, strict=True):
        chunk = torch.load(result.path(name), weights_only=True)
        torch.save(chunk | {f"column:{key}": value for key, value in own.items()},
                   result.path(name))  # fmt: skip


def test_a_cache_carries_columns_to_the_training(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache", CLASSES)
    kl = torch.from_numpy(KL)
    add_columns(cache, [{"kl": kl[:100]}, {"kl": kl[100:]}])
    events = load_events(load_result(cache / "result.json"))
    np.testing.assert_array_equal(events.columns["kl"].numpy(), KL)
    loss = Loss(selection="(kl == 1) | (label != signal)", masks=[])
    data = task.make_data(events, replace(CLASSIFIER, loss=loss), torch.device("cpu"))
    assert data.total is not None
    assert torch.equal(data.total != 0, torch.from_numpy((KL == 1) | (LABEL != 0)))


@pytest.mark.parametrize(
    "columns",
    [
        [{"kl": torch.zeros(100)}, {"kl": torch.zeros(150)}],
        [{"kl": torch.zeros(100).double()}, {}],
        [{"kl": torch.zeros(99).double()}, {"kl": torch.zeros(150).double()}],
    ],
)
def test_chunks_of_unequal_columns_are_refused(
    columns: list[dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    cache = write_cache(tmp_path / "cache", CLASSES)
    add_columns(cache, columns)
    with pytest.raises(DataError, match="chunk"):
        load_events(load_result(cache / "result.json"))
