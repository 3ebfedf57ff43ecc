"""Training: the loop, stacks against single models, and the task from cache to result."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hcrc.runtime.errors import DataError, JobError, SpecError
from hcrc.runtime.events import EventWriter
from hcrc.runtime.job import Context
from hcrc.runtime.nn.adam import Adam
from hcrc.runtime.nn.benchmark import Data, measure, score_events, sides
from hcrc.runtime.nn.embedding import embedding_statistics
from hcrc.runtime.nn.folds import FoldRule
from hcrc.runtime.nn.memory import keep_freed_memory
from hcrc.runtime.nn.model import load_model
from hcrc.runtime.nn.prepare import prepare
from hcrc.runtime.nn.schedule import Schedule
from hcrc.runtime.nn.sgd import SGD
from hcrc.runtime.nn.state import export_state
from hcrc.runtime.nn.train import (
    Report,
    Settings,
    Trainee,
    make_network,
    schedule_stacks,
    start_training,
    train,
)
from hcrc.runtime.result import load_result, open_attempt
from hcrc.runtime.spec import (
    Architecture,
    CacheSpec,
    Cell,
    Classifier,
    Execution,
    Ghost,
    Roc,
    Training,
    TrainSpec,
    read_job,
)
from hcrc.runtime.tasks import train as task

CLASSES = ["signal", "ttbar", "multijet"]
CLASSIFIER = Classifier(
    name="toy",
    classes=CLASSES,
    architecture=Architecture(features=4, attention=True, slip=False),
    rocs=[Roc(name="signal", positive=["signal"], negative=["ttbar", "multijet"])],
    outputs={},
)
TRAINING = Training(
    schedule="FixedStep",
    epochs=3,
    batch=32,
    batch_scale=2,
    batch_milestones=[1],
    learning_rate=0.01,
    learning_rate_scale=0.5,
    learning_rate_milestones=[2],
)
GHOST = Ghost(batches=4, scale=0.5, milestones=[1])
SETTINGS = Settings(
    classifier=CLASSIFIER,
    stages=(Schedule(TRAINING, GHOST),),
    benchmark=True,
    batch_eval=50,
    stack_events=1000,
)
RULE = FoldRule(3)
TRAINEES = [Trainee(0, 7, offset, fold, RULE) for offset in range(2) for fold in range(3)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_data(events: int = 250) -> tuple[Data, torch.Tensor]:
    """Random events whose jets are harder for the signal."""
    random = np.random.default_rng(3)
    label = random.integers(0, 3, events)
    pt = random.exponential(40, (events, 1, 12)) + 40 + 60 * (label == 0)[:, None, None]
    jets = np.concatenate(
        [
            pt,
            random.normal(0, 1.2, (events, 1, 12)),
            random.uniform(-np.pi, np.pi, (events, 1, 12)),
            random.uniform(5, 20, (events, 1, 12)),
            random.integers(0, 2, (events, 1, 12)),
        ],
        axis=1,
    )
    absent = np.arange(8) >= random.integers(0, 8, events)[:, None]
    others = np.where(absent[:, None], -1, jets[:, :, 4:])
    ancillary = np.stack(
        [np.full(events, 18), random.integers(4, 9, events), *random.normal(2, 1, (2, events))], 1
    )
    raw = (jets[:, :4, :4], others, ancillary)
    matrix = prepare(*(torch.from_numpy(value) for value in raw))
    weight = torch.from_numpy(random.uniform(-0.2, 1, events)).float()
    return Data(matrix, torch.from_numpy(label), weight), torch.arange(events)


DATA, EVENT = make_data()


def test_stack_trains_each_model_as_if_alone() -> None:
    (network,), together = train(DATA, EVENT, TRAINEES, SETTINGS, Report())
    for model, trainee in enumerate(TRAINEES):
        (alone,), (single,) = train(DATA, EVENT, [trainee], SETTINGS, Report())
        for row, own in zip(together[model].history, single.history, strict=True):
            assert row["batch_loss"] == pytest.approx(own["batch_loss"], rel=1e-5)
            for part in ("training", "validation"):
                assert row[part]["loss"] == pytest.approx(own[part]["loss"], rel=1e-5)
        assert torch.allclose(network.weights[model], alone.weights[0], atol=1e-3)


def test_one_after_the_other_is_the_same_as_alone_bit_by_bit() -> None:
    settings = replace(SETTINGS, stack_events=1)
    (network,), _ = train(DATA, EVENT, TRAINEES[:3], settings, Report())
    (alone,), _ = train(DATA, EVENT, TRAINEES[1:2], settings, Report())
    assert torch.equal(network.weights[1], alone.weights[0])


def test_same_seed_gives_the_same_bits() -> None:
    (first,), _ = train(DATA, EVENT, TRAINEES[:2], SETTINGS, Report())
    (second,), _ = train(DATA, EVENT, TRAINEES[:2], SETTINGS, Report())
    assert torch.equal(first.weights, second.weights)
    assert torch.equal(first.scale, second.scale)


def test_trainees_have_generators_of_their_own() -> None:
    trainees = [*TRAINEES, Trainee(0, 8, 2, 0, RULE)]
    numbers = {int(torch.randint(2**40, (), generator=t.generator)) for t in trainees}
    assert len(numbers) == len(trainees)
    assert (
        Trainee(0, 7, 1, 2, RULE).generator.initial_seed()
        == Trainee(1, 8, 0, 2, RULE).generator.initial_seed()
    )


def test_models_with_fewer_steps_wait() -> None:
    event = torch.cat([torch.zeros(64), torch.ones(64), torch.full((96,), 2)]).long()
    fold = RULE.assign(event)
    trainings = [
        start_training(Trainee(0, 0, 0, fold_, RULE), fold, SETTINGS) for fold_ in range(3)
    ]
    assert [training.plans[0].steps for training in trainings] == [5, 5, 4]
    stacks = list(schedule_stacks(trainings, 0, replace(SETTINGS, stack_events=96)))
    assert stacks == [([0, 1, 2], range(4)), ([0, 1], range(4, 5))]
    assert list(schedule_stacks(trainings, 0, replace(SETTINGS, stack_events=95))) == [
        ([0, 1], range(5)),
        ([2], range(4)),
    ]
    alone = list(schedule_stacks(trainings, 0, replace(SETTINGS, stack_events=1)))
    assert alone == [([0], range(5)), ([1], range(5)), ([2], range(4))]
    pairs = list(schedule_stacks(trainings, 0, replace(SETTINGS, max_trainers=2)))
    assert pairs == [([0, 1], range(5)), ([2], range(4))]


def test_models_with_other_batches_are_no_stack() -> None:
    settings = replace(SETTINGS, stages=(Schedule(replace(TRAINING, batch=1024), GHOST),))
    fold = RULE.assign(torch.arange(100))
    trainings = [
        start_training(Trainee(0, 0, 0, fold_, RULE), fold, settings) for fold_ in range(3)
    ]
    assert [models for models, _ in schedule_stacks(trainings, 0, SETTINGS)] == [[0], [1, 2]]


def test_freed_memory_is_kept_by_glibc() -> None:
    assert keep_freed_memory() is (platform.libc_ver()[0] == "glibc")


def test_history_records_the_schedule() -> None:
    _, (training,) = train(DATA, EVENT, TRAINEES[:1], SETTINGS, Report())
    rows = training.history
    assert [row["batch"] for row in rows] == [32, 64, 64]
    assert [row["steps"] for row in rows] == [5, 2, 2]
    assert [row["ghost_batches"] for row in rows] == [4, 2, 2]
    assert [row["ghost_batches_fixed"] for row in rows] == [4, 4, 4]
    assert [row["learning_rate"] for row in rows] == [0.01, 0.01, 0.005]


def test_training_learns() -> None:
    schedule = Schedule(replace(TRAINING, epochs=12), GHOST)
    _, (training,) = train(
        DATA, EVENT, TRAINEES[:1], replace(SETTINGS, stages=(schedule,)), Report()
    )
    first, last = training.history[0], training.history[-1]
    assert last["training"]["loss"] < first["training"]["loss"]
    assert last["validation"]["auc"]["signal"] > 0.7
    assert training.last is not None
    assert training.last.curves["signal"].auc == last["validation"]["auc"]["signal"]


def test_without_benchmark_there_are_only_the_batches_losses() -> None:
    _, (training,) = train(DATA, EVENT, TRAINEES[:1], replace(SETTINGS, benchmark=False), Report())
    assert training.last is None
    assert {row["validation"] for row in training.history} == {None}
    assert all(row["batch_loss"] > 0 for row in training.history)


def test_benchmark_is_the_weighted_mean_over_each_part() -> None:
    fold = RULE.assign(EVENT)
    trainings = [start_training(trainee, fold, SETTINGS) for trainee in TRAINEES[:2]]
    network = make_network(DATA, trainings, SETTINGS)
    scores = score_events(network, DATA, CLASSES, CLASSIFIER.rocs, 40)
    part = (fold == 1).numpy()
    figures = measure(scores, 1, part, sides(CLASSES, CLASSIFIER.rocs))
    logits = network.eval()(DATA.matrix[fold == 1])[0][1].detach()
    entropy = torch.nn.functional.cross_entropy(logits, DATA.label[fold == 1], reduction="none")
    weight = DATA.weight[fold == 1]
    assert figures.loss == pytest.approx(float((weight * entropy).sum() / weight.sum()), rel=1e-5)
    assert measure(scores, 0, np.zeros(250, dtype=bool), {}).loss is None


def test_embedding_statistics_are_those_of_the_training_part() -> None:
    fold = RULE.assign(EVENT)
    trainings = [start_training(trainee, fold, SETTINGS) for trainee in TRAINEES[:2]]
    network = make_network(DATA, trainings, SETTINGS)
    place = network.layout.statistics["inputEmbed.ancillaryEmbed"]
    for model in range(2):
        ancillary = DATA.matrix[fold != model][:, 85:88].double()
        assert torch.allclose(network.mean[model, place][1:].double(), ancillary.mean(0))
        assert torch.allclose(network.scale[model, place][1:].double(), ancillary.std(0))
    whole = embedding_statistics(DATA.matrix, torch.arange(250), CLASSIFIER.architecture)
    parts = embedding_statistics(DATA.matrix, torch.arange(250), CLASSIFIER.architecture, 30)
    for name, (mean, scale) in whole.items():
        assert torch.allclose(mean, parts[name][0], rtol=1e-12)
        assert torch.allclose(scale, parts[name][1], rtol=1e-12)


def test_feature_that_does_not_vary_keeps_a_scale() -> None:
    statistics = embedding_statistics(DATA.matrix, torch.arange(250), CLASSIFIER.architecture)
    mean, scale = statistics["ancillaryEmbed"]
    assert (mean[0], scale[0]) == (18, 1)


def test_adam_is_that_of_torch() -> None:
    weights = torch.randn(2, 50, dtype=torch.float64)
    ours, theirs = weights.clone(), torch.nn.Parameter(weights.clone())
    adam, reference = Adam(ours), torch.optim.Adam([theirs], lr=0.01)
    for _ in range(5):
        theirs.grad = torch.randn(2, 50, dtype=torch.float64)
        adam.step(theirs.grad, 0.01)
        reference.step()
    assert torch.allclose(ours, theirs, rtol=1e-12)


def test_gradient_descent_is_that_of_torch() -> None:
    weights = torch.randn(2, 50, dtype=torch.float64)
    ours, theirs = weights.clone(), torch.nn.Parameter(weights.clone())
    gradient = torch.randn(2, 50, dtype=torch.float64)
    theirs.grad = gradient
    torch.optim.SGD([theirs], lr=0.01).step()
    SGD(ours).step(gradient, 0.01)
    assert torch.allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("kind", [Adam, SGD])
def test_each_model_has_its_learning_rate(kind: type[Adam] | type[SGD]) -> None:
    gradient, rates = torch.randn(2, 50), (0.01, 0.3)
    together = torch.zeros(2, 50)
    kind(together).step(gradient, torch.tensor(rates, dtype=torch.float64).unsqueeze(1))
    for model, rate in enumerate(rates):
        alone = torch.zeros(1, 50)
        kind(alone).step(gradient[model : model + 1], rate)
        assert torch.equal(together[model], alone[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.weight.__setitem__(slice(None), 0.0), "fold 0, epoch 0, step 0: the weights"),
        (lambda d: d.weight.__setitem__(4, float("nan")), r"fold 0, epoch 0, step \d: the loss is"),
        (lambda d: d.matrix.__setitem__(4, float("nan")), r"fold 0, epoch 0, step \d: the loss is"),
    ],
)
def test_wrong_data_end_the_training(change: Callable[[Data], None], message: str) -> None:
    data = Data(DATA.matrix.clone(), DATA.label, DATA.weight.clone())
    change(data)
    with pytest.raises(DataError, match=message):
        train(data, EVENT, TRAINEES[:1], SETTINGS, Report())


@pytest.mark.parametrize(("kfolds", "epochs"), [(1, 3), (3, 0)])
def test_training_of_no_step_is_refused(kfolds: int, epochs: int) -> None:
    schedule = Schedule(replace(TRAINING, epochs=epochs), GHOST)
    settings = replace(SETTINGS, stages=(schedule,))
    with pytest.raises(DataError, match="no step to train"):
        train(DATA, EVENT, [Trainee(0, 7, 0, 0, FoldRule(kfolds))], settings, Report())


# The task


def raw_spec(cache: Path, offset: int = 0, **changes: Any) -> dict[str, Any]:
    spec = {
        "dataset": {"cell": "cache", "result": str(cache / "result.json"), "hash": "c"},
        "classifier": {
            "name": "toy",
            "classes": CLASSES,
            "architecture": {"features": 4, "attention": False, "slip": False},
            "rocs": [{"name": "signal", "positive": ["signal"], "negative": ["ttbar"]}],
            "outputs": {"p_sig": ["signal"]},
        },
        "kfolds": 2,
        "seed": 1,
        "offset": offset,
        "training": {**TRAINING.__dict__, "epochs": 2},
        "ghost": GHOST.__dict__,
        "benchmark": True,
    }
    return spec | changes


def make_cells(folder: Path, specs: list[dict[str, Any]]) -> list[Cell]:
    cells = [
        {
            "id": f"train[offset={n}]",
            "axes": {},
            "output": str(folder / f"{n}"),
            "hash": "t",
            "spec": s,
        }
        for n, s in enumerate(specs)
    ]
    execution = {"cpus": 1, "memory_mb": 1000, "gpus": 0, "device": "auto", "batch_eval": 100}
    job = {"id": "j", "number": 0, "name": "n", "task": "train", "needs": [], "cells": cells}
    return read_job({"hcrc": 1, **job, "execution": execution}).cells


def write_cache(folder: Path, labels: list[str], data: Data = DATA) -> Path:
    spec = CacheSpec(datasets=[], shuffle=False, seed=0, chunks=2)
    cell = Cell(id="cache", task="cache", axes={}, output=str(folder), hash="c", spec=spec, raw={})
    columns = {
        "inputs": data.matrix,
        "label": data.label,
        "weight": data.weight,
        "sample": (EVENT % 2).int(),
        "run": EVENT + 1000,
        "lumi": EVENT + 5,
        "event": EVENT,
    }
    with open_attempt(cell) as attempt:
        files = {}
        for number, rows in enumerate((slice(0, 100), slice(100, None))):
            path = attempt.path(f"chunk-{number:04d}.pt")
            torch.save({name: column[rows].clone() for name, column in columns.items()}, path)
            files[f"chunk-{number:04d}"] = path
        words = {"labels": labels, "samples": ["a/UL18", "b/UL17"], "sources": ["x"]}
        attempt.commit(files, words)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("cache"), ["ttbar", "signal", "multijet"])


def context() -> Context:
    execution = Execution(cpus=1, memory_mb=1000, gpus=0, device="cpu", batch_eval=100)
    return Context(execution, EventWriter())


def run_and_read_events(cells: list[Cell], path: Path) -> list[dict[str, Any]]:
    with EventWriter(path) as events:
        task.run(cells, replace(context(), events=events))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_task_leaves_models_ids_and_history(cache: Path, tmp_path: Path) -> None:
    specs = [raw_spec(cache, 0), raw_spec(cache, 1), raw_spec(cache, 0, kfolds=3)]
    cells = make_cells(tmp_path, specs)
    assert [len(group) for group in task.group_cells(cells)] == [2, 1]
    task.run(cells, context())
    results = [load_result(tmp_path / str(number) / "result.json") for number in range(3)]
    assert [len(result.data["models"]) for result in results] == [2, 2, 3]
    assert list(results[0].files) == ["model-0", "ids-0", "model-1", "ids-1"]
    data = results[0].data
    assert data["fold"] == {"algorithm": "event-mod-k", "version": 1}
    assert data["classifier"]["outputs"] == {"p_sig": ["signal"]}
    assert (data["labels"], data["sources"]) == (["ttbar", "signal", "multijet"], ["x"])
    assert [row["name"] for row in data["read"]] == ["chunk-0000", "chunk-0001"]
    assert results[0].provenance["device"] == "cpu"
    assert results[0].provenance["torch_threads"] == 1
    assert {row.result for row in results[0].upstream} == {str(cache / "result.json")}
    check_model(results[0].data["models"][1])
    weights = [(r.folder / r.files["model-0"].path).read_bytes() for r in results[:2]]
    assert weights[0] != weights[1]


def check_model(model: dict[str, Any]) -> None:
    assert (model["fold"], model["file"], model["ids"]) == (1, "model-1", "ids-1")
    assert (model["events_training"], model["events_validation"]) == (125, 125)
    assert model["steps_per_epoch"] == [3, 1]
    assert [row["epoch"] for row in model["history"]] == [0, 1]
    assert set(model["history"][0]["validation"]["auc"]) == {"signal"}
    assert len(model["rocs"]["signal"]["true_positive"]) == task.ROC_POINTS


def test_task_records_the_ids_each_model_saw(cache: Path, tmp_path: Path) -> None:
    task.run(make_cells(tmp_path, [raw_spec(cache)]), context())
    result = load_result(tmp_path / "0" / "result.json")
    with np.load(result.path("ids-1"), allow_pickle=False) as ids:
        assert set(ids) == {"sample", "run", "lumi", "event"}
        assert sorted(ids["event"]) == list(range(0, 250, 2))
        assert np.array_equal(ids["run"], ids["event"] + 1000)
    model = load_model(result.path("model-1"))
    assert (model.kfolds, model.fold, model.classes) == (2, 1, CLASSES)
    assert (model.metadata.seed, model.metadata.offset) == (1, 0)
    assert torch.allclose(model.predict(DATA.matrix, 64)[0].sum(1), torch.ones(250))


def read_states(folder: Path) -> list[dict[str, torch.Tensor]]:
    result = load_result(folder / "result.json")
    return [export_state(load_model(result.path(f"model-{fold}")).network) for fold in range(2)]


def test_cells_of_one_job_train_as_if_alone(cache: Path, tmp_path: Path) -> None:
    specs = [raw_spec(cache, offset) for offset in range(3)]
    task.run(make_cells(tmp_path / "group", specs), context())
    for number, spec in enumerate(specs):
        task.run(make_cells(tmp_path / f"alone{number}", [spec]), context())
        together = read_states(tmp_path / "group" / str(number))
        for one, other in zip(together, read_states(tmp_path / f"alone{number}/0"), strict=True):
            for name, value in one.items():
                assert torch.allclose(value, other[name], rtol=1e-5, atol=1e-5), name


def test_same_job_leaves_the_same_numbers(cache: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        task.run(make_cells(tmp_path / name, [raw_spec(cache)]), context())
    one, two = (load_result(tmp_path / name / "0" / "result.json") for name in ("one", "two"))
    assert one.data == two.data
    ids = [name for name in one.files if name.startswith("ids")]
    assert [one.files[name].sha256 for name in ids] == [two.files[name].sha256 for name in ids]
    for a, b in zip(*(read_states(tmp_path / name / "0") for name in ("one", "two")), strict=True):
        assert all(torch.equal(value, b[name]) for name, value in a.items())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("what", ["weight", "input"])
def test_cached_value_that_is_no_number_is_named(what: str, value: float, tmp_path: Path) -> None:
    data = Data(DATA.matrix.clone(), DATA.label, DATA.weight.clone())
    (data.weight if what == "weight" else data.matrix[:, 17])[101] = value
    cache = write_cache(tmp_path / "cache", CLASSES, data)
    message = f"b/UL17: cached event 1101:106:101: its {what} is NaN or infinite"
    with pytest.raises(DataError, match=message):
        task.run(make_cells(tmp_path, [raw_spec(cache)]), context())


def test_checksums_are_those_of_what_was_read(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache", CLASSES)
    recorded = load_result(cache / "result.json")
    path = recorded.path("chunk-0001")
    chunk = torch.load(path, weights_only=True)
    chunk["weight"][3] += 1
    torch.save({name: column.clone() for name, column in chunk.items()}, path)
    lines = run_and_read_events(make_cells(tmp_path, [raw_spec(cache)]), tmp_path / "events.jsonl")
    messages = [line["text"] for line in lines if line["event"] == "message"]
    assert messages == [f"{path} is no longer what cache wrote"]
    read = load_result(tmp_path / "0" / "result.json").data["read"]
    digests = {row["name"]: row["sha256"] for row in read}
    assert digests["chunk-0000"] == recorded.files["chunk-0000"].sha256
    assert digests["chunk-0001"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_device_without_memory_is_an_error_of_one_line(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory\nand more")

    monkeypatch.setattr(task, "train", fail)
    with pytest.raises(JobError, match=r"^cpu: out of memory; other jobs may be using it$"):
        task.run(make_cells(tmp_path, [raw_spec(cache)]), context())


def test_task_maps_labels_to_classes_by_name(cache: Path) -> None:
    events = task.load_events(load_result(cache / "result.json"))
    data = task.make_data(events, CLASSIFIER, torch.device("cpu"))
    assert torch.equal(data.label == 0, DATA.label == 1)
    assert torch.equal(data.label == 1, DATA.label == 0)


def test_task_tells_progress_and_figures(cache: Path, tmp_path: Path) -> None:
    cells = make_cells(tmp_path, [raw_spec(cache)])
    lines = run_and_read_events(cells, tmp_path / "events.jsonl")
    progress = [line for line in lines if line["event"] == "progress"]
    assert {line["step"] for line in progress} == {"train fold 0", "train fold 1"}
    assert [(line["done"], line["total"]) for line in progress][-1] == (4, 4)
    metrics = {line["name"] for line in lines if line["event"] == "metric"}
    assert metrics == {
        "batch loss",
        "training loss",
        "validation loss",
        "training AUC signal",
        "validation AUC signal",
    }


def test_class_without_events_is_told(cache: Path, tmp_path: Path) -> None:
    spec = raw_spec(cache)
    spec["classifier"] = spec["classifier"] | {"classes": [*CLASSES, "ggF"]}
    lines = run_and_read_events(make_cells(tmp_path, [spec]), tmp_path / "events.jsonl")
    messages = [line["text"] for line in lines if line["event"] == "message"]
    assert messages == ["no event has the class ggF"]


def test_label_that_is_no_class_is_refused(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache", ["ttbar", "signal", "data"])
    with pytest.raises(
        DataError, match="label 'data'; the classes of toy are signal, ttbar, multi"
    ):
        task.run(make_cells(tmp_path, [raw_spec(cache)]), context())
    assert not (tmp_path / "0" / "result.json").exists()


def test_roc_of_no_class_is_refused(cache: Path, tmp_path: Path) -> None:
    spec = raw_spec(cache)
    rocs = [{"name": "ggF", "positive": ["ggF"], "negative": ["ttbar"]}]
    spec["classifier"] = spec["classifier"] | {"rocs": rocs}
    with pytest.raises(SpecError, match="ROC ggF uses 'ggF'; the classes are signal, ttbar"):
        task.run(make_cells(tmp_path, [spec]), context())


def test_cache_of_other_columns_is_refused(cache: Path) -> None:
    events = task.load_events(load_result(cache / "result.json"))
    events = replace(events, inputs=events.inputs[:, :7])
    with pytest.raises(DataError, match="have 7 columns, the network needs 340"):
        task.make_data(events, CLASSIFIER, torch.device("cpu"))


@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda:99", "but this machine has"), ("gpu", "is none of auto, cpu"), ("meta", "is none of")],
)
def test_device_that_is_not_there_is_refused(device: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        task.choose_device(device)


def test_specs_are_those_of_the_contract(cache: Path, tmp_path: Path) -> None:
    (cell,) = make_cells(tmp_path, [raw_spec(cache)])
    assert isinstance(cell.spec, TrainSpec)
