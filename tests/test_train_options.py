"""What a training may choose: random folds, some of the folds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hcrc.runtime.errors import SpecError
from hcrc.runtime.nn.folds import random_folds
from hcrc.runtime.nn.model import load_model
from hcrc.runtime.nn.state import export_state
from hcrc.runtime.result import Result, load_result
from hcrc.runtime.tasks import train as task

from .test_train import EVENT, context, make_cells, raw_spec, write_cache


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
    assert list(chosen.files) == ["model-0", "ids-0", "model-2", "ids-2"]
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
