"""One task on the command line: as a workflow, compiled, and its mistakes at the options."""

import json
import shlex
from pathlib import Path

import pytest
import yaml
from hcrc.compiler.cli import build_parser, main
from hcrc.compiler.commands.task import WITHOUT_OPTION
from hcrc.compiler.defaults import task_kinds, task_schema
from hcrc.compiler.nodes import to_plain
from hcrc.compiler.parse import parse
from hcrc.compiler.typed import Given, type_task
from hypothesis import given
from hypothesis import strategies as st

DEFINITIONS = """\
datasets:
  Data: {samples: [{sample: data, label: data, years: [UL18], files: [data.root]}]}
  Signal: {norm: {sum: 1}, samples: [{sample: ZZ, label: ZZ, years: [UL18], files: [ZZ.root]}]}
classifiers:
  SvB: {classes: [data, ZZ]}
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.yml").write_text(DEFINITIONS)
    return tmp_path


def task(capsys, *words, code=0):
    try:
        found = main(["task", *words])
    except SystemExit as end:
        found = end.code
    assert found == code
    return capsys.readouterr()


def as_workflow(capsys, *words):
    captured = task(capsys, *words, "--as-workflow")
    assert captured.err == ""
    return captured.out


def test_a_merge_is_printed_as_a_workflow(capsys):
    words = ["merge", "--predictions", "A/result.json", "B/result.json", "--name", "FvT"]
    assert (
        as_workflow(capsys, *words, "--workers", "8", "--output", "DIR")
        == """\
# hcrc task merge --predictions A/result.json B/result.json --name FvT --workers 8 --output DIR
hcrc: 1
name: merge
tasks:
  merge:
    task: merge
    predictions: [A/result.json, B/result.json]
    name: FvT
    workers: 8
    output: DIR
"""
    )


def test_a_bare_name_is_a_folder(capsys):
    words = ["merge", "--predictions", "A", "B/", "a b", "./C", "D/result.json"]
    assert '    predictions: [./A, B/, "./a b", ./C, D/result.json]\n' in as_workflow(
        capsys, *words
    )


def test_definitions_and_settings_are_printed_too(capsys):
    words = ["train", "--dataset", "cache/result.json", "--classifier", "{use: SvB}"]
    words += ["--training", "{epochs: 5}", "--for", "{offset: 0-2}", "--include", "d.yml"]
    words += ["--setting", "torch.DataLoader", "{batch_eval: 500}"]
    text = as_workflow(capsys, *words)
    assert yaml.safe_load(text) == {
        "hcrc": 1,
        "name": "train",
        "include": ["d.yml"],
        "tasks": {
            "train": {
                "task": "train",
                "dataset": "cache/result.json",
                "classifier": {"use": "SvB"},
                "training": {"epochs": 5},
                "for": {"offset": "0-2"},
                "settings": {"torch.DataLoader": {"batch_eval": 500}},
            }
        },
    }
    line = text.splitlines()[0].removeprefix("# hcrc ")
    assert as_workflow(capsys, *shlex.split(line)[1:]) == text


@pytest.mark.parametrize("kind", task_kinds())
def test_every_key_is_an_option_with_both_spellings(kind):
    options = build_parser("task")._option_string_actions
    for key in task_schema(kind)["properties"].keys() - {*WITHOUT_OPTION}:
        assert {f"--{key}", f"--{key.replace('_', '-')}"} <= options.keys()


def test_both_spellings_are_one_key(capsys):
    words = ["cache", "--include", "d.yml", "--datasets", "Data"]
    dashes = as_workflow(capsys, *words, "--max-writers", "2")
    underscores = as_workflow(capsys, *words, "--max_writers", "2")
    assert dashes.splitlines()[1:] == underscores.splitlines()[1:]
    assert "\n    max_writers: 2\n" in dashes


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--datasets", "Data"], "datasets: [Data]"),
        (["--datasets", "Data", "{use: Signal, norm: null}"],
         "datasets: [Data, {use: Signal, norm: null}]"),
        (["--datasets", "[Data, Signal]"], "datasets: [Data, Signal]"),
        (["--datasets", "- Data\n- Signal"], "datasets: [Data, Signal]"),
        (["--datasets", "use: Signal\nnorm: null"], "datasets: [{use: Signal, norm: null}]"),
        (["--output", "a b: c"], 'output: "a b: c"'),
        (["--output", "2024"], 'output: "2024"'),
        (["--shuffle", "false"], "shuffle: false"),
        (["--states", "labels", "samples"], "states: [labels, samples]"),
        (["--compression", "zstd"], "compression: zstd"),
        (["--chunk-size", "0x10"], "chunk_size: 0x10"),
        (["--for", "{seed: [1, 2]}"], "for: {seed: [1, 2]}"),
    ],
)  # fmt: skip
def test_words_are_yaml_where_they_are_no_texts(capsys, words, line):
    given_datasets = [] if words[0] == "--datasets" else ["--datasets", "Data"]
    text = as_workflow(capsys, "cache", "--include", "d.yml", *given_datasets, *words)
    assert f"\n    {line}\n" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: KIND"),
        (["trian"], """no kind of task 'trian': did you mean "train"?"""),
        (["merge", "--kflods", "3"], "unrecognized arguments: --kflods 3: did you mean --kfolds?"),
        (["evaluate", "--kfolds", "3"], "an evaluate task has no --kfolds"),
        (["merge", "--nme", "x"], "unrecognized arguments: --nme x: did you mean --name?"),
        (["merge", "--name"], "argument --name: expected at least one argument"),
        (["merge", "--name", "a", "--name", "b"], "--name is there twice"),
        (["merge", *["--setting", "IO", "{}"] * 2], "--setting IO is there twice"),
        (["merge", "-j", "0"], "'0' is not a number above 0"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_a_usage_error(capsys, words, message):
    captured = task(capsys, *words, code=2)
    assert message in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--chunks", "x"], '--chunks:1:1: error[wrong-type]: "chunks" is a string'),
        (["--chunk_size", "0"], "--chunk_size:1:1: error[out-of-bounds]"),
        (["--chunk-size", "0"], "--chunk-size:1:1: error[out-of-bounds]"),
        (["--states", "labels", "lables"], "--states:1:1: error[bad-choice]"),
        (["--for", "{seed: [}"], "--for:1:9: error[syntax]"),
        (["--resources", "{cpus: 1, gpsu: 1}"],
         '--resources:1:11: error[unknown-key]: unknown key "gpsu"'),
        (["--shuffle", "true", "false"], "--shuffle takes one value, not 2"),
        (["--setting", "io", "{}"], 'error[unknown-setting]: unknown setting "io"'),
        (["--setting", "IO", "{outpt: x}"], "--setting IO:1:2: error[unknown-key]"),
        (["--setting", "IO", "x"], "--setting IO:1:1: error[wrong-type]"),
        (["--include", "no.yml"], '--include:1:1: error[missing-file]: there is no file "no.yml"'),
        (["--output", "a\udcff"], "is not UTF-8 text"),
        (["--chunks", ""], "--chunks:1:1: error[no-value]: --chunks has no value"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", [["--as-workflow"], ["--dry-run"]])
def test_a_wrong_value_is_shown_at_its_option(capsys, place, words, message, how):
    first = ["cache", "--datasets", "Data", "--include", "d.yml"]
    captured = task(capsys, *first, *words, *how, code=1)
    assert message in captured.err
    assert captured.err.count("error[") == 1
    assert captured.out == ""
    assert [path.name for path in place.iterdir()] == ["d.yml"]


def test_what_is_missing_is_shown_at_the_command_line(capsys):
    captured = task(capsys, "cache", "--chunks", "3", "--as-workflow", code=1)
    assert captured.err.startswith(
        'hcrc task cache:1:1: error[missing-key]: a cache task needs "datasets"\n'
        "  |\n1 | hcrc task cache --chunks 3\n"
    )


def test_all_mistakes_are_said_at_once_and_as_json(capsys):
    words = ["cache", "--chunks", "x", "--shuffle", "1", "2", "--datasets", "[Data", "--format"]
    found = json.loads(task(capsys, *words, "json", "--as-workflow", code=1).out)
    places = [(item["code"], item["place"]["file"]) for item in found]
    assert sorted(places) == [
        ("bad-argument", "--shuffle"),
        ("unclosed", "--datasets"),
        ("wrong-type", "--chunks"),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Dta"], '--datasets:1:1: error[unknown-dataset]: there is no dataset "Dta"'),
        (["Signal", "{use: Dta}"], "--datasets:1:7: error[unknown-dataset]"),
        (["{use: Data, tree: [1]}"], "--datasets:1:19: error[wrong-type]"),
    ],
)
def test_what_compiling_finds_is_shown_at_its_option(capsys, words, message):
    first = ["cache", "--include", "d.yml", "--dry-run", "--datasets"]
    assert message in task(capsys, *first, *words, code=1).err


@pytest.fixture
def started(monkeypatch):
    """What the runtime was started with, each time; it does nothing."""
    calls = []
    monkeypatch.setattr(
        "hcrc.compiler.commands.task.start_runtime", lambda *words: calls.append(words) or 0
    )
    return calls


def test_the_printed_workflow_has_the_plan_of_the_task(capsys, place, started):
    words = ["cache", "--include", "d.yml", "--datasets", "Data", "{use: Signal, norm: null}"]
    words += ["--chunks", "3", "--output", "o", "--setting", "IO", "{output: base}"]
    task(capsys, *words, "-j", "2", "--force")
    ((bundles, command, options),) = started
    assert command == "run"
    assert options == ["--jobs=2", "--force"]
    (place / "hcrc task cache").write_text(as_workflow(capsys, *words))
    assert main(["compile", "hcrc task cache"]) == 0
    assert capsys.readouterr().out == f"{bundles[0]}\n"
    (job,) = map(json.loads, (bundles[0] / "jobs.jsonl").read_text().splitlines())
    assert job["cells"][0]["output"] == f"{place}/base/o"
    assert job["cells"][0]["spec"]["chunks"] == 3


def test_places_inside_of_quoted_texts_are_those_of_the_word(capsys):
    words = ["cache", "--include", "d.yml", "--datasets", "Data", "--dry-run", "--output"]
    err = task(capsys, *words, "a: {nothing}", code=1).err
    assert '--output:1:4: error[unknown-placeholder]: there is no parameter "nothing"' in err
    assert "1 | a: {nothing}\n  |    ^^^^^^^^^\n" in err


def test_a_bundle_of_a_task_can_be_traced(capsys, started):
    task(capsys, "cache", "--include", "d.yml", "--datasets", "Data", "--chunks", "3")
    (((bundle,), _, _),) = started
    assert main(["trace", str(bundle), "cache", "chunks"]) == 0
    assert "hcrc task cache:" in capsys.readouterr().out


@pytest.fixture
def results(place, capsys):
    """A folder of results, as an earlier run of whole chains would have left them."""
    assert main(["compile", "demo", "-o", "b", "--param", "offset=0-1", "--param", "store=r"]) == 0
    bundle = Path(capsys.readouterr().out.strip())
    for line in (bundle / "jobs.jsonl").read_text().splitlines():
        job = json.loads(line)
        for cell in job["cells"]:
            kept = {key: cell[key] for key in ("axes", "hash", "spec")}
            value = {"hcrc": 1, "cell": cell["id"], "task": job["task"], **kept}
            Path(cell["output"]).mkdir(parents=True)
            (Path(cell["output"]) / "result.json").write_text(json.dumps(value))
    return place / "r"


DEFINED = ("--include", "demo/definitions.yml")
SIGNAL = ("--datasets", "SvB.Signal")


@pytest.mark.parametrize(
    ("words", "cells", "read"),
    [
        (["train", "--dataset", "r/dataset/result.json", "--classifier", "SvB", *DEFINED],
         ["train"], 1),
        (["train", "--dataset", "r/dataset", "--classifier", "SvB", *DEFINED,
          "--for", "{offset: 0-2}"],
         ["train[offset=0]", "train[offset=1]", "train[offset=2]"], 1),
        (["evaluate", "--models", "r/train/", *SIGNAL, *DEFINED],
         ["evaluate[offset=0]", "evaluate[offset=1]"], 1),
        (["plot", "--models", "r/train/offset=0", "r/train/offset=1/result.json"], ["plot"], 2),
        (["merge", "--predictions", "r/evaluate/offset=0/result.json",
          "r/evaluate/offset=1/result.json", "--name", "FvT", "--workers", "8"], ["merge"], 2),
    ],
)  # fmt: skip
def test_a_task_reads_results_made_earlier(capsys, place, started, results, words, cells, read):
    task(capsys, *words, "--output", "o")
    (((bundle,), _, _),) = started
    jobs = [json.loads(line) for line in (bundle / "jobs.jsonl").read_text().splitlines()]
    assert [cell["id"] for job in jobs for cell in job["cells"]] == cells
    key = next(key for key in ("dataset", "models", "predictions") if f"--{key}" in words)
    for job in jobs:
        value = job["cells"][0]["spec"][key]
        references = value if isinstance(value, list) else [value]
        assert len(references) == read
        for reference in references:
            assert Path(reference["result"]).is_relative_to(results)
            assert Path(reference["result"]).is_file()
    (place / f"hcrc task {words[0]}").write_text(as_workflow(capsys, *words, "--output", "o"))
    assert main(["compile", f"hcrc task {words[0]}"]) == 0
    assert capsys.readouterr().out == f"{bundle}\n"


def test_a_bare_folder_of_a_result(capsys, monkeypatch, started, results):
    monkeypatch.chdir(results)
    task(capsys, "plot", "--models", "train")
    (((bundle,), _, _),) = started
    assert "train/offset=1/result.json" in (bundle / "jobs.jsonl").read_text()


@pytest.mark.parametrize(
    ("words", "place_of", "message"),
    [
        (["r/evaluate", "r/nothing/result.json"], "--predictions:1:1", "there is no"),
        (["r/train"], "--predictions:1:1", "takes an evaluate task"),
        (["nothing"], "--predictions:1:1", "there is no result.json"),
        (["r/evaluate", "nothing"], "--predictions:1:1", "there is no result.json"),
        (["r/evaluate", "no thing", "r/evaluate"], "--predictions:1:1", "there is no result.json"),
    ],
)
def test_a_result_that_is_not_there_is_shown_at_its_word(capsys, results, words, place_of, message):
    err = task(capsys, "merge", "--predictions", *words, code=1).err
    assert place_of in err
    assert message in err
    wrong = next(word for word in words if word != "r/evaluate")
    assert f"1 | {wrong}\n  | {'^' * len(wrong)}\n" in err


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=3))
def test_texts_stand_as_they_are(output, predictions):
    keys = {
        "output": Given("--output", [output]),
        "predictions": Given("--predictions", [f"a/{word}" for word in predictions]),
    }
    typed, problems = type_task("merge", keys)
    document, wrong = parse(typed.text, typed.name)
    assert problems == wrong == []
    found = to_plain(document.root)["tasks"]["merge"]
    assert found["output"] == output
    listed = [f"a/{word}" for word in predictions]
    assert found["predictions"] == (listed if len(listed) > 1 else listed[0])
