"""The evaluate task: who scores what, what is written, and what is refused."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hcrc.runtime.data.cache import load_events
from hcrc.runtime.data.truth import load_truth
from hcrc.runtime.errors import DataError, JobError, SpecError
from hcrc.runtime.nn.folds import random_folds
from hcrc.runtime.nn.model import load_model
from hcrc.runtime.result import Result, load_result
from hcrc.runtime.tasks import cache, evaluate, train
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .data_files import (
    CLASSES,
    SELECTION,
    copy_folder,
    dataset,
    edit_json,
    error_text,
    evaluate_spec,
    friend_chunk,
    friend_json,
    leftovers,
    make_cell,
    make_context,
    make_events,
    make_trained,
    mutate,
    read_tree,
    reference,
    sample,
    small_dataset,
    train_spec,
    write_json,
    write_root,
)

COLUMNS = ["q_1234", "q_1324", "q_1423", "p_ZZ", "p_ttbar", "p_all"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_trained(tmp_path_factory.mktemp("trained"))


def run_evaluate(trained: Path, output: Path, **changes: Any) -> Result:
    cell = make_cell("evaluate", evaluate_spec(trained, **changes), output)
    evaluate.run([cell], make_context())
    return load_result(output / "result.json")


def refusal(trained: Path, output: Path, kind: type = DataError, **changes: Any) -> str:
    with pytest.raises(JobError) as error:
        run_evaluate(trained, output, **changes)
    assert type(error.value) is kind
    assert leftovers(output) == []
    text = str(error.value).replace(str(output.parent), "OUT")
    assert "\n" not in text
    return text.replace(str(trained), "DIR")


def chunk_columns(result: Result, fold: int, index: int) -> dict[str, np.ndarray]:
    ranges = result.data["friends"][fold]["data"][index][1]
    return read_tree(ranges[0]["chunk"]["path"])


def test_each_model_scores_its_own_fold_and_no_other(trained: Path, tmp_path: Path) -> None:
    result = run_evaluate(trained, tmp_path / "out")
    for index, name in enumerate(("a.root", "b.root")):
        event = read_tree(trained / name, "Events")["event"]
        for fold in (0, 1):
            columns = chunk_columns(result, fold, index)
            assert list(columns) == COLUMNS
            for column in columns.values():
                assert column.dtype == np.float32
                np.testing.assert_array_equal(np.isnan(column), event % 2 != fold)
            views = sum(columns[name] for name in COLUMNS[:3])
            np.testing.assert_allclose(views[event % 2 == fold], 1, rtol=1e-6)
            np.testing.assert_allclose(columns["p_all"][event % 2 == fold], 1, rtol=1e-6)


def test_scores_are_those_of_the_model_whatever_the_batch(trained: Path, tmp_path: Path) -> None:
    spec = {"datasets": [dataset(trained, sample("a.root"))], "shuffle": False}
    spec |= {"seed": 0, "chunks": 1}
    cache.run([make_cell("cache", spec, tmp_path / "cache")], make_context())
    events = load_events(load_result(tmp_path / "cache" / "result.json"))
    result = run_evaluate(trained, tmp_path / "out")
    model = load_model(load_result(trained / "train0" / "result.json").path("model-1"))
    classes, views = model.predict(events.inputs, 1000)
    columns = chunk_columns(result, 1, 0)
    own = events.event.numpy() % 2 == 1
    np.testing.assert_allclose(columns["p_ttbar"][own], classes[own, 1], rtol=1e-5)
    np.testing.assert_allclose(columns["q_1423"][own], views[own, 2], rtol=1e-5)


def test_the_result_says_what_a_merge_needs(trained: Path, tmp_path: Path) -> None:
    result = run_evaluate(trained, tmp_path / "out")
    data = result.data
    train = load_result(trained / "train0" / "result.json")
    assert (data["kfolds"], data["seed"], data["offset"], data["name"]) == (2, 5, 0, "SvB")
    assert data["labels"] == CLASSES
    assert data["samples"] == ["ZZ4b/UL18", "TT/UL18"]
    assert data["models"]["uuid"] == train.uuid
    assert data["models"]["models"][1] == {"fold": 1, "ids": str(train.path("ids-1"))}
    row = data["sources"][1]
    assert (row["path"], row["entries"], row["sample"]) == (str(trained / "b.root"), 40, "TT/UL18")
    assert result.upstream[0].uuid == train.uuid
    assert {Path(file.path).name for file in result.inputs} == {"a.root", "b.root"}
    chunk = data["friends"][0]["data"][0][1][0]["chunk"]
    uuid = data["sources"][0]["uuid"]
    assert Path(chunk["path"]).name == f"SvB_{uuid}_0_40.root"
    assert Path(chunk["path"]).is_absolute()


def test_the_truth_has_every_event_and_the_weights_of_the_selected(
    trained: Path, tmp_path: Path
) -> None:
    result = run_evaluate(trained, tmp_path / "out")
    truth = load_truth(result.path("truth-0001"), 40, 2, 2)
    columns = make_events(40, 2)
    selected = columns["event"] % 4 < 2
    np.testing.assert_array_equal(truth.event, columns["event"])
    np.testing.assert_array_equal(truth.selected, selected)
    np.testing.assert_array_equal(truth.label, np.where(selected, 1, -1))
    np.testing.assert_array_equal(truth.scored_by, columns["event"] % 2)
    assert truth.weight.sum() == pytest.approx(6)
    assert not truth.weight[~selected].any()


def test_a_file_of_two_datasets_is_scored_once(trained: Path, tmp_path: Path) -> None:
    other = dataset(
        trained, sample("a.root", selection="event % 4 == 2", label="ttbar"), name="other"
    )
    result = run_evaluate(trained, tmp_path / "out", datasets=[small_dataset(trained), other])
    assert len(result.data["sources"]) == 2
    truth = load_truth(result.path("truth-0000"), 40, 2, 2)
    assert truth.label[:4].tolist() == [0, 0, 1, -1]


def two_datasets(trained: Path, **changes: Any) -> list[dict[str, Any]]:
    """The first ten events of ``a.root``, and two of them again."""
    one = dataset(trained, sample("a.root", selection="event < 1010"))
    two = sample("a.root", selection="(event == 1003) | (event == 1005)", **changes)
    return [one, dataset(trained, two, name="other")]


def test_an_event_with_two_labels_is_refused(trained: Path, tmp_path: Path) -> None:
    found = refusal(trained, tmp_path / "out", datasets=two_datasets(trained, label="ttbar"))
    weight = make_events(40, 1)["weight"][3]
    assert found == (
        f"DIR/a.root: event ZZ4b/UL18 1:0:1003 is selected as ZZ of weight {weight} by signal "
        f"and as ttbar of weight {weight} by other"
    )


def test_an_event_with_two_weights_is_refused(trained: Path, tmp_path: Path) -> None:
    two = two_datasets(trained, weight="where(event == 1005, 2, 1) * weight")
    weight = make_events(40, 1)["weight"][5]
    found = refusal(trained, tmp_path / "out", datasets=two)
    assert found == (
        f"DIR/a.root: event ZZ4b/UL18 1:0:1005 is selected as ZZ of weight {weight} by signal "
        f"and as ZZ of weight {2 * weight} by other"
    )
    result = run_evaluate(trained, tmp_path / "out", datasets=two_datasets(trained))
    assert load_truth(result.path("truth-0000"), 40, 1, 1).selected.sum() == 10


def test_an_event_of_two_files_is_refused(trained: Path, tmp_path: Path) -> None:
    columns = make_events(40, 1)
    columns["event"][:39] += 500
    write_root(tmp_path / "copy.root", columns)
    files = ["a.root", str(tmp_path / "copy.root")]
    row = dataset(trained, sample(*files, selection="event < 1010"))
    assert refusal(trained, tmp_path / "out", datasets=[row]) == (
        "event ZZ4b/UL18 1:3:1039 is read twice: DIR/a.root and OUT/copy.root"
    )


def test_a_file_of_two_samples_is_refused(trained: Path, tmp_path: Path) -> None:
    other = dataset(trained, sample("a.root", sample="ZH4b"), name="other")
    found = refusal(trained, tmp_path / "out", datasets=[small_dataset(trained), other])
    assert found == "DIR/a.root: is sample ZZ4b/UL18 in signal and ZH4b/UL18 in other"


def test_inputs_from_different_friends_are_refused(trained: Path, tmp_path: Path) -> None:
    for branch, column in (("xW", np.ones(40, np.float32)), ("event", np.arange(40))):
        write_root(tmp_path / "f.root", {branch: column})
        rows = [friend_chunk(tmp_path / "f.root", 0, 40)]
        value = friend_json("f", [branch], [(trained / "a.root", rows)])
        path = write_json(tmp_path / "f.json", value)
        other = dataset(trained, sample("a.root", friends=[str(path)]), name="other")
        found = refusal(trained, tmp_path / "out", datasets=[small_dataset(trained), other])
        text = f'DIR/a.root: signal and other read branch "{branch}" from different friend trees'
        assert found == text


def test_an_event_that_cannot_be_scored_is_refused_even_if_not_selected(
    trained: Path, tmp_path: Path
) -> None:
    columns = make_events(10, 7)
    columns["xbW"][3] = np.nan
    write_root(tmp_path / "n.root", columns)
    row = sample(str(tmp_path / "n.root"), selection=SELECTION)
    found = refusal(trained, tmp_path / "out", datasets=[dataset(trained, row)])
    assert found == 'OUT/n.root:Events: branch "xbW" entry 3: nan'


def test_names_must_tell_the_files_apart(trained: Path, tmp_path: Path) -> None:
    found = refusal(trained, tmp_path / "out", kind=SpecError, naming="{name}.root")
    assert found == 'naming "{name}.root": DIR/a.root and DIR/b.root would both be SvB.root'
    found = refusal(trained, tmp_path / "out", kind=SpecError, naming="{year}.root")
    assert found == (
        'naming "{year}.root": unknown field in braces; '
        "known: name, uuid, tree, start, stop, path0, path1, ..."
    )
    result = run_evaluate(trained, tmp_path / "out", naming="{path0}/{tree}.root")
    chunk = result.data["friends"][0]["data"][1][1][0]["chunk"]
    assert chunk["path"].endswith("chunks/fold-0/b/Events.root")


def test_every_fold_needs_a_model(trained: Path, tmp_path: Path) -> None:
    folder = copy_folder(trained, tmp_path / "copy")
    path = folder / "train0" / "result.json"
    edit_json(path, lambda value: value["data"]["models"].pop())
    found = refusal(folder, tmp_path / "out")
    assert found == "OUT/copy/train0/result.json: does not hold one model for each fold"


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_training_results_that_were_edited_are_used_or_refused_in_a_line(
    trained: Path, data: st.DataObject
) -> None:
    path = trained / "train1" / "result.json"
    original = path.read_text("utf-8")
    value = json.loads(original)
    write_json(path, value | {"data": mutate(data, value["data"])})
    work = partial(run_evaluate, trained, trained / "fuzz", offset=1)
    try:
        assert error_text(work).isprintable()
    finally:
        path.write_text(original, "utf-8")
        shutil.rmtree(trained / "fuzz")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", b"\x80\x02N."])
def test_a_model_that_is_none_is_refused(trained: Path, tmp_path: Path, content: bytes) -> None:
    folder = copy_folder(trained, tmp_path / "copy")
    path = load_result(folder / "train0" / "result.json").path("model-1")
    path.write_bytes(content)
    found = refusal(folder, tmp_path / "out")
    assert found.startswith(f"{path}: not a model of hcrc 1: ".replace(str(tmp_path), "OUT"))


def test_models_of_other_classes_are_refused(trained: Path, tmp_path: Path) -> None:
    folder = copy_folder(trained, tmp_path / "copy")
    path = folder / "train0" / "result.json"
    edit_json(path, lambda value: value["data"]["classifier"].update(classes=["ttbar", "ZZ"]))
    found = refusal(folder, tmp_path / "out")
    assert found == "OUT/copy/train0/result.json: its models are of another classifier"


def test_models_of_another_definition_are_refused(trained: Path, tmp_path: Path) -> None:
    folder = copy_folder(trained, tmp_path / "copy")
    edit_json(folder / "train0" / "result.json", lambda value: value.update(hash="other"))
    found = refusal(folder, tmp_path / "out")
    assert found == "OUT/copy/train0/result.json: made from another definition of train0"


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"p_ZZ": ["ZZ"]}, 'classifier: two outputs are called "p_ZZ"'),
        ({"p_x": ["WW"]}, 'classifier: output "p_x": no class "WW"; known: ZZ, ttbar'),
        ({"r": "p_WW / 2"}, 'classifier: output "r": no column "p_WW" before it'),
        (
            {"r": "later", "later": "p_ZZ"},
            'classifier: output "r": no column "later" before it',
        ),
        ({"r": "p_ZZ >"}, 'classifier: output "r": expression "p_ZZ >": column 7: invalid syntax'),
        ({"r": "p_ZZ > 1"}, 'output "r": "p_ZZ > 1" is true or false, not a number'),
    ],
)
def test_outputs_are_sums_of_classes_or_expressions_over_columns_before_them(
    trained: Path, tmp_path: Path, outputs: dict[str, Any], expected: str
) -> None:
    found = refusal(trained, tmp_path / "out", kind=SpecError, outputs=outputs)
    assert found.startswith(expected)


def test_outputs_are_computed_from_what_is_written_beside_them(
    trained: Path, tmp_path: Path
) -> None:
    outputs = {"sum": ["ZZ", "ttbar"], "r": "(p_ZZ - p_ttbar) / q_1234", "half": "r / 2 + 0 * sum"}
    result = run_evaluate(trained, tmp_path / "out", outputs=outputs)
    assert result.data["classifier"]["outputs"] == outputs
    assert result.data["friends"][0]["branches"] == [*COLUMNS[:5], "sum", "r", "half"]
    columns = {name: value.astype(float) for name, value in chunk_columns(result, 0, 1).items()}
    ratio = (columns["p_ZZ"] - columns["p_ttbar"]) / columns["q_1234"]
    np.testing.assert_array_equal(columns["r"], ratio.astype(np.float32))
    np.testing.assert_array_equal(columns["half"], (columns["r"] / 2).astype(np.float32))


@pytest.mark.parametrize(
    ("text", "value"),
    [("log(p_ZZ - 2)", "nan"), ("p_ZZ / (p_ZZ - p_ZZ)", "inf"), ("p_ZZ + (1e19 ** 3)", "inf")],
)
def test_an_output_without_a_value_is_refused_with_its_entry(
    trained: Path, tmp_path: Path, text: str, value: str
) -> None:
    found = refusal(trained, tmp_path / "out", outputs={"r": text})
    assert found == f"DIR/a.root:Events: entry 0: the model of fold 0 gives r {value}"


def test_files_that_are_scored_together_give_the_same_scores(trained: Path, tmp_path: Path) -> None:
    alone = run_evaluate(trained, tmp_path / "alone")
    cell = make_cell("evaluate", evaluate_spec(trained), tmp_path / "both")
    evaluate.run([cell], make_context(max_evaluators=3, batch_skim=7))
    both = load_result(tmp_path / "both" / "result.json")
    assert list(both.files) == list(alone.files)
    assert both.inputs == alone.inputs
    assert both.data["sources"] == alone.data["sources"]
    for fold in (0, 1):
        for index in (0, 1):
            one, other = chunk_columns(alone, fold, index), chunk_columns(both, fold, index)
            for name in COLUMNS:
                np.testing.assert_allclose(one[name], other[name], rtol=1e-6)


def test_an_empty_file_gets_an_empty_friend(trained: Path, tmp_path: Path) -> None:
    write_root(tmp_path / "empty.root", make_events(0))
    row = dataset(trained, sample(str(tmp_path / "empty.root"), "a.root"))
    result = run_evaluate(trained, tmp_path / "out", datasets=[row])
    assert result.data["sources"][0]["entries"] == 0
    assert len(chunk_columns(result, 0, 1)["p_ZZ"]) == 40


def test_random_folds_are_scored_by_the_model_that_did_not_see_them(
    trained: Path, tmp_path: Path
) -> None:
    random = train_spec(trained / "cache", folds="random", fold_seed="FvT random")
    train.run([make_cell("train", random, tmp_path / "train0", "train0")], make_context())
    models = {"models": reference("train0", tmp_path / "train0")}
    result = run_evaluate(trained, tmp_path / "out", **models)
    event = torch.from_numpy(read_tree(trained / "a.root", "Events")["event"]).long()
    fold = random_folds(2, "FvT random", 0).assign(event).numpy()
    assert 0 < fold.sum() < len(fold)
    for own in (0, 1):
        scored = ~np.isnan(chunk_columns(result, own, 0)["p_ZZ"])
        np.testing.assert_array_equal(scored, fold == own)


def test_some_of_the_folds_are_not_enough(trained: Path, tmp_path: Path) -> None:
    some = train_spec(trained / "cache", kfolds=4, fold_offsets=[0, 2])
    train.run([make_cell("train", some, tmp_path / "train0", "train0")], make_context())
    models = {"models": reference("train0", tmp_path / "train0")}
    assert refusal(trained, tmp_path / "out", **models) == (
        "OUT/train0/result.json: no model may score the events of fold 1, 3: "
        "only 0, 2 of 4 were trained (fold_offsets)"
    )


def test_stage_says_which_models_score(trained: Path, tmp_path: Path) -> None:
    spec = train_spec(trained / "cache")
    spec["finetuning"] = spec["training"] | {"learning_rate": 0.5}
    train.run([make_cell("train", spec, tmp_path / "train0", "train0")], make_context())
    models = {"models": reference("train0", tmp_path / "train0")}
    before = run_evaluate(trained, tmp_path / "before", stage="training", **models)
    after = run_evaluate(trained, tmp_path / "after", **models)
    plain = run_evaluate(trained, tmp_path / "plain")
    results = (before, after, plain)
    assert [row.data["stage"] for row in results] == ["training", "finetuning", "training"]
    scores = [chunk_columns(result, 0, 0)["p_ZZ"] for result in results]
    np.testing.assert_array_equal(scores[0], scores[2])
    assert np.nanmax(np.abs(scores[1] - scores[2])) > 0.01


def test_models_of_which_some_are_fine_tuned_are_refused(trained: Path, tmp_path: Path) -> None:
    copy = copy_folder(trained, tmp_path / "copy")

    def tune_one(value: Any) -> None:
        value["data"]["models"][0]["stages"] = {"final": "model-0", "training": "model-1"}

    edit_json(copy / "train0" / "result.json", tune_one)
    assert "train0/result.json: some of its models are fine-tuned, some not" in refusal(
        copy, tmp_path / "out"
    )
