"""The train task, from a cache to its result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hcrc.runtime.errors import DataError, MemoryShortageError, SpecError
from hcrc.runtime.events import EventWriter
from hcrc.runtime.nn.benchmark import Data
from hcrc.runtime.nn.model import load_model
from hcrc.runtime.nn.state import export_state
from hcrc.runtime.result import load_result
from hcrc.runtime.spec import (
    Cell,
    TrainSpec,
)
from hcrc.runtime.tasks import train as task
from hcrc.runtime.tasks import trained

from .training import (
    CLASSES,
    CLASSIFIER,
    DATA,
    context,
    make_cells,
    raw_spec,
    write_cache,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("cache"), ["ttbar", "signal", "multijet"])


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
    assert list(results[0].files) == ["model-0", "ids-0", "model-1", "ids-1", "histograms"]
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
    assert len(model["rocs"]["signal"]["true_positive"]) == trained.ROC_POINTS


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
    with pytest.raises(
        MemoryShortageError, match=r"^cpu: out of memory; other jobs may be using it$"
    ):
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


def test_only_some_chunks_are_trained_on(cache: Path, tmp_path: Path) -> None:
    task.run(make_cells(tmp_path, [raw_spec(cache, only_chunks=[1])]), context())
    result = load_result(tmp_path / "0" / "result.json")
    assert [row["name"] for row in result.data["read"]] == ["chunk-0001"]
    model = result.data["models"][0]
    assert model["events_training"] + model["events_validation"] == 150
    with np.load(result.path("ids-0"), allow_pickle=False) as ids:
        assert ids["event"].min() >= 100
    message = r"result.json: there is no chunk 2, of 2$"
    with pytest.raises(DataError, match=message):
        task.run(make_cells(tmp_path / "far", [raw_spec(cache, only_chunks=[0, 2])]), context())
