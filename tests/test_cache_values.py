"""What the cache task refuses of files and chunks: values, sums, events read twice, damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hcrc.runtime.data.cache import load_events
from hcrc.runtime.errors import DataError

from .caching import refusal, run_cache
from .data_files import (
    dataset,
    error_text,
    friend_chunk,
    friend_json,
    make_events,
    make_lists,
    sample,
    simulated_data,
    write_json,
    write_root,
)


def with_value(column: Any, entry: int, value: Any) -> Any:
    changed = np.array(column)
    changed[entry] = value
    return changed


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (lambda c: {"xbW": with_value(c["xbW"], 4, np.nan)}, 'branch "xbW" entry 4: nan'),
        (lambda c: {"xW": with_value(c["xW"], 6, np.inf)}, 'branch "xW" entry 6: inf'),
        (lambda c: {"weight": with_value(c["weight"], 2, np.nan)}, 'branch "weight" entry 2: nan'),
        (
            lambda c: {"CanJet_eta": make_lists(with_value(np.ones(40), 33, np.nan), [4] * 10)},
            'branch "CanJet_eta" entry 8: nan',
        ),
        (
            lambda c: {"CanJet_pt": make_lists(np.ones(39), [4, 4, 3] + [4] * 7)},
            'branch "CanJet_pt" entry 2: 3 values where 4 are needed',
        ),
        (
            lambda c: {"CanJet_mass": make_lists(np.ones(41), [5] + [4] * 9)},
            'branch "CanJet_mass" entry 0: 5 values where 4 are needed',
        ),
        (
            lambda c: {"NotCanJet_phi": make_lists(np.ones(990), [99] * 10)},
            'branch "NotCanJet_phi" entry 0: 99 values where NotCanJet_pt has 7',
        ),
        (
            lambda c: {"nSelJets": with_value(c["nSelJets"], 8, 3)},
            'branch "nSelJets" entry 8: 3 is below 4',
        ),
        (
            lambda c: {"event": with_value(c["event"], 4, 2**63)},
            'branch "event" entry 4: 9223372036854775808 is above 9223372036854775807',
        ),
        (
            lambda c: {"run": c["run"].astype(np.float32)},
            'branch "run": float32, where integers are needed',
        ),
        (
            lambda c: {"xW": c["CanJet_pt"]},
            'branch "xW": lists of numbers, where one per event is needed',
        ),
        (
            lambda c: {"CanJet_pt": c["xW"]},
            'branch "CanJet_pt": one number per event, where lists are needed',
        ),
        (
            lambda c: {"CanJet_pt": make_lists(with_value(np.ones(40), 25, -9.0), [4] * 10)},
            "entry 6: object_pt is not a finite number",
        ),
        (lambda c: {"xbW": None}, 'there is no branch "xbW"; did you mean "xW"?'),
    ],
)
def test_wrong_values_of_selected_events_are_named(
    tmp_path: Path, changes: Any, expected: str
) -> None:
    columns = make_events(10, 5)
    write_root(tmp_path / "a.root", make_events(10, 5, **changes(columns)))
    spec = dataset(tmp_path, sample("a.root", selection="SR"))
    assert refusal(tmp_path, spec) == f"DIR/a.root:Events: {expected}"


def test_wrong_values_of_removed_events_do_not_matter(tmp_path: Path) -> None:
    columns = make_events(10)
    wrong = {name: with_value(columns[name], 3, np.nan) for name in ("xW", "weight")}
    write_root(tmp_path / "a.root", make_events(10, **wrong))
    spec = dataset(tmp_path, sample("a.root", selection="SR"))
    assert len(load_events(run_cache(tmp_path, spec))) == 5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_selection_is_not_made_by_what_is_no_number(tmp_path: Path, value: float) -> None:
    columns = make_events(10)
    write_root(tmp_path / "a.root", make_events(10, xW=with_value(columns["xW"], 3, value)))
    for selection in ("xW < 99", "passHLT & ~(xW < 99)", "SR & (minimum(xW, 1) < 99)"):
        spec = dataset(tmp_path, sample("a.root", selection=selection))
        assert refusal(tmp_path, spec) == f'DIR/a.root:Events: branch "xW" entry 3: {value}'


def test_a_weight_is_not_made_by_what_is_no_number(tmp_path: Path) -> None:
    columns = make_events(10)
    write_root(tmp_path / "a.root", make_events(10, xW=with_value(columns["xW"], 3, np.nan)))
    weight = "where(xW > 0, weight, 1)"
    spec = dataset(tmp_path, sample("a.root", weight=weight, selection="SB"))
    assert refusal(tmp_path, spec) == 'DIR/a.root:Events: branch "xW" entry 3: nan'
    spec = dataset(tmp_path, sample("a.root", weight=weight, selection="SR"))
    assert len(load_events(run_cache(tmp_path, spec))) == 5


def test_a_nan_in_a_friend_names_the_friend_and_its_entry(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", make_events(10))
    write_root(tmp_path / "f0.root", {"FvT": np.ones(6)})
    write_root(tmp_path / "f1.root", {"FvT": np.array([1, 1, np.nan, 1])})
    rows = [friend_chunk(tmp_path / "f0.root", 0, 6), friend_chunk(tmp_path / "f1.root", 6, 10)]
    write_json(tmp_path / "f.json", friend_json("FvT", ["FvT"], [(tmp_path / "a.root", rows)]))
    spec = sample("a.root", friends=["f.json"], weight="weight * FvT", selection="SR")
    found = refusal(tmp_path, dataset(tmp_path, spec))
    assert found == 'DIR/f1.root:Events: branch "FvT" entry 2: nan'


def test_a_weight_that_divides_by_zero_is_named(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", make_events(10))
    spec = dataset(tmp_path, sample("a.root", weight="weight / (event - 4)"))
    found = refusal(tmp_path, spec)
    assert found == 'DIR/a.root:Events: weight "weight / (event - 4)" entry 4: inf'


def test_a_sum_that_cannot_be_scaled_is_refused(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", make_events(4, weight=np.array([1.0, -1, 2, -2])))
    spec = dataset(tmp_path, sample("a.root"), norm={"sum": 6, "by": "dataset"})
    assert refusal(tmp_path, spec, chunks=1) == (
        'dataset "signal": the selected weights sum to 0; a sum of 6 needs a positive one'
    )
    spec = dataset(tmp_path, sample("a.root", weight="-1"), norm={"sum": 6, "by": "label"})
    assert refusal(tmp_path, spec, chunks=1) == (
        'dataset "signal": the selected weights of label "ZZ" sum to -4; '
        "a sum of 6 needs a positive one"
    )


def test_an_event_that_is_read_twice_is_refused(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", make_events(10))
    write_root(tmp_path / "b.root", make_events(10))
    spec = dataset(
        tmp_path,
        sample("a.root", selection="SR"),
        sample("a.root", selection="SB", label="ZH"),
    )
    assert len(load_events(run_cache(tmp_path, spec))) == 10
    folder = tmp_path / "again"
    folder.mkdir()
    spec = dataset(tmp_path, sample("a.root", selection="event > 6"), sample("b.root"))
    assert refusal(folder, spec).replace(str(tmp_path), "DIR") == (
        "event ZZ4b/UL18 1:0:7 is read twice: DIR/a.root and DIR/b.root"
    )


def test_missing_files_leave_nothing_behind(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", make_events(10))
    spec = dataset(tmp_path, sample("a.root", "none.root"))
    assert refusal(tmp_path, spec) == "DIR/none.root: No such file or directory"


def test_a_damaged_chunk_is_refused(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", make_events(10))
    result = run_cache(tmp_path, dataset(tmp_path, sample("a.root")))
    result.path("chunk-0001").write_bytes(b"not a chunk")
    with pytest.raises(DataError, match=r"chunk-0001\.pt: not a chunk of a cache: "):
        load_events(result)


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("label", torch.full((4,), 1), "out/result.json: a label is not one of its 1"),
        ("sample", torch.full((4,), -1, dtype=torch.int32), "a sample is not one of its 1"),
        ("weight", torch.ones(4).double(), "weight is not a column of torch.float32"),
        ("inputs", torch.ones(4), "inputs is not a column of torch.float32"),
        ("event", torch.ones(3).long(), "columns of unequal length"),
        ("run", [1, 2, 3, 4], "run is not a column of torch.int64"),
        ("run", Path("x"), "not a chunk of a cache: Weights only load failed"),
    ],
)
def test_an_edited_chunk_is_refused(
    tmp_path: Path, name: str, column: object, expected: str
) -> None:
    write_root(tmp_path / "a.root", make_events(12))
    result = run_cache(tmp_path, dataset(tmp_path, sample("a.root")))
    path = result.path("chunk-0001")
    torch.save(torch.load(path) | {name: column}, path)
    assert expected in error_text(lambda: load_events(result))


def test_a_chunk_that_is_gone_is_not_left_out(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", make_events(12))
    result = run_cache(tmp_path, dataset(tmp_path, sample("a.root")))
    del result.files["chunk-0001"]
    assert error_text(lambda: load_events(result)).endswith("names no file 'chunk-0001'")


def test_simulated_events_give_the_known_sums(tmp_path: Path) -> None:
    folder = simulated_data()
    friends = [f"friend.json@@{name}" for name in ("HCR_input", "JCM_weight", "FvT_weight")]
    files = [str(path) for path in sorted(folder.glob("data_UL18*/picoAOD.root"))]
    data = sample(*files, sample="data", label="data", friends=friends)
    data |= {"selection": "passHLT & threeTag & SR", "weight": "weight * pseudoTagWeight * FvT"}
    result = run_cache(tmp_path, dataset(folder, data))
    (counts,) = result.data["counts"]["datasets"]
    assert counts["selected"] == len(load_events(result))
    assert 0 < counts["weight_sum"] < 490
