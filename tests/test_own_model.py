"""Networks of the user's own, by entry point: stacks, states, and the task that trains them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hcrc.runtime.errors import SpecError
from hcrc.runtime.nn.model import load_model
from hcrc.runtime.nn.own import make_own
from hcrc.runtime.nn.schedule import Schedule
from hcrc.runtime.nn.train import Report, train
from hcrc.runtime.result import load_result
from hcrc.runtime.tasks import train as task

from .own_models import install
from .training import (
    CLASSIFIER,
    DATA,
    EVENT,
    GHOST,
    SETTINGS,
    TRAINEES,
    TRAINING,
    context,
    make_cells,
    raw_spec,
    write_cache,
)

OPTIONS: dict[str, Any] = {"hidden": 6, "dropout": 0.2}
OWN = replace(SETTINGS, classifier=replace(CLASSIFIER, model="perceptron", options=OPTIONS))


@pytest.fixture(autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path_factory.mktemp("site")))


pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_stack_trains_each_model_as_if_alone_bit_by_bit() -> None:
    (network,), together = train(DATA, EVENT, TRAINEES[:3], OWN, Report())
    (alone,), (single,) = train(DATA, EVENT, TRAINEES[1:2], OWN, Report())
    for name, value in network.export_state(1).items():
        assert torch.equal(value, alone.export_state(0)[name]), name
    for row, own in zip(together[1].history, single.history, strict=True):
        assert row["batch_loss"] == own["batch_loss"]
        assert row["validation"]["loss"] == pytest.approx(own["validation"]["loss"], rel=1e-5)
    assert not torch.equal(network.weights[0], network.weights[1])
    state = network.export_state(1)
    assert int(state["norm.num_batches_tracked"]) == together[1].steps
    assert not torch.equal(state["norm.running_mean"], torch.zeros(28))


def test_training_learns_and_leaves_the_generator_of_torch_alone() -> None:
    before = torch.random.get_rng_state()
    stages = (Schedule(replace(TRAINING, epochs=10), GHOST),)
    _, (training,) = train(DATA, EVENT, TRAINEES[:1], replace(OWN, stages=stages), Report())
    rows = training.history
    assert rows[-1]["training"]["auc"]["signal"] > 0.7
    assert rows[-1]["training"]["loss"] < rows[0]["training"]["loss"]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_finetuning_moves_the_last_layer_alone() -> None:
    stages = (
        Schedule(TRAINING, GHOST),
        Schedule(replace(TRAINING, schedule="FinetuneStepSGD"), GHOST, "finetuning"),
    )
    networks, _ = train(DATA, EVENT, TRAINEES[:1], replace(OWN, stages=stages), Report())
    before, after = (network.export_state(0) for network in networks)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in moved if not name.startswith("norm.")} == {"last.weight", "last.bias"}
    assert {"norm.weight", "norm.bias"}.isdisjoint(moved)


def test_the_task_leaves_models_that_are_loaded_again(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache", CLASSIFIER.classes)
    raw = raw_spec(cache)
    raw["classifier"] |= {"model": "perceptron", "options": OPTIONS}
    task.run(make_cells(tmp_path, [raw]), context())
    result = load_result(tmp_path / "0" / "result.json")
    model = load_model(result.path("model-0"))
    assert (model.metadata.model, model.metadata.options) == ("perceptron", OPTIONS)
    classes, views = model.predict(DATA.matrix, 100)
    again, _ = model.predict(DATA.matrix, 7)
    assert (classes.shape, views.shape) == ((250, 3), (250, 3))
    torch.testing.assert_close(classes, again)
    torch.testing.assert_close(classes.sum(1), torch.ones(250))
    assert result.data["models"][0]["history"][-1]["validation"]["loss"] is not None


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("perceptrn", {}, "no entry point of the group hcrc.models is called"),
        ("gone", {}, "has no attribute 'Gone'"),
        ("function", {}, "makes no torch.nn.Module"),
        ("perceptron", {"hiden": 3}, "unexpected keyword argument 'hiden'"),
    ],
)
def test_a_class_that_cannot_be_made_is_a_wrong_spec(
    model: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        make_own(model, options, 3)


def test_logits_of_another_shape_are_a_wrong_spec() -> None:
    settings = replace(OWN, classifier=replace(CLASSIFIER, model="flat", options={}))
    with pytest.raises(SpecError, match="Flat gives Tensor and not"):
        train(DATA, EVENT, TRAINEES[:1], settings, Report())
