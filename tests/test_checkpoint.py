"""Trainings that are interrupted go on where they stopped, to the last bit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hcrc.runtime.clean import remove_result
from hcrc.runtime.errors import PreemptedError
from hcrc.runtime.events import EventWriter
from hcrc.runtime.nn.checkpoint import CheckpointFile, State
from hcrc.runtime.nn.network import Network
from hcrc.runtime.nn.schedule import Schedule
from hcrc.runtime.nn.train import Report, Settings, train
from hcrc.runtime.nn.training import KEEP_LAST, Choice, Training
from hcrc.runtime.record import CHECKPOINT
from hcrc.runtime.result import load_result
from hcrc.runtime.tasks import train as task

from .own_models import install
from .training import (
    CLASSES,
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

PLATEAU = replace(TRAINING, schedule="AutoStep", learning_rate_patience=0)
FINE = replace(TRAINING, schedule="FinetuneStepSGD", epochs=2, batch_milestones=[])
STAGES = {
    "milestones": (Schedule(TRAINING, GHOST),),
    "plateau": (Schedule(PLATEAU, GHOST),),
    "fine-tuned": (Schedule(TRAINING, GHOST), Schedule(FINE, task.NO_GHOST, "finetuning")),
}


pytestmark = pytest.mark.usefixtures("one_thread")


class Interrupting(CheckpointFile):
    """A checkpoint after which the process is told to stop, once it was saved often enough."""

    def save(self, state: State) -> None:
        super().save(state)
        if sum(len(each["history"]) for each in state["trainings"]) == self.stop_after:
            raise PreemptedError("stopped by SIGTERM")

    stop_after = 0


def interrupted(path: Path, epochs: int) -> Interrupting:
    store = Interrupting(path, "key")
    object.__setattr__(store, "stop_after", epochs * len(TRAINEES))
    return store


def assert_equal(
    one: tuple[list[Network], list[Training]], other: tuple[list[Network], list[Training]]
) -> None:
    assert [t.history for t in one[1]] == [t.history for t in other[1]]
    assert [t.done for t in one[1]] == [t.done for t in other[1]]
    assert len(one[0]) == len(other[0])
    for a, b in zip(one[0], other[0], strict=True):
        assert all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))


CHOICES = {"milestones": Choice(keep_best=True), "fine-tuned": Choice(True, 1)}


@pytest.mark.parametrize("stages", STAGES)
def test_a_training_goes_on_as_if_it_had_not_stopped(stages: str, tmp_path: Path) -> None:
    choice = CHOICES.get(stages, KEEP_LAST)
    settings = replace(SETTINGS, stages=STAGES[stages], choice=choice)
    whole = train(DATA, EVENT, TRAINEES, settings, Report())
    epochs = len(whole[1][0].plans)
    for stop in range(1, epochs):
        store = interrupted(tmp_path / f"{stop}.pt", stop)
        with pytest.raises(PreemptedError):
            train(DATA, EVENT, TRAINEES, settings, Report(), store)
        told: list[int] = []
        report = Report(resumed=told.append)
        again = CheckpointFile(store.path, "key")
        assert_equal(whole, train(DATA, EVENT, TRAINEES, settings, report, again))
        assert told == [stop]


def test_networks_of_ones_own_go_on_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(install(tmp_path))
    classifier = replace(CLASSIFIER, model="perceptron", options={"dropout": 0.5})
    settings: Settings = replace(SETTINGS, classifier=classifier)
    whole = train(DATA, EVENT, TRAINEES, settings, Report())
    store = interrupted(tmp_path / "own.pt", 1)
    with pytest.raises(PreemptedError):
        train(DATA, EVENT, TRAINEES, settings, Report(), store)
    again = CheckpointFile(store.path, "key")
    assert_equal(whole, train(DATA, EVENT, TRAINEES, settings, Report(), again))


def test_a_file_is_replaced_whole_and_holds_no_code(tmp_path: Path) -> None:
    store = CheckpointFile(tmp_path / "c.pt", "key")
    assert store.load() is None
    store.save({"a": torch.ones(2)})
    with pytest.raises(TypeError):
        store.save({"a": (value for value in range(3))})
    state = store.load()
    assert state is not None
    assert torch.equal(state["a"], torch.ones(2))
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_what_is_no_checkpoint_of_the_training_is_said_and_left_aside(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "c.pt"
    store = CheckpointFile(path, "key", said.append)
    store.save({"a": 1})
    assert CheckpointFile(path, "other", said.append).load() is None
    torch.save([1, 2], path)
    assert store.load() is None
    path.write_bytes(b"PK\x03\x04 torn")
    assert store.load() is None
    torch.save({"hcrc": 1, "key": "key", "state": Path("x")}, path)  # would need code to load
    assert store.load() is None
    assert [text.partition("c.pt ")[2].partition(";")[0] for text in said] == [
        "is of another training",
        *["cannot be read"] * 3,
    ]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("cache"), CLASSES)


def run_task(folder: Path, cache: Path, offsets: int = 2) -> list[str]:
    """Run a job of some cells; the messages that it tells."""
    specs = [
        raw_spec(cache, offset, training={**TRAINING.__dict__, "epochs": 3})
        for offset in range(offsets)
    ]
    folder.mkdir(exist_ok=True)
    path = folder / "events.jsonl"
    path.unlink(missing_ok=True)
    with EventWriter(path) as events:
        task.run(make_cells(folder, specs), replace(context(), events=events))
    rows = map(json.loads, path.read_text().splitlines())
    return [row["text"] for row in rows if row["event"] == "message"]


def stop_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the task be told to stop in the epoch that follows."""

    def told(self: task.Reporter, trainee: Any, row: dict[str, Any]) -> None:
        if row["epoch"] == epoch:
            raise PreemptedError("stopped by SIGTERM")

    monkeypatch.setattr(task.Reporter, "epoch", told)


def test_a_job_that_was_stopped_goes_on_and_leaves_the_same_result(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_task(tmp_path / "whole", cache) == []
    with monkeypatch.context() as patch:
        stop_after(1, patch)
        with pytest.raises(PreemptedError):
            run_task(tmp_path / "stopped", cache)
    assert (tmp_path / "stopped" / "0" / CHECKPOINT).is_file()
    messages = run_task(tmp_path / "stopped", cache)
    assert messages == ["goes on after epoch 1 of an earlier attempt"] * 2
    for number in ("0", "1"):
        whole, stopped = (load_result(tmp_path / n / number / "result.json") for n in
                          ("whole", "stopped"))  # fmt: skip
        assert whole.data == stopped.data
        assert not (tmp_path / "stopped" / number / CHECKPOINT).exists()


def test_another_group_of_cells_starts_from_the_beginning(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(1, patch)
        with pytest.raises(PreemptedError):
            run_task(tmp_path / "job", cache)
    (message,) = run_task(tmp_path / "job", cache, offsets=1)
    assert "is of another training; this one starts from the beginning" in message
    assert not (tmp_path / "job" / "0" / CHECKPOINT).exists()


def test_clean_removes_a_checkpoint(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(1, monkeypatch)
    with pytest.raises(PreemptedError):
        run_task(tmp_path / "job", cache, offsets=1)
    remove_result(tmp_path / "job" / "0", tmp_path / "job")
    assert not (tmp_path / "job" / "0").exists()
