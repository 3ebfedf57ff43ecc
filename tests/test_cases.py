"""Golden cases: a folder of input beside the whole output. UPDATE_GOLDEN=1 writes them anew."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hcrc.compiler.cli import main

CASES = Path(__file__).parent / "cases"


def folders(phase):
    return sorted(folder for folder in (CASES / phase).iterdir() if folder.is_dir())


def words(folder):
    file = folder / "arguments.txt"
    return file.read_text().splitlines() if file.exists() else []


def compare(path, text):
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.fixture
def enter(tmp_path, monkeypatch):
    def copy(folder):
        place = tmp_path / "case"
        shutil.copytree(folder, place)
        monkeypatch.chdir(place)
        monkeypatch.setenv("USER", "someone")
        return place

    return copy


@pytest.mark.parametrize("folder", folders("errors"), ids=lambda folder: folder.name)
def test_error(folder, enter, capsys):
    place = enter(folder)
    code = main(["check", "workflow.yml", *words(folder)])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert code == 1
    compare(folder / "output.txt", captured.err.replace(str(place), "$CASE"))


@pytest.mark.parametrize("folder", folders("warnings"), ids=lambda folder: folder.name)
def test_warning(folder, enter, capsys):
    place = enter(folder)
    assert main(["check", "workflow.yml", *words(folder)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("workflow.yml: no errors; ")
    compare(folder / "output.txt", captured.err.replace(str(place), "$CASE"))
    assert main(["check", "workflow.yml", "--strict", *words(folder)]) == 1
    strict = capsys.readouterr()
    assert strict.out == ""
    assert "error[" in strict.err
    assert "warning" not in strict.err


@pytest.mark.parametrize("folder", folders("compile"), ids=lambda folder: folder.name)
def test_compile(folder, enter, capsys):
    place = enter(folder)
    assert main(["expand", "workflow.yml", *words(folder)]) == 0
    compare(folder / "expand.txt", capsys.readouterr().out.replace(str(place), "$CASE"))
    assert main(["compile", "workflow.yml", "-o", "bundles", *words(folder)]) == 0
    bundle = place / capsys.readouterr().out.strip()
    compare(folder / "jobs.jsonl", (bundle / "jobs.jsonl").read_text().replace(str(place), "$CASE"))
    plan = json.loads((bundle / "plan.json").read_text().replace(str(place), "$CASE"))
    assert bundle.name == plan.pop("hash")
    assert plan.pop("sources")
    submissions = [f"condor/{task['name']}.sub" for task in plan["tasks"]]
    condor = ["condor/job.sh", "condor/post.sh", "condor/workflow.dag", *submissions]
    files = ["hcrc.pyz", "jobs.idx", "jobs.jsonl", "run.sh", *condor]
    assert sorted(plan.pop("files")) == sorted(files)
    compare(folder / "workflow.dag", (bundle / "condor" / "workflow.dag").read_text())
    compare(folder / "plan.json", json.dumps(plan, indent=1) + "\n")


def test_what_is_said_does_not_depend_on_how_sets_are_ordered():
    said = {
        subprocess.run(
            [sys.executable, "-m", "hcrc.compiler", "check", "workflow.yml"],
            cwd=CASES / "errors" / "alias-of-a-misspelt-key",
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=False,
        ).stderr
        for seed in range(6)
    }
    assert len(said) == 1
    assert b"3 errors" in said.pop()
