"""One job: exit codes, one-line errors, stop signals, the lifeline, events."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hcrc.runtime import commands, job
from hcrc.runtime.errors import DataError, SpecError
from hcrc.runtime.events import EventReader, EventWriter
from hcrc.runtime.job import JobOptions, load_job, read_line, select_cells
from hcrc.runtime.result import open_attempt

FAKE = Path(__file__).with_name("fake_job.py")


@pytest.fixture(autouse=True)
def _keep_signals() -> Any:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """A file of one job with two cells, a and b."""
    cells = [
        {
            "id": name,
            "axes": {},
            "output": str(tmp_path / name),
            "hash": "h",
            "spec": {"models": []},
        }
        for name in "ab"
    ]
    execution = {"cpus": 1, "memory_mb": 1, "gpus": 0, "device": "auto", "batch_eval": 1}
    value = {"hcrc": 1, "id": "plot", "number": 0, "name": "n", "task": "plot", "needs": []}
    line = json.dumps(value | {"cells": cells, "execution": execution}).encode() + b"\n"
    path = tmp_path / "jobs.jsonl"
    path.write_bytes(line + b"[\n")
    path.with_suffix(".idx").write_bytes(struct.pack("<2Q", 0, len(line)))
    return path


def run(jobs: Path, monkeypatch: pytest.MonkeyPatch, task: Any, **options: Any) -> int:
    monkeypatch.setattr(job, "run_job", task)
    return job.main(jobs, 0, JobOptions(**options))


def fail_with(error: BaseException) -> Any:
    def task(*_: Any) -> None:
        raise error

    return task


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DataError("f.root: no branch x"), 65, "hcrc: error: f.root: no branch x\n"),
        (DataError("a\nb: no \x1b[31m"), 65, "hcrc: error: a b: no  [31m\n"),
        (
            OSError(28, "No space left on device", "/out/x"),
            69,
            "hcrc: error: /out/x: No space left on device\n",
        ),
        (
            PermissionError(13, "Permission denied", "/x"),
            69,
            "hcrc: error: /x: Permission denied\n",
        ),
        (OSError("torn"), 69, "hcrc: error: torn\n"),
        (MemoryError(), 71, "hcrc: error: out of memory\n"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            71,
            "hcrc: error: out of memory\n",
        ),
    ],
)
def test_an_error_is_one_line(
    jobs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    text: str,
) -> None:
    assert run(jobs, monkeypatch, fail_with(error)) == code
    assert capsys.readouterr().err == text


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("logged", [True, False])
def test_a_bug_shows_its_traceback_where_it_is_wanted(
    jobs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    forward: bool,
    logged: bool,
) -> None:
    events = jobs.parent / "events.jsonl"
    value = json.loads(jobs.read_text().splitlines()[0])
    value["execution"]["forward_exception"] = forward
    jobs.write_text(json.dumps(value) + "\n")
    monkeypatch.setattr(job, "run_job", fail_with(KeyError("x")))
    options = job.JobOptions(events=events if logged else None)
    assert job.main(jobs, 0, options) == 70
    err = capsys.readouterr().err
    assert err.endswith("hcrc: error: a bug: KeyError: 'x'\n")
    assert ("Traceback" in err) == (forward or logged)
    (told,) = map(json.loads, events.read_text().splitlines()) if logged else [None]
    if told is not None:
        assert (told["event"], told["code"], told["text"]) == (
            "failure",
            70,
            "a bug: KeyError: 'x'",
        )
        assert ("Traceback" in (told["traceback"] or "")) == forward


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_the_job_and_its_attempt(
    jobs: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def task(run: Any, _: EventWriter) -> None:
        with open_attempt(run.cells[0]) as attempt:
            attempt.path("half").touch()
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

    assert run(jobs, monkeypatch, task) == 75
    assert [path.name for path in (jobs.parent / "a").iterdir()] == [".lock"]


def test_only_the_cells_that_have_to_run_do(jobs: Path) -> None:
    spec = load_job(jobs, 0)
    with open_attempt(spec.cells[0]) as attempt:
        attempt.commit({}, {})

    def chosen(**options: Any) -> list[str]:
        return [cell.id for cell in select_cells(spec, JobOptions(**options)).cells]

    assert chosen() == ["b"]
    assert chosen(force=True) == ["a", "b"]
    assert chosen(cells=[0]) == []
    assert chosen(cells=[0], force=True) == ["a"]
    assert chosen(cells=[1, 1]) == ["b"]
    with pytest.raises(SpecError, match="no cell 2"):
        chosen(cells=[2])


def test_the_device_of_the_command_line_counts(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    task = lambda run, _: seen.append(run.execution.device)  # noqa: E731
    assert run(jobs, monkeypatch, task, device="cpu") == 0
    assert seen == ["cpu"]


def test_a_missing_library_is_named(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "import_module", fail_with(ModuleNotFoundError("No module named 'x'")))
    with pytest.raises(SpecError, match="plot task: No module named 'x'"):
        job.run_job(load_job(jobs, 0), EventWriter())


@pytest.mark.parametrize("number", [2, -1, 1 << 70])
def test_a_job_that_is_not_there(jobs: Path, number: int) -> None:
    with pytest.raises(SpecError):
        read_line(jobs, number)


def test_what_is_no_job_is_one_line(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["job", str(jobs), "1"]) == 64
    assert commands.main(["job", "/nowhere/jobs.jsonl", "0"]) == 64
    assert commands.main(["job", str(jobs), "0", "--events", "/nowhere/events"]) == 69
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("hcrc: error: ") for line in lines)


def test_a_job_ends_with_its_lifeline(jobs: Path) -> None:
    fake = jobs.parent / "fake"
    fake.mkdir()
    (fake / "a.json").write_text(json.dumps({"sleep": [60], "stubborn": True}))
    command = [sys.executable, str(FAKE), "job", str(jobs), "0", "--lifeline"]
    environment = {**os.environ, "FAKE_JOBS": str(fake), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        while not (fake / "a.started").exists():
            assert process.poll() is None
            time.sleep(0.01)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 75


def test_events_follow_their_schema(tmp_path: Path) -> None:
    text = resources.files("hcrc.schemas").joinpath("event.schema.json").read_text("utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert list(reader.read()) == []
    with EventWriter(path, "warning") as events:
        events.progress("train", "read", 1, 2)
        events.metric("train", "loss", float("nan"), fold=1, epoch=3)
        events.metric("train", "loss", 0.5)
        events.message("train", "not kept")
        events.message("train", "Δφ", "error")
        events.failure("train", 65, "no branch", None)
    found = list(reader.read())
    assert [event["event"] for event in found] == [
        *("progress", "metric", "metric", "message", "failure")
    ]
    assert found[3]["text"] == "Δφ"
    assert found[1]["value"] is None
    assert found[1]["where"] == {"fold": 1, "epoch": 3}
    for event in found:
        validator.validate(event)
        assert not validator.is_valid(event | {"more": 1})
    assert list(reader.read()) == []


def test_events_are_read_whole_and_from_now_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"old": 1}\n')
    reader = EventReader(path)
    with path.open("a") as stream:
        stream.write('{"event"')
    assert list(reader.read()) == []
    with path.open("a") as stream:
        stream.write(': "x"}\nbroken\n[]\n{"event": "y"}\n')
    assert [event["event"] for event in reader.read()] == ["x", "y"]


def test_no_event_file_is_needed() -> None:
    with EventWriter() as events:
        events.message("a", "text")
