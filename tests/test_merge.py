"""The merge task: the mean over seeds, and the proof that no model scored what it trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hcrc.runtime.data.friend import parse_friend, read_friend
from hcrc.runtime.data.ids import Ids, find_common, find_duplicate
from hcrc.runtime.data.root import open_joined
from hcrc.runtime.data.truth import load_truth, write_truth
from hcrc.runtime.errors import DataError, JobError, SpecError
from hcrc.runtime.nn.roc import roc
from hcrc.runtime.result import Heir, Result, load_result
from hcrc.runtime.stale import KnownResults, PlannedCell, find_changes, stale_reason
from hcrc.runtime.tasks import evaluate, merge, train
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .data_files import (
    NAMING,
    copy_folder,
    edit_json,
    error_text,
    evaluate_spec,
    leftovers,
    make_cell,
    make_context,
    make_events,
    make_trained,
    mutate,
    read_tree,
    reference,
    rewrite_root,
    small_dataset,
    train_spec,
    write_json,
    write_root,
)

OFFSETS = (0, 1)
COLUMNS = ["q_1234", "q_1324", "q_1423", "p_ZZ", "p_ttbar", "p_all"]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_trained(tmp_path_factory.mktemp("evaluated"))
    for offset in OFFSETS:
        run_evaluate(folder, offset)
    return folder


@pytest.fixture
def copy(evaluated: Path, tmp_path: Path) -> Path:
    return copy_folder(evaluated, tmp_path / "copy")


def run_evaluate(folder: Path, offset: int, **changes: Any) -> None:
    name = f"evaluate{offset}"
    spec = evaluate_spec(folder, offset, **changes)
    evaluate.run([make_cell("evaluate", spec, folder / name, name)], make_context())


def run_merge(
    folder: Path,
    offsets: tuple[int, ...] = OFFSETS,
    execution: dict[str, Any] | None = None,
    **changes: Any,
) -> Result:
    names = [f"evaluate{offset}" for offset in offsets]
    spec = {"predictions": [reference(name, folder / name) for name in names]}
    spec |= {"name": "SvB", "naming": NAMING, "std": False} | changes
    merge.run([make_cell("merge", spec, folder / "merge")], make_context(**(execution or {})))
    return load_result(folder / "merge" / "result.json")


def refusal(folder: Path, *offsets: int) -> str:
    with pytest.raises(JobError) as error:
        run_merge(folder, offsets or OFFSETS)
    assert type(error.value) is DataError
    assert leftovers(folder / "merge") == []
    assert "\n" not in str(error.value)
    return str(error.value).replace(str(folder), "DIR")


def chunk(folder: Path, offset: int, fold: int, index: int) -> Path:
    result = load_result(folder / f"evaluate{offset}" / "result.json")
    return Path(result.data["friends"][fold]["data"][index][1][0]["chunk"]["path"])


def seed_columns(folder: Path, offset: int, index: int) -> dict[str, np.ndarray]:
    """One seed's scores, put together by hand."""
    first, second = (read_tree(chunk(folder, offset, fold, index)) for fold in (0, 1))
    return {
        name: np.where(np.isnan(first[name]), second[name], first[name]).astype(np.float64)
        for name in first
    }


def test_columns_are_means_over_seeds_and_spreads_on_request(copy: Path) -> None:
    result = run_merge(copy, std=True)
    for index in (0, 1):
        merged = read_tree(result.path(f"chunk-{index:04d}"))
        assert list(merged) == [*COLUMNS, *(f"{name}_std" for name in COLUMNS)]
        seeds = [seed_columns(copy, offset, index) for offset in OFFSETS]
        for name in COLUMNS:
            values = np.stack([seed[name] for seed in seeds])
            np.testing.assert_array_equal(merged[name], values.mean(axis=0).astype(np.float32))
            np.testing.assert_allclose(merged[f"{name}_std"], values.std(axis=0), atol=1e-7)
            assert merged[name].dtype == np.float32
    assert result.data["events"] == 80
    assert [(row["seed"], row["offset"]) for row in result.data["seeds"]] == [(5, 0), (5, 1)]


def test_an_output_is_the_mean_of_the_seeds_outputs(copy: Path) -> None:
    for offset in OFFSETS:
        run_evaluate(copy, offset, outputs={"ratio": "p_ZZ / p_ttbar"})
    merged = read_tree(run_merge(copy).path("chunk-0000"))
    assert list(merged) == [*COLUMNS[:5], "ratio"]
    seeds = [seed_columns(copy, offset, 0)["ratio"] for offset in OFFSETS]
    np.testing.assert_array_equal(merged["ratio"], np.mean(seeds, axis=0).astype(np.float32))


@pytest.mark.parametrize(("step", "ends"), [(15, [15, 30, 40]), (20, [20, 40]), (99, [40])])
def test_files_of_a_step_make_up_the_same_friend_tree(
    copy: Path, step: int, ends: list[int]
) -> None:
    whole = [read_tree(run_merge(copy).path(f"chunk-{index:04d}")) for index in (0, 1)]
    result = run_merge(copy, step=step)
    friend = result.data["friend"]
    assert [row["stop"] for row in friend["data"][0][1]] == ends
    assert len(result.files) == 2 * len(ends)
    tree = parse_friend(friend, "")
    for index, name in enumerate(("a.root", "b.root")):
        with open_joined(copy / name, "Events", [tree], COLUMNS, lambda p, u: None) as joined:
            for column in COLUMNS:
                np.testing.assert_array_equal(joined.read_flat(column, 0, 40), whole[index][column])


def test_files_of_a_step_need_names_of_their_own(copy: Path) -> None:
    with pytest.raises(SpecError) as error:
        run_merge(copy, step=30, naming="{path0}_{name}.root")
    text = f"entries 30 to 40 of {copy}/a.root and those before them would both be a_SvB.root"
    assert str(error.value).endswith(text)


def test_files_that_are_merged_together_give_the_same(copy: Path) -> None:
    alone = run_merge(copy, std=True)
    columns = [read_tree(alone.path(f"chunk-{index:04d}")) for index in (0, 1)]
    both = run_merge(copy, std=True, execution={"workers": 3, "batch_skim": 7})
    assert [row.path for row in both.inputs] == [f"{copy}/a.root", f"{copy}/b.root"]
    assert both.inputs == alone.inputs
    assert both.data["auc"] == alone.data["auc"]
    for index in (0, 1):
        for name, values in read_tree(both.path(f"chunk-{index:04d}")).items():
            np.testing.assert_array_equal(values, columns[index][name])


def test_scores_of_another_stage_are_refused(copy: Path) -> None:
    with pytest.raises(DataError) as error:
        run_merge(copy, stage="training")
    assert str(error.value) == (
        f"{copy}/evaluate0/result.json: has the scores of stage 'final', and those of stage "
        '"training" are merged'
    )


def forget_stage(evaluation: Any) -> None:
    del evaluation["data"]["stage"]


def forget_stages(training: Any) -> None:
    for row in training["data"]["models"]:
        del row["stages"]


def test_scores_of_models_with_and_without_fine_tuning_are_refused(copy: Path) -> None:
    spec = train_spec(copy / "cache", offset=1)
    spec["finetuning"] = spec["training"]
    train.run([make_cell("train", spec, copy / "train1", "train1")], make_context())
    run_evaluate(copy, 1)
    assert (refused := refusal(copy)) == (
        "DIR/evaluate1/result.json: has the scores of models with fine-tuning, and "
        "DIR/evaluate0/result.json those of models without fine-tuning: only scores of one stage "
        "are averaged"
    )
    for offset in OFFSETS:
        edit_json(copy / f"evaluate{offset}" / "result.json", forget_stage)
    assert refusal(copy) == refused
    run_evaluate(copy, 1, stage="training")
    run_evaluate(copy, 0, stage="training")
    assert run_merge(copy, stage="training").data["stage"] == "training"


def test_scores_of_before_stages_were_recorded_are_merged(copy: Path) -> None:
    whole = run_merge(copy).data
    for offset in OFFSETS:
        edit_json(copy / f"evaluate{offset}" / "result.json", forget_stage)
        edit_json(copy / f"train{offset}" / "result.json", forget_stages)
    again = run_merge(copy).data
    assert (again["stage"], again["auc"]) == ("training", whole["auc"])


def test_a_stage_that_there_is_not_is_refused(copy: Path) -> None:
    edit_json(copy / "evaluate1" / "result.json", lambda value: value["data"].update(stage="tuned"))
    assert refusal(copy) == (
        "DIR/evaluate1/result.json: data.stage: 'tuned' is none of training, finetuning"
    )


def test_a_base_file_that_has_changed_is_refused(copy: Path) -> None:
    write_root(copy / "b.root", make_events(40, 2))
    text = refusal(copy)
    assert text.startswith("DIR/b.root:Events: has 40 entries and uuid ")
    (copy / "b.root").unlink()
    assert refusal(copy) == "DIR/b.root: No such file or directory"


def planned(result: Result) -> PlannedCell:
    return make_cell("evaluate", result.spec, result.folder, result.cell)


def test_clean_removes_what_was_merged_and_the_evaluations_hold(copy: Path) -> None:
    whole = [load_result(copy / f"evaluate{offset}" / "result.json") for offset in OFFSETS]
    merged = run_merge(copy, execution={"clean": True})
    assert load_result(copy / "merge" / "result.json") == merged
    assert {*read_tree(merged.path("chunk-0001"))} == {*COLUMNS}
    for before in whole:
        after = load_result(before.folder / "result.json")
        assert (after.uuid, after.heir) == (
            before.uuid,
            Heir(f"{copy}/merge/result.json", "merge", merged.uuid),
        )
        assert {*after.files} == {"truth-0000", "truth-0001"}
        assert not [*before.folder.rglob("*.root")]
        assert not (before.folder / before.attempt / "chunks").exists()
        assert stale_reason(planned(after)) is None
    assert [change.reason for change in find_changes(merged, KnownResults())] == []
    text = "its friend trees were removed when merge was made of them: run evaluate0 again"
    with pytest.raises(DataError, match=text):
        run_merge(copy)
    merged.path("chunk-0001").unlink()
    reason = stale_reason(planned(load_result(whole[0].folder / "result.json")))
    assert reason is not None
    assert reason.startswith("outputs were removed when merge was made of them, and its output ")
    (copy / "merge" / "result.json").unlink()
    reason = stale_reason(planned(load_result(whole[0].folder / "result.json")))
    assert reason is not None
    assert "made of them, and its result is gone: " in reason


def test_nothing_is_removed_where_the_merge_fails(copy: Path) -> None:
    (copy / "b.root").unlink()
    with pytest.raises(DataError):
        run_merge(copy, execution={"clean": True})
    assert load_result(copy / "evaluate0" / "result.json").heir is None
    assert chunk(copy, 0, 0, 0).exists()


def test_one_seed_is_its_own_mean(copy: Path) -> None:
    result = run_merge(copy, (1,))
    merged = read_tree(result.path("chunk-0000"))
    assert list(merged) == COLUMNS
    for name, values in seed_columns(copy, 1, 0).items():
        np.testing.assert_array_equal(merged[name], values.astype(np.float32))
    assert result.data["auc"] == result.data["auc_by_seed"][0]


def test_the_result_is_a_friend_tree_and_its_auc_is_what_the_tree_gives(copy: Path) -> None:
    result = run_merge(copy)
    friend = read_friend("merge/result.json@@data.friend", str(copy))
    label, weight, score = [], [], []
    for index, name in enumerate(("a.root", "b.root")):
        with open_joined(copy / name, "Events", [friend], ["p_ttbar"], lambda p, u: None) as tree:
            values = tree.read_flat("p_ttbar", 0, tree.entries)
        path = load_result(copy / "evaluate0" / "result.json").path(f"truth-{index:04d}")
        truth = load_truth(path, 40, 2, 2)
        label.append(truth.label[truth.selected])
        weight.append(truth.weight[truth.selected])
        score.append(values[truth.selected].astype(np.float64))
    expected = roc(np.concatenate(score), np.concatenate(label) == 1, np.concatenate(weight)).auc
    assert result.data["auc"] == {"ttbar vs ZZ": expected}
    assert result.data["summary"] == [f"AUC ttbar vs ZZ {expected:.4f}, 80 events merged"]
    assert merge.summarise({"a": None, "b": 0.5}, 3) == [
        "AUC a not measured, 3 events merged",
        "AUC b 0.5000",
    ]
    assert merge.summarise({}, 3) == ["3 events merged"]
    assert len(result.data["auc_by_seed"]) == 2


def plant_ids(folder: Path, offset: int, fold: int, entry: int) -> None:
    """Make training record one event of ``b.root`` more."""
    path = load_result(folder / f"train{offset}" / "result.json").path(f"ids-{fold}")
    with np.load(path) as file:
        ids = dict(file)
    event = read_tree_ids(folder / "b.root", entry) | {"sample": 1}
    add_event(path, ids, event)


def add_event(path: Path, ids: dict[str, np.ndarray], event: dict[str, int]) -> None:
    np.savez(path, **{n: np.append(c, c.dtype.type(event[n])) for n, c in ids.items()})


def read_tree_ids(path: Path, entry: int) -> dict[str, int]:
    columns = read_tree(path)
    names = {"run": "run", "lumi": "luminosityBlock", "event": "event"}
    return {name: int(columns[branch][entry]) for name, branch in names.items()}


def test_a_leaked_event_is_named_though_the_fold_rule_holds(copy: Path) -> None:
    plant_ids(copy, 1, 1, 17)
    assert refusal(copy) == (
        "DIR/evaluate1/result.json: 1 event was scored by the model of fold 1, "
        "which trained on it: TT/UL18 1:1:2017"
    )


def test_many_leaked_events_are_counted_and_the_first_are_named(copy: Path) -> None:
    for entry in (37, 1, 9, 5, 25):
        plant_ids(copy, 0, 1, entry)
    assert refusal(copy) == (
        "DIR/evaluate0/result.json: 5 events were scored by the model of fold 1, which trained "
        "on it: TT/UL18 1:0:2001, TT/UL18 1:0:2005, TT/UL18 1:0:2009, ..."
    )


def test_an_event_of_the_same_number_in_another_sample_is_no_leak(copy: Path) -> None:
    path = load_result(copy / "train0" / "result.json").path("ids-0")
    with np.load(path) as file:
        ids = dict(file)
    event = read_tree_ids(copy / "b.root", 0) | {"sample": 0}
    add_event(path, ids, event)
    assert run_merge(copy).data["events"] == 80


def set_scores(columns: dict[str, np.ndarray], entry: int, value: float) -> None:
    for column in columns.values():
        column[entry] = value


def test_an_event_without_a_score_is_named(copy: Path) -> None:
    rewrite_root(chunk(copy, 1, 0, 0), lambda columns: set_scores(columns, 4, np.nan))
    assert refusal(copy) == (
        "DIR/evaluate1/result.json: 1 event was scored by no model: ZZ4b/UL18 1:0:1004"
    )


def test_an_event_with_two_scores_is_named(copy: Path) -> None:
    rewrite_root(chunk(copy, 0, 0, 1), lambda columns: set_scores(columns, 3, 0.5))
    rewrite_root(chunk(copy, 0, 0, 0), lambda columns: set_scores(columns, 39, 0.5))
    assert refusal(copy) == (
        "DIR/evaluate0/result.json: 2 events were scored by more than one model: "
        "ZZ4b/UL18 1:3:1039, TT/UL18 1:0:2003"
    )


def test_an_event_with_half_a_score_is_named(copy: Path) -> None:
    path = chunk(copy, 0, 0, 0)

    def remove(columns: dict[str, np.ndarray]) -> None:
        columns["p_ZZ"][6] = np.nan

    rewrite_root(path, remove)
    found = f'{path}:Events: branch "p_ZZ" entry 6: nan beside columns with a score'
    assert refusal(copy) == found.replace(str(copy), "DIR")


def test_events_are_those_of_the_base_in_its_order(copy: Path) -> None:
    for offset in OFFSETS:
        result = load_result(copy / f"evaluate{offset}" / "result.json")
        paths = [result.path(f"truth-{index:04d}") for index in (0, 1)]
        truths = [load_truth(path, 40, 2, 2) for path in paths]
        for name in ("sample", "run", "lumi", "event"):
            getattr(truths[1], name)[7] = getattr(truths[0], name)[5]
        write_truth(paths[1], truths[1])
    text = 'DIR/b.root:Events: branch "event" entry 7: 2007, and 1005 was scored'
    assert refusal(copy) == text


def test_seeds_must_have_scored_the_same_files(copy: Path) -> None:
    def remove(value: dict[str, Any]) -> None:
        value["data"]["sources"].pop()

    edit_json(copy / "evaluate1" / "result.json", remove)
    text = "DIR/b.root: was scored in DIR/evaluate0/result.json but not in "
    assert refusal(copy) == f"{text}DIR/evaluate1/result.json"
    assert refusal(copy, 1, 0) == f"{text}DIR/evaluate1/result.json"


def test_seeds_must_have_the_same_truth(copy: Path) -> None:
    changed = small_dataset(copy)
    changed["norm"]["sum"] = 7
    run_evaluate(copy, 1, datasets=[changed])
    assert refusal(copy) == (
        "DIR/a.root: DIR/evaluate1/result.json has another weight than DIR/evaluate0/result.json"
    )


def test_seeds_must_have_the_same_classifier(copy: Path) -> None:
    edit_json(
        copy / "evaluate1" / "result.json",
        lambda value: value["data"]["classifier"].update(name="other"),
    )
    assert refusal(copy) == (
        "DIR/evaluate1/result.json: has another classifier than DIR/evaluate0/result.json"
    )


def test_the_same_models_do_not_count_twice(copy: Path) -> None:
    assert refusal(copy, 0, 0) == (
        "DIR/evaluate0/result.json: scored with the same models as DIR/evaluate0/result.json"
    )


def test_models_that_were_made_again_are_refused(copy: Path) -> None:
    edit_json(copy / "train1" / "result.json", lambda value: value.update(uuid="new"))
    assert refusal(copy) == (
        "DIR/train1/result.json: made again since DIR/evaluate1/result.json used its models"
    )


def test_a_file_must_have_been_the_same_sample_in_the_training(copy: Path) -> None:
    def rename(value: dict[str, Any]) -> None:
        value["data"]["sources"][1]["sample"] = "TTbar/UL18"

    edit_json(copy / "train0" / "result.json", rename)
    assert refusal(copy) == (
        "DIR/b.root: is sample TT/UL18 in DIR/evaluate0/result.json "
        "but was TTbar/UL18 in DIR/train0/result.json"
    )


def test_evaluations_of_another_definition_are_refused(copy: Path) -> None:
    edit_json(copy / "evaluate0" / "result.json", lambda value: value.update(hash="other"))
    assert refusal(copy) == "DIR/evaluate0/result.json: made from another definition of evaluate0"


def test_a_friend_file_that_is_gone_is_named(copy: Path) -> None:
    path = chunk(copy, 0, 1, 0)
    path.unlink()
    assert refusal(copy) == f"{path}: No such file or directory".replace(str(copy), "DIR")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_results_that_were_edited_are_merged_or_refused_in_a_line(
    evaluated: Path, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["evaluate0", "train0"]))
    path = evaluated / name / "result.json"
    original = path.read_text("utf-8")
    value = json.loads(original)
    write_json(path, value | {"data": mutate(data, value["data"])})
    try:
        assert error_text(lambda: run_merge(evaluated)).isprintable()
    finally:
        path.write_text(original, "utf-8")
        shutil.rmtree(evaluated / "merge")


def set_column(path: Path, name: str, value: np.ndarray) -> None:
    with np.load(path) as file:
        columns = dict(file)
    np.savez(path, **(columns | {name: value}))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("label", np.full(40, 2, np.int32), "label entry 0: 2 of 2"),
        ("label", np.full(40, -2, np.int32), "label entry 0: -2 of 2"),
        ("sample", np.full(40, 9, np.int32), "sample entry 0: 9 of 2"),
        ("weight", np.full(40, np.nan), "a weight is not a finite number"),
        ("weight", np.full(39, 1.0), "columns of unequal length"),
        ("event", np.zeros((40, 2), np.int64), "event is not a column of int64"),
        ("event", np.zeros(40), "event is not a column of int64"),
        ("run", np.array([None] * 40), "cannot be read: Object arrays cannot be loaded when"),
    ],
)
def test_a_truth_that_is_none_is_refused(
    copy: Path, name: str, value: np.ndarray, expected: str
) -> None:
    path = load_result(copy / "evaluate0" / "result.json").path("truth-0000")
    set_column(path, name, value)
    assert refusal(copy).startswith(f"{path}: {expected}".replace(str(copy), "DIR"))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", b"\x93NUMPY", b"\x80\x04N."])
def test_ids_that_are_none_are_refused(copy: Path, content: bytes) -> None:
    path = load_result(copy / "train1" / "result.json").path("ids-0")
    path.write_bytes(content)
    assert ": cannot be read: " in refusal(copy)
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))
    assert ": cannot be read: " in refusal(copy)


def test_an_infinite_score_is_named(copy: Path) -> None:
    rewrite_root(chunk(copy, 0, 0, 0), lambda columns: set_scores(columns, 6, np.inf))
    assert refusal(copy).endswith('.root:Events: branch "q_1234" entry 6: inf')


def test_ids_are_compared_exactly() -> None:
    random = np.random.Generator(np.random.PCG64(3))
    ids = Ids(*random.integers(0, 9, (4, 2000)))
    others = Ids(*random.integers(0, 9, (4, 500)))
    rows = {others.row(index) for index in range(500)}
    expected = [index for index in range(2000) if ids.row(index) in rows]
    assert find_common(ids, others).tolist() == expected
    again = next(i for i in range(2000) if ids.row(i) in {ids.row(j) for j in range(i)})
    found = find_duplicate(ids)
    assert found is not None
    assert found[1] == again
    assert ids.row(found[0]) == ids.row(again)
    assert find_duplicate(ids.take(np.arange(again))) is None
