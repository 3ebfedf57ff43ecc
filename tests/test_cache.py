"""The cache task: what it selects, how it weighs and shuffles, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hcrc.runtime.data.cache import Events, load_events
from hcrc.runtime.data.dataset import two_digits
from hcrc.runtime.errors import SpecError
from hcrc.runtime.nn.prepare import COLUMN_SLICES, prepare
from hcrc.runtime.result import load_result

from .caching import refusal, run_cache
from .data_files import (
    Events as Said,
)
from .data_files import (
    dataset,
    error_text,
    friend_chunk,
    friend_json,
    make_events,
    sample,
    write_json,
    write_root,
)


def by_event(events: Events) -> dict[int, int]:
    return {int(number): row for row, number in enumerate(events.event)}


def test_events_are_selected_weighted_prepared_and_named(tmp_path: Path) -> None:
    first, second = make_events(20, 1), make_events(30, 2)
    write_root(tmp_path / "a.root", first)
    write_root(tmp_path / "b.root", second)
    result = run_cache(
        tmp_path,
        dataset(tmp_path, sample("a.root", selection="SR & passHLT", weight="weight * 2")),
        dataset(
            tmp_path, sample("b.root", label="ttbar", sample="TT", year="UL16_preVFP"), name="bkg"
        ),
    )
    events = load_events(result)
    assert events.labels == ["ZZ", "ttbar"]
    assert events.samples == ["ZZ4b/UL18", "TT/UL16_preVFP"]
    assert len(events) == 40
    assert [row["events"] for row in result.data["chunks"]] == [14, 13, 13]
    assert result.data["summary"] == ["40 events: 10 ZZ, 30 ttbar"]
    assert {name: column.dtype for name, column in vars(events).items() if name[-1:] != "s"} == {
        "label": torch.int64,
        "weight": torch.float32,
        "sample": torch.int32,
        "run": torch.int64,
        "lumi": torch.int64,
        "event": torch.int64,
    }
    row = by_event(events)[1000 + 4]
    assert events.weight[row] == np.float32(first["weight"][4] * 2)
    assert (events.label[row], events.sample[row], events.lumi[row]) == (0, 0, 0)
    np.testing.assert_array_equal(events.inputs[row], expected_inputs(first, 4, 18))
    np.testing.assert_array_equal(
        events.inputs[by_event(events)[2003]], expected_inputs(second, 3, 16)
    )


def expected_inputs(columns: dict[str, Any], entry: int, year: int) -> torch.Tensor:
    """One event prepared from the columns, list by list."""
    features = ("pt", "eta", "phi", "mass")
    canjet = [columns[f"CanJet_{name}"][entry].tolist() for name in features]
    others = [columns[f"NotCanJet_{name}"][entry].tolist() for name in (*features, "isSelJet")]
    padded = [(row + [-1.0] * 8)[:8] for row in others]
    ancillary = [year, *(float(columns[name][entry]) for name in ("nSelJets", "xW", "xbW"))]
    tensors = (torch.tensor([row], dtype=torch.float64) for row in (canjet, padded, ancillary))
    return prepare(*tensors)[0]


def test_weights_are_scaled_over_the_dataset_or_for_each_label(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        write_root(tmp_path / f"{seed}.root", make_events(20, seed))
    samples = (sample("1.root", "2.root"), sample("3.root", label="ZH", sample="ZH4b"))
    whole = dataset(tmp_path, *samples, norm={"sum": 6, "by": "dataset"})
    labelled = dataset(tmp_path, *samples, norm={"sum": 2, "by": "label"})
    events = load_events(run_cache(tmp_path, whole))
    assert float(events.weight.double().sum()) == pytest.approx(6, rel=1e-6)
    result = run_cache(tmp_path, labelled)
    events = load_events(result)
    for label in (0, 1):
        total = events.weight[events.label == label].double().sum()
        assert float(total) == pytest.approx(2, rel=1e-6)
    assert [row["weight_sum"] for row in result.data["counts"]["labels"]] == pytest.approx([2, 2])


def test_the_order_depends_on_the_seed_and_not_on_chunks_or_steps(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", make_events(50))
    spec = dataset(tmp_path, sample("a.root", selection="SR"), norm={"sum": 1, "by": "dataset"})
    first = load_events(run_cache(tmp_path, spec, chunks=1))
    second = load_events(run_cache(tmp_path, spec, chunks=5, execution={"batch_skim": 7}))
    for name in ("inputs", "weight", "event"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    other = load_events(run_cache(tmp_path, spec, seed=8))
    assert not torch.equal(first.event, other.event)
    assert torch.equal(first.event.sort().values, other.event.sort().values)
    plain = load_events(run_cache(tmp_path, spec, shuffle=False))
    assert plain.event.tolist() == list(range(0, 50, 2))


@pytest.mark.parametrize(("size", "expected"), [(20, [20, 20, 10]), (25, [25, 25]), (99, [50])])
def test_chunks_of_a_size_are_full_but_for_the_last(
    tmp_path: Path, size: int, expected: list[int]
) -> None:
    write_root(tmp_path / "a.root", make_events(50))
    spec = dataset(tmp_path, sample("a.root"))
    result = run_cache(tmp_path, spec, chunks=None, chunk_size=size)
    assert [row["events"] for row in result.data["chunks"]] == expected
    event = load_events(result).event
    assert torch.equal(event, load_events(run_cache(tmp_path, spec, chunks=1)).event)


@pytest.mark.parametrize(("kind", "suffix"), [("zstd", ".zst"), ("lz4", ".lz4"), ("gzip", ".gz")])
def test_compressed_chunks_hold_the_same_events(tmp_path: Path, kind: str, suffix: str) -> None:
    write_root(tmp_path / "a.root", make_events(300))
    spec = dataset(tmp_path, sample("a.root"))
    plain = run_cache(tmp_path / "plain", spec)
    packed = run_cache(tmp_path / "packed", spec, compression=kind)
    for name in ("inputs", "label", "weight", "event"):
        assert torch.equal(getattr(load_events(plain), name), getattr(load_events(packed), name))
    path = packed.path("chunk-0001")
    assert path.name == f"chunk-0001.pt{suffix}"
    assert path.stat().st_size < plain.path("chunk-0001").stat().st_size
    path.write_bytes(path.read_bytes()[:-9] + b"not whole")
    assert "not a chunk of a cache: " in error_text(lambda: load_events(packed))


def test_counts_are_recorded_if_they_are_asked_for(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", make_events(10))
    result = run_cache(tmp_path, dataset(tmp_path, sample("a.root")), states=[])
    assert {*result.data} == {"labels", "samples", "sources", "chunks", "summary"}


def files_of(folder: Path) -> dict[str, bytes]:
    result = load_result(folder / "out" / "result.json")
    return {name: result.path(name).read_bytes() for name in result.files}


def test_files_that_are_read_and_written_together_give_the_same_bytes(tmp_path: Path) -> None:
    for seed in range(5):
        write_root(tmp_path / f"{seed}.root", make_events(20 + seed, seed))
    first = dataset(tmp_path, sample("0.root", "1.root", "2.root"), max_workers=2)
    second = dataset(tmp_path, sample("3.root", "4.root", sample="TT", label="ttbar"), name="TT")
    alone = run_cache(tmp_path, first, second, compression="zstd")
    expected = files_of(tmp_path)
    said = Said()
    execution = {"max_loaders": 4, "max_writers": 3, "batch_skim": 7}
    together = run_cache(
        tmp_path, first, second, compression="zstd", said=said, execution=execution
    )
    assert files_of(tmp_path) == expected
    assert together.inputs == alone.inputs
    assert together.data == alone.data
    done = [line["done"] for line in said.lines if line.get("step") == "read"]
    assert done == [1, 2, 3, 4, 5]


def test_of_several_files_that_fail_together_the_first_one_is_told(tmp_path: Path) -> None:
    for seed in range(4):
        write_root(
            tmp_path / f"{seed}.root", make_events(9, seed, **({"xbW": None} if seed else {}))
        )
    whole = dataset(tmp_path, sample(*(f"{seed}.root" for seed in range(4))), max_workers=3)
    text = refusal(tmp_path, whole, execution={"max_loaders": 3})
    assert text.startswith('DIR/1.root:Events: there is no branch "xbW"')


def test_a_norm_by_group_scales_samples_of_several_labels_together(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        write_root(tmp_path / f"{seed}.root", make_events(20, seed))
    samples = (
        sample("1.root", group="signal"),
        sample("2.root", label="ZH", sample="ZH4b", group="signal"),
        sample("3.root", label="data", sample="data"),
    )
    result = run_cache(tmp_path, dataset(tmp_path, *samples, norm={"sum": 2, "by": "group"}))
    sums = {row["label"]: row["weight_sum"] for row in result.data["counts"]["labels"]}
    assert sums["ZZ"] + sums["ZH"] == pytest.approx(2)
    assert sums["data"] == pytest.approx(2)
    assert sums["ZZ"] != pytest.approx(sums["ZH"], rel=1e-3)
    empty = sample("3.root", group="signal", weight="weight * 0")
    none = dataset(tmp_path, empty, norm={"sum": 2, "by": "group"})
    text = error_text(lambda: run_cache(tmp_path, none))
    assert 'the selected weights of group "signal" sum to 0; ' in text


def test_counts_and_sources_say_what_was_read_and_removed(tmp_path: Path) -> None:
    uuid = write_root(tmp_path / "a.root", make_events(20, 1, weight=np.full(20, 0.5)))
    write_root(tmp_path / "b.root", make_events(10, 2, passHLT=np.zeros(10, bool)))
    norm = {"sum": 10, "by": "dataset"}
    samples = sample("a.root", "b.root", selection="passHLT & SR")
    said = Said()
    result = run_cache(tmp_path, dataset(tmp_path, samples, norm=norm), said=said)
    row = {"events": 20, "selected": 10, "removed": 10, "weight_sum_read": 5.0, "weight_sum": 10.0}
    (counts,) = result.data["counts"]["datasets"]
    assert counts["files"][0] == row | {
        "sample": "ZZ4b/UL18",
        "label": "ZZ",
        "file": str(tmp_path / "a.root"),
    }
    assert (counts["events"], counts["selected"], counts["removed"]) == (30, 10, 20)
    assert result.data["counts"]["labels"][0]["removed"] == 20
    source = {"path": str(tmp_path / "a.root"), "uuid": uuid, "sample": "ZZ4b/UL18"}
    assert result.data["sources"][0] == source
    assert result.inputs[0].uuid == uuid
    assert len(result.inputs) == 2
    assert said.texts() == [f"no event of {tmp_path}/b.root passes the selection of signal"]
    read = [line for line in said.lines if line.get("step") == "read"]
    assert [line["done"] for line in read] == [1, 2]


def test_friends_bring_weights_and_may_replace_inputs(tmp_path: Path) -> None:
    base = tmp_path / "a.root"
    columns = make_events(10)
    write_root(base, columns)
    write_root(tmp_path / "f.root", {"FvT": np.arange(10) + 1.0, "xW": np.full(10, 9, np.float32)})
    ranges = [friend_chunk(tmp_path / "f.root", 0, 10, path="f.root")]
    write_json(tmp_path / "f.json", friend_json("FvT", ["FvT", "xW"], [(base, ranges)]))
    row = sample("a.root", friends=["f.json"], weight="weight * FvT")
    events = load_events(run_cache(tmp_path, dataset(tmp_path, row), shuffle=False))
    np.testing.assert_allclose(events.weight, columns["weight"] * np.arange(1, 11), rtol=1e-6)
    assert set(events.inputs[:, COLUMN_SLICES["ancillary"]][:, 2].tolist()) == {9.0}


def test_a_selection_of_nothing_is_refused(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", make_events(10))
    assert refusal(tmp_path, dataset(tmp_path, sample("a.root", selection="nSelJets > 99"))) == (
        'dataset "signal": no event is selected by "nSelJets > 99"'
    )
    write_root(tmp_path / "a.root", make_events(0))
    assert refusal(tmp_path, dataset(tmp_path, sample("a.root"))) == (
        'dataset "signal": no event is selected: its files hold none'
    )


def test_more_chunks_than_events_are_refused(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", make_events(10))
    one = dataset(tmp_path, sample("a.root"))
    assert refusal(tmp_path, one, chunks=11) == "11 chunks cannot be made of 10 events"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"selection": "SR &"}, 'selection: expression "SR &": column 5: invalid syntax'),
        (
            {"selection": "nSelJets"},
            'selection "nSelJets" is not true or false for each event but int32',
        ),
        (
            {"selection": "SR & nSelJets"},
            'selection: expression "SR & nSelJets": column 6: '
            '"&" needs true or false on each side, not int32',
        ),
        ({"weight": "SR"}, 'weight "SR" is true or false for each event, not a number'),
        ({"year": "2"}, 'the year "2" does not hold one number of two digits'),
        ({"year": "UL16_v22"}, 'the year "UL16_v22" does not hold one number of two digits'),
    ],
)
def test_specs_that_cannot_be_executed_are_refused(
    tmp_path: Path, changes: dict[str, str], expected: str
) -> None:
    write_root(tmp_path / "a.root", make_events(10))
    year = changes.get("year", "UL18")
    found = refusal(tmp_path, dataset(tmp_path, sample("a.root", **changes)), kind=SpecError)
    assert found == f'dataset "signal": sample ZZ4b/{year}: {expected}'


@pytest.mark.parametrize(
    ("year", "digits"), [("UL16_preVFP", 16), ("UL18", 18), ("2017", 17), ("17", 17)]
)
def test_the_year_is_two_digits(year: str, digits: int) -> None:
    assert two_digits(year, "") == digits


def test_columns_are_kept_of_the_selected_events(tmp_path: Path) -> None:
    events = make_events(10)
    write_root(tmp_path / "a.root", events)
    write_root(tmp_path / "b.root", make_events(10, seed=1))
    own = {"kl": "2.45", "high": "xW > 0", "twice": "2 * nSelJets"}
    rows = [
        sample("a.root", columns=own, selection="event % 2 == 0"),
        sample("b.root", sample="ttbar", label="ttbar", columns={"high": "xW > 0"}),
    ]
    result = run_cache(tmp_path, dataset(tmp_path, *rows), shuffle=False, chunks=2)
    found = load_events(result)
    assert list(found.columns) == ["kl", "high", "twice"]
    assert found.columns["high"].dtype == torch.bool
    assert found.columns["kl"].tolist()[:5] == [2.45] * 5
    assert found.columns["kl"][5:].isnan().all()
    kept = np.asarray(events["event"]) % 2 == 0
    expected = 2.0 * np.asarray(events["nSelJets"])[kept]
    assert found.columns["twice"].tolist()[:5] == expected.tolist()
