"""hcrc why: every reason of a job, on results that are made up."""

import copy
import json
import os
import re
from pathlib import Path

import pytest
from hcrc.compiler.cli import main as compile_main
from hcrc.runtime.bundle import open_bundle
from hcrc.runtime.commands import main
from hcrc.runtime.fields import compare_specs
from hcrc.runtime.why import load_planned
from made_up import make_results

WORKFLOW = """\
hcrc: 1
name: why
parameters:
  offset: {type: range, default: 0-1}
  epochs: {type: integer, default: 20}
  weight: {type: string, default: weight}
  memory: {type: string, default: 1 GB}
datasets:
  Data: {samples: [{sample: d, label: d, years: [UL18], files: [d.root], weight: "{weight}"}]}
  Signal: {samples: [{sample: s, label: s, years: [UL17, UL18], files: ["s_{year}.root"]}]}
classifiers:
  C: {classes: [d, s]}
tasks:
  cache: {task: cache, datasets: [Data, Signal], resources: {memory: "{memory}"}}
  train: {task: train, dataset: cache, classifier: C, for: {offset: "{offset}"},
          training: {epochs: "{epochs}"}, group: 2}
  plot: {task: plot, models: train}
"""
CELLS = {"cache": "cache", "train": "train[offset=0]~train[offset=1]", "plot": "plot"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.yml").write_text(WORKFLOW)
    (tmp_path / "d.root").write_text("data")
    return tmp_path


@pytest.fixture
def compile_with(place, capsys):
    def run(*words, text=WORKFLOW):
        (place / "w.yml").write_text(text)
        assert compile_main(["compile", "w.yml", *words]) == 0
        return place / capsys.readouterr().out.strip()

    return run


@pytest.fixture
def why(capsys):
    def ask(bundle, word, code=3):
        assert main(["why", str(bundle), word]) == code
        return re.sub(r"\d{4}-\S+Z", "TIME", capsys.readouterr().out).splitlines()

    return ask


def test_without_a_result_each_cell_says_so_and_what_comes_first(compile_with, why):
    bundle = compile_with()
    assert why(bundle, "1") == [
        "train[offset=0]: has to run",
        "  no result yet",
        "  after cache: no result yet",
        "train[offset=1]: has to run",
        "  no result yet",
        "  after cache: no result yet",
    ]
    assert why(bundle, "train[offset=1]") == why(bundle, "1")[3:]
    assert why(bundle, CELLS["train"]) == why(bundle, "1")


def test_a_task_stands_for_its_cells(compile_with, why):
    bundle = compile_with()
    assert why(bundle, "train") == why(bundle, "1")
    assert why(compile_with("--param", "offset=3"), "train")[0] == "train[offset=3]: has to run"


def test_of_a_task_with_many_cells_the_first_are_told(compile_with, capsys):
    bundle = compile_with("--param", "offset=0-24")
    assert main(["why", str(bundle), "train"]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith("has to run") for line in lines) == 20
    assert lines[-2] == "and 5 more cells have to run: --format json has all"
    assert lines[-1] == "25 of 25 cells have to run, the rest is up to date"
    assert main(["why", str(bundle), "train", "--format", "json"]) == 3
    assert len(json.loads(capsys.readouterr().out)) == 25


def test_a_command_is_told_as_it_is_written():
    before = [[{"text": "cat"}], [{"input": "all"}]]
    after = [[{"text": "cat"}], [{"text": "--to="}, {"output": "o"}], [{"text": "a b"}]]
    reference = {"cell": "a[n=1]", "result": "a/result.json", "hash": "0" * 32}
    old = {"command": before, "inputs": {"all": []}, "files": {}, "outputs": {}}
    new = {**old, "command": after, "inputs": {"all": [reference]}}
    found = [str(change) for change in compare_specs("command", old, new)]
    assert 'command: cat {all} → cat --to={o} "a b"' in found
    assert any(text.startswith("inputs.all") and "a[n=1]" in text for text in found)
    assert not any("hash" in text for text in found)


def test_what_is_up_to_date_says_since_when(compile_with, why, capsys):
    bundle = compile_with()
    make_results(bundle)
    (line,) = why(bundle, "plot", 0)
    assert line.startswith("plot: up to date since TIME, made in 0.0 s on ")
    assert main(["why", str(bundle), "plot", "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    result = json.loads(Path("why/plot/result.json").read_text())
    assert (found["cell"], found["current"], found["reasons"]) == ("plot", True, [])
    assert found["result"] == result["uuid"]


def test_every_changed_field_is_named_and_what_does_not_count_is_not(compile_with, why):
    make_results(compile_with())
    changes = ("--param", "epochs=30", "--param", "weight=w", "--param", "memory=2 GB")
    text = WORKFLOW.replace('"{epochs}"', '"{epochs}", batch_milestones: [3]')
    bundle = compile_with(*changes, text=text.replace("Signal: {", "Signal: {tree: T, "))
    assert why(bundle, "cache") == [
        "cache: has to run",
        '  datasets[Data].samples[d/UL18].weight: "weight" → "w"',
        '  datasets[Signal].tree: "Events" → "T"',
    ]
    assert why(bundle, "train[offset=0]") == [
        "train[offset=0]: has to run",
        "  training.batch_milestones: [1, 3, 6, 10] → [3]",
        "  training.epochs: 20 → 30",
        '  after cache: datasets[Data].samples[d/UL18].weight: "weight" → "w"',
    ]
    assert why(bundle, "plot")[1:] == [
        f"  after train[offset={offset}]: training.batch_milestones: [1, 3, 6, 10] → [3]"
        for offset in (0, 1)
    ]
    assert why(compile_with("--param", "memory=2 GB"), "plot", 0)


def test_samples_and_files_that_come_and_go(compile_with, why):
    make_results(compile_with())
    text = WORKFLOW.replace("[UL17, UL18]", "[UL18]").replace("[d.root]", "[e.root]")
    lines = why(compile_with(text=text), "cache")
    assert lines[1] == '  datasets[Data].samples[d/UL18].files: ["d.root"] → ["e.root"]'
    assert lines[2].startswith('  datasets[Signal].samples[s/UL17]: {"files": ["s_UL17.root"]')
    assert lines[2].endswith("… → nothing")
    assert len(lines) == 3


def test_inputs_outputs_and_upstream_are_all_named(compile_with, why, place):
    bundle = compile_with()
    make_results(bundle)
    make_results(bundle, "cache")
    next(place.glob("why/train/offset=0/try-*/out")).unlink()
    next(place.glob("why/train/offset=1/try-*/out")).write_text("longer than it was")
    os.utime("d.root", ns=(0, 0))
    (place / "d.root").write_text("other data")
    os.utime("d.root", ns=(0, 0))
    lines = [re.sub(r"try-\S+/|[0-9a-f]{8}-\S+", "…", line) for line in why(bundle, "1")]
    changed = "  input d.root changed: 4 bytes of TIME → 10 bytes of TIME"
    assert lines == [
        "train[offset=0]: has to run",
        "  output …out is gone",
        changed,
        "  cache was made again: … → …",
        f"  after cache:{changed.removeprefix(' ')}",
        "train[offset=1]: has to run",
        "  output …out changed: 15 → 18",
        changed,
        "  cache was made again: … → …",
        f"  after cache:{changed.removeprefix(' ')}",
    ]


def test_another_version_of_a_task_is_told_from_a_change_of_fields(compile_with, why, place):
    bundle = compile_with()
    make_results(bundle)
    path = place / "why/cache/result.json"
    path.write_text(path.read_text().replace(json.loads(path.read_text())["hash"], "0" * 32))
    (_, line) = why(bundle, "cache")
    assert line == "  what a cache task does changed: the result is of another version of hcrc"


def test_a_broken_result_is_a_reason(compile_with, why, place):
    bundle = compile_with()
    make_results(bundle)
    (place / "why/cache/result.json").write_text("{}")
    (_, line) = why(bundle, "cache")
    assert line == f"  {place}/why/cache/result.json: not a result of hcrc 1"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("trian", "there is no job or cell 'trian': did you mean 'train'?"),
        ("train[offset=9]", "did you mean 'train[offset="),
        ("9", "jobs.jsonl: there is no job 9"),
        ("é", "there is no job or cell 'é': there are cache, train, plot"),
    ],
)
def test_a_job_that_is_not_there(compile_with, capsys, word, message):
    bundle = compile_with()
    assert main(["why", str(bundle), word]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_the_command_starts_the_runtime_of_the_bundle(compile_with, capsys, monkeypatch):
    started = []
    monkeypatch.setattr(os, "execv", lambda program, words: started.append(words))
    bundle = compile_with()
    compile_main(["why", str(bundle), "plot"])
    assert started[0][1:] == [
        str(bundle / "hcrc.pyz"), "why", str(bundle), "--format=text", "--", "plot"
    ]  # fmt: skip
    assert compile_main(["why", "nowhere", "plot"]) == 1
    assert (
        capsys.readouterr().err
        == "hcrc: error: nowhere: not a bundle, which is a folder that hcrc compile prints\n"
    )


def test_fields_differ_exactly_where_the_results_are_decided(compile_with):
    bundle = open_bundle(compile_with())
    spec = load_planned(bundle, 0).cells[0].raw
    assert compare_specs("cache", spec, copy.deepcopy(spec)) == []
    other = copy.deepcopy(spec)
    other["datasets"][0]["base"] = "/elsewhere"
    assert compare_specs("cache", spec, other) == []
    other["datasets"].reverse()
    (change,) = compare_specs("cache", spec, other)
    assert str(change) == 'datasets: "Data, Signal" → "Signal, Data"'
    other = copy.deepcopy(spec)
    other["datasets"][0]["norm"] = {"sum": 1, "by": "label"}
    (change,) = compare_specs("cache", spec, other)
    assert str(change) == 'datasets[Data].norm: null → {"sum": 1, "by": "label"}'
    other = copy.deepcopy(spec)
    other.pop("compression", None)
    assert compare_specs("cache", spec, other) == []
    other["compression"] = "zstd"
    (change,) = compare_specs("cache", spec, other)
    assert str(change) == 'compression: "none" → "zstd"'
    other = copy.deepcopy(spec)
    other["seed"] = float(spec["seed"])
    assert compare_specs("cache", spec, other) == []
    other["shuffle"] = 1
    assert [each.path for each in compare_specs("cache", spec, other)] == ["shuffle"]
