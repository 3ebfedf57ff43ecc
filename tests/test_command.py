"""The command task: words, inputs, outputs, failures, and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hcrc.runtime.errors import (
    DataError,
    JobError,
    MemoryShortageError,
    PreemptedError,
    SpecError,
    StorageError,
)
from hcrc.runtime.result import Result, load_result, open_attempt
from hcrc.runtime.stale import KnownResults, find_changes
from hcrc.runtime.tasks import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .data_files import leftovers, make_cell, make_context, reference, write_json
from .workplace import PATIENCE_S, wait_for

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
SHOW = 'printf "%s\\0" "$@" > said'


def pieces(word: Any) -> list[dict[str, str]]:
    return [{"text": word}] if isinstance(word, str) else word


def run(folder: Path, *words: Any, **changes: Any) -> Result:
    spec = {"command": [pieces(word) for word in words], "inputs": {}, "files": {}, "outputs": {}}
    cell = make_cell("command", spec | changes, folder / "out")
    command.run([cell], make_context())
    return load_result(folder / "out" / "result.json")


def refusal(folder: Path, *words: Any, kind: type = JobError, **changes: Any) -> str:
    with pytest.raises(JobError) as error:
        run(folder, *words, **changes)
    assert type(error.value) is kind
    assert leftovers(folder / "out") == []
    return str(error.value).replace(str(folder), "DIR")


def said(result: Result) -> list[str]:
    return result.path("said").read_bytes().decode().split("\0")[:-1]


@given(words=st.lists(TEXTS, min_size=1, max_size=8))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_words_arrive_as_they_are_written(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("words")
    result = run(folder, "sh", "-c", SHOW, "sh", *words, outputs={"said": "said"})
    assert said(result) == words


def make_upstream(folder: Path, name: str) -> dict[str, Any]:
    cell = make_cell("plot", {"models": []}, folder / name, name)
    with open_attempt(cell) as attempt:
        attempt.commit({}, {})
    return reference(name, folder / name)


def test_inputs_are_paths_and_one_alone_becomes_as_many_words(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    result = run(
        tmp_path,
        *("sh", "-c", SHOW, "sh"),
        [{"input": "all"}],
        [{"input": "none"}],
        [{"text": "--from="}, {"input": "up"}, {"text": ":Events"}],
        [{"text": "-o"}, {"output": "said"}],
        inputs={"up": [make_upstream(tmp_path, "up")]},
        files={"all": [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")], "none": []},
        outputs={"said": "said"},
    )
    assert said(result) == [
        str(tmp_path / "a.txt"),
        str(tmp_path / "b.txt"),
        f"--from={tmp_path}/up/result.json:Events",
        f"-o{tmp_path}/out/{result.attempt}/said",
    ]
    assert [row.path for row in result.inputs] == [str(tmp_path / f"{name}.txt") for name in "ab"]
    assert [row.result for row in result.upstream] == [f"{tmp_path}/up/result.json"]
    (tmp_path / "b.txt").write_text("longer")
    make_upstream(tmp_path, "up")
    reasons = [change.reason for change in find_changes(result, KnownResults())]
    assert reasons == [f"input {tmp_path}/b.txt changed", "up was made again"]


def test_files_and_folders_that_it_leaves_are_the_result(tmp_path: Path) -> None:
    script = "mkdir -p plots/deep; echo 1 > plots/a; echo 2 > plots/deep/b; echo > other; pwd"
    result = run(tmp_path, "sh", "-c", script, outputs={"plots": "plots", "one": "plots/a"})
    assert {*result.files} == {"plots/a", "plots/deep/b", "one"}
    assert result.path("plots/deep/b").read_text() == "2\n"
    assert result.data["command"] == ["sh", "-c", script]


@pytest.mark.parametrize(
    ("script", "outputs", "kind", "expected"),
    [
        ("true", {"x": "x.png"}, DataError, "output 'x': the program left no x.png: "),
        ("ln -s / x", {"x": "x"}, DataError, "output 'x': neither a file nor a folder: "),
        ("true", {"x": "../x"}, SpecError, "output 'x': not a path below the task's folder: ../x"),
        (
            "for i in 1 2 3 4; do echo line $i >&2; done; exit 3",
            {},
            JobError,
            "sh: exit code 3: line 2 | line 3 | line 4",
        ),
        ("exit 1", {}, JobError, "sh: exit code 1: it said nothing"),
        ("echo later >&2; exit 69", {}, StorageError, "sh: exit code 69: later"),
        ("exit 71", {}, MemoryShortageError, "sh: exit code 71: it said nothing"),
        ("exit 75", {}, PreemptedError, "sh: exit code 75: it said nothing"),
        ("kill -SEGV $$", {}, JobError, "sh: killed by SIGSEGV: it said nothing"),
    ],
)
def test_what_goes_wrong_is_told(
    tmp_path: Path, script: str, outputs: dict[str, str], kind: type, expected: str
) -> None:
    assert refusal(tmp_path, "sh", "-c", script, kind=kind, outputs=outputs).startswith(expected)


def test_words_that_cannot_be_made_are_refused(tmp_path: Path) -> None:
    files = {"two": ["a", "b"]}
    for path in files["two"]:
        (tmp_path / path).touch()
    files = {"two": [str(tmp_path / path) for path in "ab"]}
    joined = [{"text": "--in="}, {"input": "two"}]
    text = refusal(tmp_path, "sh", joined, kind=SpecError, files=files)
    assert text.startswith("command: {two} stands for 2 paths here: make it a word of its own")
    unknown = refusal(tmp_path, "sh", [{"output": "x"}], kind=SpecError)
    assert unknown == "command: there is no output 'x'; known: "
    text = refusal(tmp_path, "no-such-program", kind=SpecError)
    assert text.startswith("command: there is no program 'no-such-program'; ")
    missing = refusal(tmp_path, "true", kind=DataError, files={"x": [str(tmp_path / "none")]})
    assert missing == "DIR/none: No such file or directory"


def test_it_has_nothing_to_read_and_the_jobs_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HCRC_TEST", "from the job")
    script = "cat; echo $HCRC_TEST; echo to stderr >&2; pwd > where"
    result = run(tmp_path, "sh", "-c", script, outputs={"where": "where"})
    assert capfd.readouterr().out == "from the job\n"
    assert result.path("where").read_text().strip() == f"{tmp_path}/out/{result.attempt}"


def job_line(folder: Path, *words: str, **execution: Any) -> list[str]:
    """The command that runs a job of these words; what they leave in ``said`` is its output."""
    spec = {"command": [pieces(word) for word in words], "inputs": {}, "files": {}}
    spec["outputs"] = {"said": "said"}
    head = {"id": "c", "axes": {}, "output": str(folder / "out"), "hash": "0" * 32, "spec": spec}
    execution = {"cpus": 1, "memory_mb": 10, "gpus": 0, "device": "cpu"} | execution
    job = {"hcrc": 1, "id": "c", "number": 0, "name": "c", "task": "command", "needs": []}
    write_json(folder / "jobs.jsonl", job | {"cells": [head], "execution": execution})
    (folder / "jobs.idx").write_bytes(bytes(8))
    return [sys.executable, "-m", "hcrc.runtime", "job", str(folder / "jobs.jsonl"), "0"]


def test_a_job_has_the_environment_of_its_task(tmp_path: Path) -> None:
    variables = {"HCRC_TEST": "a b\n$HOME", "OMP_NUM_THREADS": "3"}
    script = ["sh", "-c", 'printf "%s" "$HCRC_TEST$OMP_NUM_THREADS" > said']
    subprocess.run(job_line(tmp_path, *script, environment=variables), check=True)
    result = load_result(tmp_path / "out" / "result.json")
    assert result.path("said").read_text() == "a b\n$HOME3"


@pytest.mark.parametrize("leads", [True, False])
def test_what_stops_the_job_stops_the_program(tmp_path: Path, leads: bool) -> None:
    script = "trap 'touch %s/asked; exit' TERM; sleep 60 & touch %s/on; wait"
    line = job_line(tmp_path, "sh", "-c", script.replace("%s", str(tmp_path)))
    with subprocess.Popen(line, stderr=subprocess.PIPE, start_new_session=leads) as process:
        wait_for((tmp_path / "on").exists)
        os.kill(process.pid, signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == PreemptedError.code
    assert b"stopped by SIGTERM" in err
    assert (tmp_path / "asked").exists()
    assert leftovers(tmp_path / "out") == []
