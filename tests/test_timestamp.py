"""``{timestamp}``: noted once for the run of a bundle, and filled in the folders of its results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hcrc.runtime.errors import SpecError
from hcrc.runtime.job import load_job
from hcrc.runtime.result import load_result
from hcrc.runtime.timestamp import fill_job, forget_moment, note_moment, read_moment

WORKFLOW = """\
hcrc: 1
name: stamped
tasks:
  a: {task: command, command: [sh, -c, "echo > x"], outputs: {x: x}}
  b: {task: command, command: [cat, "{a}"], inputs: {a: a}, output: "{timestamp:%H}/b"}
settings: {IO: {output: "out/{timestamp}", timestamp: "%Y-%m-%d"}}
"""


def run(folder: Path, *words: str, code: int = 0) -> str:
    line = [sys.executable, "-m", "hcrc.compiler", *words]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_a_run_fills_it_once_and_goes_on_with_it(tmp_path: Path) -> None:
    (tmp_path / "w.yml").write_text(WORKFLOW)
    run(tmp_path, "compile", "w.yml")
    (bundle,) = (tmp_path / "hcrc-out/stamped").iterdir()
    assert "a: no result yet" in run(tmp_path, "run", "--dry-run", str(bundle))
    assert not (bundle / "run/timestamp").exists()
    (bundle / "run").mkdir(exist_ok=True)
    (bundle / "run/timestamp").write_text("2024-05-01T12:00:00Z\n")
    run(tmp_path, "run", "--only", "a", str(bundle))
    run(tmp_path, "run", str(bundle))
    home = tmp_path / "out/2024-05-01"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"2024-05-01"}
    result = load_result(home / "12/b/result.json")
    assert result.data["command"] == ["cat", f"{home}/stamped/a/result.json"]
    assert "nothing to do" in run(tmp_path, "run", "w.yml")
    assert load_job(bundle / "jobs.jsonl", 1).cells[0].output == f"{home}/12/b"
    assert "b: up to date since" in run(tmp_path, "why", str(bundle), "b")
    assert "2 results removed" in run(tmp_path, "clean", str(bundle))
    assert not (bundle / "run/timestamp").exists()
    assert not [*home.rglob("result.json")]


def test_the_moment_is_now_for_whoever_asks_first(tmp_path: Path) -> None:
    assert read_moment(tmp_path / "run") is None
    first = note_moment(tmp_path / "run")
    assert note_moment(tmp_path / "run") == read_moment(tmp_path / "run") == first
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["timestamp"]
    forget_moment(tmp_path / "run")
    assert read_moment(tmp_path / "run") is None
    (tmp_path / "run/timestamp").write_text("yesterday")
    with pytest.raises(SpecError, match="not a time like 2024-05-01T12:00:00Z"):
        read_moment(tmp_path / "run")


@pytest.mark.parametrize("job", [None, [], {}, {"cells": 3}, {"cells": [1, {"output": 2}]}])
def test_what_is_no_job_is_left_as_it_is(tmp_path: Path, job: object) -> None:
    assert fill_job(job, note_moment(tmp_path)) == job
