"""What a training may choose: folds, schedules, a fine-tuning, how many models at a time."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hcrc.runtime.crew import Crew
from hcrc.runtime.data.cache import Events, load_events
from hcrc.runtime.data.stage import model_file
from hcrc.runtime.errors import DataError, SpecError
from hcrc.runtime.nn.adam import EPSILON
from hcrc.runtime.nn.benchmark import Data
from hcrc.runtime.nn.folds import random_folds
from hcrc.runtime.nn.loss import weighted_loss
from hcrc.runtime.nn.model import load_model
from hcrc.runtime.nn.rate import PlateauRate
from hcrc.runtime.nn.schedule import Schedule
from hcrc.runtime.nn.state import export_state
from hcrc.runtime.nn.train import Report, train
from hcrc.runtime.nn.training import Training
from hcrc.runtime.result import Result, load_result
from hcrc.runtime.spec import Training as Step
from hcrc.runtime.tasks import train as task

from .training import (
    CLASSIFIER,
    DATA,
    EVENT,
    GHOST,
    TRAINEES,
    TRAINING,
    context,
    make_cells,
    raw_spec,
    write_cache,
)
from .training import SETTINGS as WITH_ATTENTION

PLAIN = replace(CLASSIFIER, architecture=replace(CLASSIFIER.architecture, attention=False))
SETTINGS = replace(WITH_ATTENTION, classifier=PLAIN)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("cache"), ["ttbar", "signal", "multijet"])


def run_cells(folder: Path, specs: list[dict[str, Any]]) -> list[Result]:
    task.run(make_cells(folder, specs), context())
    return [load_result(folder / str(number) / "result.json") for number in range(len(specs))]


def random_spec(cache: Path, offset: int, **changes: Any) -> dict[str, Any]:
    return raw_spec(cache, offset, folds="random", fold_seed="FvT random", **changes)


def trained_on(result: Result, fold: int) -> list[int]:
    with np.load(result.path(f"ids-{fold}"), allow_pickle=False) as ids:
        return sorted(ids["event"].tolist())


def test_random_folds_train_as_one_stack_and_as_if_alone(cache: Path, tmp_path: Path) -> None:
    specs = [random_spec(cache, offset) for offset in range(2)]
    assert len(task.group_cells(make_cells(tmp_path, specs))) == 1
    together = run_cells(tmp_path / "group", specs)
    for number, spec in enumerate(specs):
        (alone,) = run_cells(tmp_path / f"alone{number}", [spec])
        for fold in range(2):
            one = load_model(together[number].path(f"model-{fold}"))
            other = load_model(alone.path(f"model-{fold}"))
            assert one.metadata == other.metadata
            for name, value in export_state(one.network).items():
                assert torch.allclose(
                    value, export_state(other.network)[name], rtol=1e-5, atol=1e-5
                )


def test_random_folds_are_recorded_and_decide_the_parts(cache: Path, tmp_path: Path) -> None:
    results = run_cells(tmp_path, [random_spec(cache, offset) for offset in range(2)])
    for offset, result in enumerate(results):
        rule = random_folds(2, "FvT random", offset)
        assert result.data["fold"] == rule.describe()
        own = rule.assign(EVENT)
        for fold in range(2):
            assert load_model(result.path(f"model-{fold}")).rule == rule
            assert trained_on(result, fold) == EVENT[own != fold].tolist()
            row = result.data["models"][fold]
            assert row["events_validation"] == int((own == fold).sum())
    assert trained_on(results[0], 0) != trained_on(results[1], 0)


def test_only_the_chosen_folds_are_trained(cache: Path, tmp_path: Path) -> None:
    chosen, every = run_cells(
        tmp_path, [raw_spec(cache, kfolds=3, fold_offsets=[2, 0]), raw_spec(cache, kfolds=3)]
    )
    assert (chosen.data["fold_offsets"], every.data["fold_offsets"]) == ([0, 2], [0, 1, 2])
    assert list(chosen.files) == ["model-0", "ids-0", "model-2", "ids-2", "histograms"]
    assert [row["fold"] for row in chosen.data["models"]] == [0, 2]
    rows = [every.data["models"][fold]["history"] for fold in (0, 2)]
    for row, expected in zip(chosen.data["models"], rows, strict=True):
        for one, other in zip(row["history"], expected, strict=True):
            assert one["batch_loss"] == pytest.approx(other["batch_loss"], rel=1e-5)


@pytest.mark.parametrize("folds", [[], [3], [1, 1], [-1]])
def test_folds_that_there_are_not_are_refused(folds: list[int], cache: Path) -> None:
    (cell,) = make_cells(cache, [raw_spec(cache, kfolds=3, fold_offsets=folds)])
    with pytest.raises(SpecError, match="are not some of the folds 0 to 2"):
        task.list_folds(cell.spec)


AUTO = Step(
    schedule="AutoStep",
    epochs=6,
    batch=64,
    batch_scale=1,
    batch_milestones=[],
    learning_rate=0.05,
    learning_rate_scale=0.5,
    learning_rate_threshold=0.05,
    learning_rate_patience=0,
    learning_rate_cooldown=0,
    learning_rate_minimum=1e-3,
)
FINETUNE = replace(AUTO, schedule="FinetuneStep", epochs=2, learning_rate=1e-3)
TWO_STAGES = (Schedule(TRAINING, GHOST), Schedule(FINETUNE, task.NO_GHOST, "finetuning"))


def rates_of(training: Training) -> list[float]:
    return [row["learning_rate"] for row in training.history]


@pytest.mark.parametrize("benchmark", [True, False])
def test_learning_rate_of_each_model_follows_its_validation_loss(benchmark: bool) -> None:
    settings = replace(SETTINGS, stages=(Schedule(AUTO, GHOST),), benchmark=benchmark)
    _, trainings = train(DATA, EVENT, TRAINEES[:3], settings, Report())
    for training in trainings:
        expected = PlateauRate(AUTO, AUTO.learning_rate)
        for row in training.history:
            assert row["learning_rate"] == expected.value
            expected.finish_epoch(row["validation"]["loss"])
            assert (row["training"] is None) is not benchmark
    assert len({tuple(rates_of(training)) for training in trainings}) > 1
    _, (alone,) = train(DATA, EVENT, TRAINEES[1:2], settings, Report())
    assert rates_of(alone) == rates_of(trainings[1])
    for row, other in zip(alone.history, trainings[1].history, strict=True):
        assert row["batch_loss"] == pytest.approx(other["batch_loss"], rel=1e-5)


def test_learning_rate_is_what_the_steps_have() -> None:
    short = replace(AUTO, epochs=2)
    slow = Schedule(replace(short, learning_rate=1e-30, learning_rate_minimum=1e-31), GHOST)
    fast = Schedule(short, GHOST)
    weights = [
        train(DATA, EVENT, TRAINEES[:1], replace(SETTINGS, stages=stages), Report())[0][-1].weights
        for stages in ((fast,), (fast, slow), (slow,))
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_no_weight_to_validate_on_is_an_error_of_the_schedule() -> None:
    data = Data(DATA.matrix, DATA.label, torch.where(EVENT % 3 == 0, 0.0, DATA.weight.abs()))
    train(data, EVENT, TRAINEES[:1], SETTINGS, Report())
    settings = replace(SETTINGS, stages=(Schedule(AUTO, GHOST),))
    with pytest.raises(DataError, match="fold 0: no weight to validate on, which the learning"):
        train(data, EVENT, TRAINEES[:1], settings, Report())


@pytest.mark.parametrize("stage", ["training", "finetuning"])
def test_learning_rate_that_does_not_fall_is_refused(stage: str, cache: Path) -> None:
    stages = {"training": AUTO, "finetuning": FINETUNE}
    step = asdict(replace(stages[stage], learning_rate_scale=1))
    (cell,) = make_cells(cache, [raw_spec(cache, **{stage: step})])
    with pytest.raises(SpecError, match=rf"^{stage}.learning_rate_scale: 1 is not below 1, as "):
        task.make_stages(cell.spec)


def test_fine_tuning_changes_only_the_last_layer() -> None:
    settings = replace(SETTINGS, stages=TWO_STAGES)
    (before, after), (training, *_) = train(DATA, EVENT, TRAINEES[:2], settings, Report())
    for model in range(2):
        old, new = export_state(before, model), export_state(after, model)
        changed = {name for name, value in old.items() if not torch.equal(value, new[name])}
        assert changed == {"out.conv.module.weight", "out.conv.module.bias"}
    (single,), _ = train(DATA, EVENT, TRAINEES[:2], SETTINGS, Report())
    assert torch.equal(single.weights, before.weights)
    rows = training.history
    assert [row["stage"] for row in rows] == ["training"] * 3 + ["finetuning"] * 2
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["ghost_batches_fixed"] for row in rows] == [4, 4, 4, 0, 0]
    assert [row["learning_rate"] for row in rows[3:4]] == [1e-3]
    assert [row["batch"] for row in rows] == [32, 64, 64, 64, 64]


def test_fine_tuning_of_a_stack_is_that_of_each_model() -> None:
    settings = replace(SETTINGS, stages=TWO_STAGES)
    (_, together), trainings = train(DATA, EVENT, TRAINEES[:3], settings, Report())
    (_, alone), (single,) = train(DATA, EVENT, TRAINEES[1:2], settings, Report())
    assert torch.allclose(together.weights[1], alone.weights[0], atol=1e-3)
    for row, other in zip(trainings[1].history, single.history, strict=True):
        assert row["batch_loss"] == pytest.approx(other["batch_loss"], rel=1e-5)


@pytest.mark.parametrize("schedule", ["FinetuneStep", "FinetuneStepSGD"])
def test_optimizer_of_a_fine_tuning_is_a_fresh_one(schedule: Any) -> None:
    one_step = replace(FINETUNE, schedule=schedule, epochs=1, batch=1000)
    stages = (TWO_STAGES[0], Schedule(one_step, task.NO_GHOST, "finetuning"))
    settings = replace(SETTINGS, stages=stages)
    (before, after), (training,) = train(DATA, EVENT, TRAINEES[:1], settings, Report())
    part = training.part
    logits, _ = before.train()(DATA.matrix[part])
    loss = weighted_loss(logits, DATA.label[part].unsqueeze(0), DATA.weight[part].unsqueeze(0))
    (gradient,) = torch.autograd.grad(loss.sum(), before.weights)
    names = before.layout.split(torch.arange(before.layout.n_weights))
    last = torch.cat([names[f"out.conv.module.{kind}"].flatten() for kind in ("weight", "bias")])
    change = (after.weights - before.weights)[0, last]
    step = gradient[0, last]
    if schedule == "FinetuneStep":
        # The first step of Adam is as long as the learning rate, unless the gradient is tiny.
        step = step / (step.abs() + EPSILON)
    # What is left are roundings of the gradient, which processors make in their own ways.
    assert torch.allclose(change, -1e-3 * step, atol=2e-5)


def test_models_before_and_after_a_fine_tuning_are_kept(cache: Path, tmp_path: Path) -> None:
    tuned, plain = run_cells(
        tmp_path, [raw_spec(cache, finetuning=asdict(FINETUNE)), raw_spec(cache)]
    )
    names = ["model-0", "model-0-training", "ids-0", "model-1", "model-1-training", "ids-1"]
    assert list(tuned.files) == [*names, "histograms"]
    row = tuned.data["models"][1]
    assert row["stages"] == {"final": "model-1", "training": "model-1-training"}
    assert plain.data["models"][1]["stages"] == {"final": "model-1", "training": "model-1"}
    assert model_file(row, "training") == "model-1-training"
    assert model_file({"file": "model-1"}, "training") == "model-1"
    models = [load_model(tuned.path(model_file(row, s))) for s in ("training", "final")]
    assert [model.metadata.stage for model in models] == ["training", "final"]
    states = [export_state(model.network) for model in models]
    expected = export_state(load_model(plain.path("model-1")).network)
    assert all(torch.equal(value, states[0][name]) for name, value in expected.items())
    assert not torch.equal(*(state["out.conv.module.weight"] for state in states))
    assert row["steps_per_epoch"] == [3, 1, 1, 1]


def test_models_at_a_time_change_no_result(cache: Path, tmp_path: Path) -> None:
    specs = [raw_spec(cache, offset, kfolds=3) for offset in range(2)]
    cells = make_cells(tmp_path, specs)
    few = replace(context().execution, max_trainers=1)
    stages = task.make_stages(cells[0].spec)
    settings = task.make_settings(cells[0].spec, stages, few, torch.device("cpu"))
    assert settings.max_trainers == 1
    task.run(cells, replace(context(), execution=few))
    one = [load_result(tmp_path / str(number) / "result.json") for number in range(2)]
    every = run_cells(tmp_path / "every", specs)
    for a, b in zip(one, every, strict=True):
        for model, other in zip(a.data["models"], b.data["models"], strict=True):
            for row, same in zip(model["history"], other["history"], strict=True):
                assert row["batch_loss"] == pytest.approx(same["batch_loss"], rel=1e-5)


def test_loaders_at_a_time_change_no_event(cache: Path) -> None:
    source = load_result(cache / "result.json")
    one, several = (task.load_events(source, Crew(size)) for size in (1, 3))
    assert len(several) == len(EVENT)
    for name in ("inputs", "label", "weight", "sample", "run", "lumi", "event"):
        assert torch.equal(getattr(one, name), getattr(several, name))
    names = list(source.files)
    one_by_one = task.read_checksums(source, names, Crew(1))
    assert task.read_checksums(source, names, Crew(3)) == one_by_one


def test_loaders_are_as_many_as_the_job_may_have(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def load(source: Result, crew: Crew, only: list[int] | None) -> Events:
        sizes.append(crew.size)
        return load_events(source, crew, only)

    monkeypatch.setattr(task, "load_events", load)
    several = replace(context().execution, max_loaders=3)
    task.run(make_cells(tmp_path, [raw_spec(cache)]), replace(context(), execution=several))
    assert sizes == [3]


def test_chunks_of_other_columns_are_refused(tmp_path: Path) -> None:
    result = load_result(write_cache(tmp_path, ["ttbar", "signal", "multijet"]) / "result.json")
    path = result.path("chunk-0001")
    chunk = torch.load(path, weights_only=True)
    torch.save(chunk | {"inputs": chunk["inputs"][:, :7].clone()}, path)
    with pytest.raises(DataError, match=r"chunk-0001.pt: has other columns than .*chunk-0000"):
        load_events(result)
