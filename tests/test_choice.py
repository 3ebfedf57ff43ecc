"""Which epoch's models are kept, and when a model stops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hcrc.runtime.errors import DataError
from hcrc.runtime.nn.benchmark import Data
from hcrc.runtime.nn.schedule import Schedule
from hcrc.runtime.nn.train import Report, Settings, train
from hcrc.runtime.nn.training import Choice, Training
from hcrc.runtime.result import load_result
from hcrc.runtime.tasks import train as task

from .training import (
    CLASSES,
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

pytestmark = pytest.mark.usefixtures("one_thread")

# So long steps that the validation loss soon rises.
WILD = replace(TRAINING, learning_rate=0.2, learning_rate_milestones=[], epochs=5)
FINE = replace(TRAINING, schedule="FinetuneStepSGD", epochs=2, batch_milestones=[])


def wild(epochs: int = 5, **changes: object) -> Settings:
    stage = Schedule(replace(WILD, epochs=epochs), GHOST)
    return replace(SETTINGS, stages=(stage,), **changes)  # type: ignore[arg-type]


def losses(training: Training) -> list[float]:
    return [row["validation"]["loss"] for row in training.history]


def test_the_best_epoch_is_that_of_the_lowest_validation_loss() -> None:
    (kept,), trainings = train(DATA, EVENT, TRAINEES, wild(choice=Choice(keep_best=True)), Report())
    best = [losses(training).index(min(losses(training))) for training in trainings]
    assert [training.best_epoch for training in trainings] == best
    assert len(set(best)) > 1
    assert min(best) < 4
    for epoch in set(best):
        (then,), _ = train(DATA, EVENT, TRAINEES, wild(epoch + 1), Report())
        for model in (number for number, each in enumerate(best) if each == epoch):
            assert torch.equal(kept.weights[model], then.weights[model])
    for training in trainings:
        assert training.last is not None
        assert training.last.loss == pytest.approx(min(losses(training)), rel=1e-6)


def test_a_model_stops_after_its_patience_and_the_others_go_on() -> None:
    (stopped,), trainings = train(DATA, EVENT, TRAINEES, wild(choice=Choice(patience=1)), Report())
    (whole,), others = train(DATA, EVENT, TRAINEES, wild(), Report())
    ends = []
    for model, (training, other) in enumerate(zip(trainings, others, strict=True)):
        steps = [row["steps"] for row in training.history]
        end = steps.index(0) if 0 in steps else len(steps)
        ends.append(end)
        assert losses(training)[:end] == losses(other)[:end]
        rises = [b >= min(losses(other)[:n]) for n, b in enumerate(losses(other)) if n]
        assert end == (rises.index(True) + 2 if True in rises else 5)
        assert torch.equal(stopped.weights[model], whole.weights[model]) is (end == 5)
    assert min(ends) < max(ends)


def test_a_fine_tuning_starts_when_all_models_stopped() -> None:
    _, together = train(DATA, EVENT, TRAINEES, wild(choice=Choice(patience=1)), Report())
    early = [each.trainee for each in together if each.history[-1]["steps"] == 0]
    stages = (Schedule(WILD, GHOST), Schedule(FINE, task.NO_GHOST, "finetuning"))
    settings = replace(SETTINGS, stages=stages, choice=Choice(keep_best=True, patience=1))
    (_, tuned), (training,) = train(DATA, EVENT, early[:1], settings, Report())
    rows = training.history
    epochs = [row["epoch"] for row in rows if row["stage"] == "training"]
    assert epochs == list(range(len(epochs)))
    assert len(epochs) < 5
    assert [row["epoch"] for row in rows] == list(range(len(rows)))
    assert len(rows) == len(training.plans)
    assert [row["steps"] > 0 for row in rows] == [True] * len(rows)
    assert training.last is not None
    assert tuned.models == 1


def test_without_a_validation_loss_there_is_no_best_epoch() -> None:
    weight = DATA.weight.clone()
    weight[EVENT % 3 == 0] = 0
    data = Data(DATA.matrix, DATA.label, weight)
    for choice in (Choice(keep_best=True), Choice(patience=2)):
        with pytest.raises(DataError, match="no weight to validate on, which the choice of an"):
            train(data, EVENT, TRAINEES[:1], wild(choice=choice), Report())


def test_a_task_keeps_the_best_epoch_and_says_which(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache", CLASSES)
    training = {**WILD.__dict__}
    specs = [raw_spec(cache, training=training, keep="best", patience=2)]
    task.run(make_cells(tmp_path, specs), context())
    for model in load_result(tmp_path / "0" / "result.json").data["models"]:
        found = [row["validation"]["loss"] for row in model["history"]]
        assert model["best_epoch"] == found.index(min(found))
        assert len(found) <= model["best_epoch"] + 3 or 0 in model["steps_per_epoch"]
