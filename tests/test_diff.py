"""hcrc diff says what a run would do: held to the runtime's own decision, on made-up results."""

import json
import shutil
from pathlib import Path

import pytest
from hcrc.compiler.cli import main as compile_main
from hcrc.runtime.agenda import decide, select_tasks
from hcrc.runtime.bundle import open_bundle
from made_up import make_results

CASE = Path(__file__).parent / "cases" / "explain" / "diff"
CHANGES = {
    "nothing": [],
    "memory": ["--param", "memory=2 GB"],
    "another offset": ["--param", "offset=0-3"],
    "other offsets": ["--param", "offset=1-4"],
    "epochs": ["--param", "epochs=2"],
    "weight": ["--param", "weight=w * 2"],
    "folder": ["--setting", "IO", "{output: other}"],
    "all": ["--param", "offset=5-6", "--param", "epochs=1", "--param", "weight=w"],
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    shutil.copytree(CASE, tmp_path / "case")
    monkeypatch.chdir(tmp_path / "case")
    Path("d.root").write_text("data")
    return tmp_path / "case"


def compile_with(words, capsys):
    assert compile_main(["compile", "-o", "bundles", *words]) == 0
    return Path(capsys.readouterr().out.strip())


@pytest.mark.parametrize("workflow", ["workflow.yml", "moved.yml", "renamed.yml"])
@pytest.mark.parametrize("words", CHANGES.values(), ids=CHANGES)
def test_what_runs_is_what_the_diff_says(place, capsys, workflow, words):
    old = compile_with(["workflow.yml"], capsys)
    make_results(old)
    new = compile_with([workflow, *words], capsys)
    code = compile_main(["diff", str(old), str(new), "--format", "json"])
    told = json.loads(capsys.readouterr().out)
    assert compile_main(["diff", str(old), workflow, *words, "--format", "json"]) == code
    assert json.loads(capsys.readouterr().out) == told
    stale = set()
    bundle = open_bundle(new)
    selection = select_tasks(bundle.tasks, [], None, False)
    decide(bundle, selection, lambda cell, why: stale.add(cell.id) if why else None)
    moving = {item["id"] for item in told["cells"] if item["kind"] in ("again", "new")}
    assert moving == stale
    assert code == (0 if told["same"] else 3)
    assert told["same"] == (told["cells"] == [])
    gone = {item["output"] for item in told["cells"] if item["kind"] == "dropped"}
    now = {cell.output for head in bundle.heads(0, bundle.tasks[-1].end) for cell in head.cells}
    assert not gone & now
    assert all(item["reasons"] for item in told["cells"] if item["kind"] == "again")


def test_a_new_version_of_a_task_is_told(place, capsys):
    old = compile_with(["workflow.yml"], capsys)
    text = (old / "jobs.jsonl").read_text()
    cell = json.loads(text.splitlines()[0])["cells"][0]
    changed = shutil.copytree(old, place / "changed")
    (changed / "jobs.jsonl").write_text(text.replace(cell["hash"], "0" * 32))
    assert compile_main(["diff", str(old), str(changed)]) == 3
    out = capsys.readouterr().out
    assert "what a cache task does changed" in out
    assert "cache runs again; train: 3 cells run again" in out


def test_a_command_follows_its_inputs_and_a_result_by_path_is_told(place, capsys):
    text = (place / "workflow.yml").read_text()
    text += "  say: {task: command, command: [echo, '{m}'], inputs: {m: train}, outputs: {o: o}}\n"
    (place / "workflow.yml").write_text(text)
    old = compile_with(["workflow.yml"], capsys)
    assert compile_main(["diff", str(old), "workflow.yml", "--param", "epochs=2"]) == 3
    out = capsys.readouterr().out
    say = out[out.index("\nsay: ") : out.index("\nsummary")]
    assert say.split("\n")[1] == "say: 3 cells run again"
    assert say.endswith("after what it reads of train")
    make_results(compile_with(["workflow.yml"], capsys))
    plot = "  plot: {task: plot, models: compared/train, output: p}\n"
    (place / "plot.yml").write_text(f"hcrc: 1\nname: plot\ntasks:\n{plot}")
    old = compile_with(["plot.yml"], capsys)
    make_results(compile_with(["workflow.yml", "--param", "epochs=2"], capsys))
    assert compile_main(["diff", str(old), "plot.yml"]) == 3
    lines = capsys.readouterr().out.splitlines()
    result = f"{place}/compared/train/offset=0/result.json"
    assert lines[2] == f"    train[offset=0] is another result: {result}"


def test_a_broken_bundle_is_one_line(place, capsys):
    old = compile_with(["workflow.yml"], capsys)
    (old / "jobs.jsonl").write_text("{\n")
    assert compile_main(["diff", str(old), "workflow.yml"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"hcrc: error: {old}/jobs.jsonl: not JSON")
    assert captured.err.count("\n") == 1
