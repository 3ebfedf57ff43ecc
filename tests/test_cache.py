"""The cache task: what it selects, how it weighs and shuffles, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hcrc.runtime.data.cache import Events, load_events
from hcrc.runtime.data.dataset import two_digits
from hcrc.runtime.errors import DataError, JobError, SpecError
from hcrc.runtime.nn.prepare import COLUMN_SLICES, prepare
from hcrc.runtime.result import Result, load_result
from hcrc.runtime.tasks import cache

from .data_files import (
    Events as Said,
)
from .data_files import (
    dataset,
    error_text,
    friend_chunk,
    friend_json,
    leftovers,
    make_cell,
    make_context,
    make_events,
    make_lists,
    sample,
    simulated_data,
    write_json,
    write_root,
)


def run_cache(
    folder: Path,
    *datasets: dict[str, Any],
    said: Said | None = None,
    execution: dict[str, int] | None = None,
    **changes: Any,
) -> Result:
    spec = {"datasets": list(datasets), "shuffle": True, "seed": 7, "chunks": 3}
    spec |= {"states": ["counts"]} | changes
    output = folder / "out"
    cache.run([make_cell("cache", spec, output)], make_context(said, **(execution or {})))
    return load_result(output / "result.json")


def refusal(folder: Path, *datasets: dict[str, Any], kind: type = DataError, **more: Any) -> str:
    """The whole message, with the folder as DIR; nothing may be left in the output folder."""
    with pytest.raises(JobError) as error:
        run_cache(folder, *datasets, **more)
    assert type(error.value) is kind
    assert leftovers(folder / "out") == []
    return str(error.value).replace(str(folder), "DIR")


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
