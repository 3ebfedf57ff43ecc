"""Tasks that a parameter leaves out: nothing of them is read or missed."""

import subprocess
import sys
from pathlib import Path

import pytest
from hcrc.compiler.cli import main

WORKFLOW = """\
hcrc: 1
name: case
parameters:
  account: {type: string, default: ""}
  folder: {type: string, default: plots}
tasks:
  always: {task: command, command: [echo]}
  web: {task: command, command: [echo], enable: "{account}", output: "{folder}/{account:.1}"}
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "workflow.yml"
    path.write_text(WORKFLOW)
    return path.name


@pytest.mark.parametrize(("account", "cells"), [("", 1), ("  ", 1), ("jdoe", 2), ("0", 2)])
def test_a_text_counts_where_it_is_not_empty(account, cells, file, capsys):
    assert main(["check", file, "--strict", "--param", f"account={account}"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out == f"{file}: no errors; {cells} cells in {cells} jobs\n"


@pytest.mark.parametrize("word", ["false", "no", "True", "off"])
def test_a_text_that_was_meant_as_a_boolean_is_refused(word, file, capsys):
    assert main(["check", file, "--param", f"account={word}"]) == 1
    assert '"enable" is a string, expected true or false' in capsys.readouterr().err


def test_a_workflow_without_tasks_says_so_and_runs(file, capfd):
    Path(file).write_text(WORKFLOW.replace("  always: {task: command, command: [echo]}\n", ""))
    assert main(["check", file]) == 0
    assert "warning[no-tasks]: every task is left out" in capfd.readouterr().err
    assert main(["compile", file]) == 0
    bundle = capfd.readouterr().out.strip()
    words = [sys.executable, f"{bundle}/hcrc.pyz", "run", bundle]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "nothing to do: there is no task\n"
