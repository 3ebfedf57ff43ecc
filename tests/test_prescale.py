"""Prescales: which events they keep, and that the sums of weights stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hcrc.runtime.data.cache import Events, load_events
from hcrc.runtime.errors import DataError, SpecError
from hcrc.runtime.nn.folds import random_folds

from .caching import refusal, run_cache
from .data_files import dataset, make_events, sample, write_root

COUNT = 400
BY = {"by": 5, "among": "SR", "weight": "weight"}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Two files of one label, events from 0 and 1000, half of them SR, weights of both signs."""
    found = {}
    for seed, name in enumerate(("a.root", "b.root")):
        weight = np.random.default_rng(seed).uniform(-0.2, 1, COUNT).astype(np.float32)
        found[name] = make_events(COUNT, seed, weight=weight)
        write_root(tmp_path / name, found[name])
    return found


def cached(folder: Path, *rows: dict[str, Any], **changes: Any) -> Events:
    result = run_cache(folder, dataset(folder, *rows), shuffle=False, chunks=1, **changes)
    return load_events(result)


def is_kept(event: Any) -> Any:
    number = torch.from_numpy(np.asarray(event).astype(np.int64))
    return (random_folds(5, "prescale", 0).assign(number) == 0).numpy()


def test_one_in_n_is_kept_and_stands_for_all_files_of_its_label(
    files: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    events = cached(tmp_path, sample("a.root", "b.root", prescale=BY))
    event = np.concatenate([columns["event"] for columns in files.values()]).astype(np.int64)
    weight = np.concatenate([columns["weight"] for columns in files.values()]).astype(float)
    among = np.concatenate([columns["SR"] for columns in files.values()])
    kept = is_kept(event) | ~among
    assert 60 < (kept & among).sum() < 100
    assert events.event.tolist() == event[kept].tolist()
    factor = weight[among].sum() / weight[among & kept].sum()
    expected = np.where(among, weight * factor, weight)[kept]
    np.testing.assert_allclose(events.weight.numpy(), expected, rtol=1e-6)
    assert float(events.weight.double().sum()) == pytest.approx(weight.sum(), rel=1e-6)


def test_the_sum_is_that_of_all_events_and_not_of_the_selected_ones(
    files: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    row = sample("a.root", prescale=BY, selection="nSelJets > 6", weight="2 * weight")
    events = cached(tmp_path, row)
    columns = files["a.root"]
    weight, among = np.asarray(columns["weight"], float), np.asarray(columns["SR"])
    kept = is_kept(columns["event"])
    factor = weight[among].sum() / weight[among & kept].sum()
    passed = (np.asarray(columns["nSelJets"]) > 6) & (kept | ~among)
    expected = (2 * np.where(among, weight * factor, weight))[passed]
    np.testing.assert_allclose(events.weight.numpy(), expected, rtol=1e-6)


def test_how_files_are_read_changes_no_bit(
    files: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    weights = []
    for batch in (7, 1000):
        (tmp_path / f"{batch}").mkdir()
        rows = [sample("a.root", "b.root", prescale=BY)]
        result = run_cache(
            tmp_path / f"{batch}", dataset(tmp_path, *rows), shuffle=False, chunks=1,
            execution={"batch_skim": batch},
        )  # fmt: skip
        weights.append(load_events(result).weight)
    assert torch.equal(*weights)


def test_one_in_one_is_everything(files: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    events = cached(tmp_path, sample("a.root", prescale=BY | {"by": 1}))
    assert len(events) == COUNT
    np.testing.assert_array_equal(events.weight.numpy(), files["a.root"]["weight"])


def test_a_prescale_that_keeps_nothing_or_cannot_be_is_refused(
    files: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    few = {"among": "event == 1", "by": 10**9, "weight": "1"}
    message = refusal(tmp_path, dataset(tmp_path, sample("a.root", prescale=few)))
    assert message == "the prescale of ZZ keeps no weight of 1"
    wrong = dataset(tmp_path, sample("a.root", prescale=BY | {"among": "weight"}))
    assert "among is not true or false" in refusal(tmp_path, wrong, kind=SpecError)
    wrong = dataset(tmp_path, sample("a.root", prescale=BY | {"by": 0}))
    assert "by is 0, not a number above 0" in refusal(tmp_path, wrong, kind=SpecError)
    nan = make_events(10, 3, weight=np.full(10, np.nan, np.float32))
    write_root(tmp_path / "nan.root", nan)
    wrong = dataset(tmp_path, sample("nan.root", prescale=BY, weight="xW"))
    assert 'branch "weight" entry 0: nan' in refusal(tmp_path, wrong, kind=DataError)
