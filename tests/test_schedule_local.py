"""Running a bundle on this machine: what runs, in which order, and how it stops."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

import pytest
from hcrc.runtime.errors import StorageError
from hcrc.runtime.journal import Journal
from hcrc.runtime.locks import hold_locks
from hcrc.runtime.result import load_result
from hcrc.runtime.retire import retire_files
from workplace import FAKE, PATIENCE_S, Workplace, wait_for

ALL = {"a[0]": 1, "a[1]": 1, "b[0]": 1, "b[1]": 1, "m": 1}
TEXTS = {
    "a[0]": "a[0]()",
    "a[1]": "a[1]()",
    "b[0]": "b[0](a[0]())",
    "b[1]": "b[1](a[1]())",
    "m": "m(b[0](a[0]()) b[1](a[1]()))",
}


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def test_a_run_makes_everything_once(place: Workplace) -> None:
    out, _ = place.run("-j", "2")
    assert place.tries() == ALL
    assert place.texts() == TEXTS
    assert place.leftovers() == []
    assert "b  2 run in" in out
    assert f"   AUC {len(TEXTS['m'])}" in out
    assert str(place.home / "out/m") in out
    assert "done: 5 cells in" in out
    out, _ = place.run()
    assert out.startswith("nothing to do: all 5 cells are up to date\n")
    assert str(place.home / "out/m") in out
    assert place.tries() == {}


def test_a_run_imports_no_heavy_module(place: Workplace) -> None:
    place.run("-j", "2")
    code = (
        "import sys; from hcrc.runtime import commands; code = commands.main(sys.argv[1:]);"
        "heavy = {'torch', 'numpy', 'uproot', 'awkward', 'jsonschema', 'yaml'};"
        "sys.exit(code or ', '.join(heavy & sys.modules.keys()) or 0)"
    )
    command = [sys.executable, "-c", code, "run", str(place.bundle)]
    times = []
    for _ in range(3):
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        times.append(time.monotonic() - began)
        assert (done.returncode, done.stderr) == (0, "")
    assert min(times) < 2


def test_what_changed_runs_again_and_what_follows_it(place: Workplace) -> None:
    source = place.home / "input"
    source.touch()
    place.order("a[1]", inputs=[str(source)])
    place.run("-j", "2")
    place.tries()
    os.utime(source, ns=(0, 1))
    out, _ = place.run("-j", "2")
    assert place.tries() == {"a[1]": 1, "b[1]": 1, "m": 1}
    assert f"input {source} changed" in out
    assert "a[1] was made again (1 of 2 cells)" in out
    next(place.output("b[0]").glob("try-*/out.txt")).unlink()
    place.run("-j", "2")
    assert place.tries() == {"b[0]": 1, "m": 1}
    place.hashes["m"] = "another"
    place.write()
    place.run("-j", "2")
    assert place.tries() == {"m": 1}
    assert place.texts() == TEXTS


def test_a_dry_run_says_why_and_writes_nothing(place: Workplace) -> None:
    place.run("-j", "2")
    next(place.output("a[0]").glob("try-*/out.txt")).unlink()
    before = {path: path.stat().st_mtime_ns for path in place.home.rglob("*")}
    out, _ = place.run("--dry-run")
    lines = out.splitlines()
    assert lines[0].startswith("would run   a[0]: output try-")
    assert lines[1:] == [
        "up to date  a[1]",
        "would run   b[0]: after a[0]",
        "up to date  b[1]",
        "would run   m: after b[0]",
        "3 of 5 cells would run",
    ]
    assert before == {path: path.stat().st_mtime_ns for path in place.home.rglob("*")}


def test_a_choice_of_tasks(place: Workplace) -> None:
    _, err = place.run("--only", "m", code=1)
    assert err.startswith("hcrc: error: m needs b[0], not up to date: no result yet; ")
    place.run("--only", "a")
    assert place.tries() == {"a[0]": 1, "a[1]": 1}
    place.run("--only", "b", "--only=m")
    assert place.tries() == {"b[0]": 1, "b[1]": 1, "m": 1}
    place.run("--from", "b")
    assert place.tries() == {"b[0]": 1, "b[1]": 1, "m": 1}
    place.run("--only", "a", "--force")
    assert place.tries() == {"a[0]": 1, "a[1]": 1}
    _, err = place.run("--only", "m", code=1)
    assert "m needs b[0], not up to date: a[0] was made again" in err
    place.run("--force")
    assert place.tries() == ALL
    _, err = place.run("--only", "mm", code=2)
    assert err == "hcrc: error: there is no task 'mm'; did you mean 'm'?\n"
    _, err = place.run("--only", "m", "--from", "b", code=2)
    assert "--only and --from" in err
    assert place.leftovers() == []


def test_a_failure_stops_the_run_and_is_told(place: Workplace) -> None:
    place.order("a[1]", code=[65])
    place.order("a[0]", sleep=[0.5])
    out, err = place.run("-j", "2", code=1)
    assert place.tries() == {"a[0]": 1, "a[1]": 1}
    log = place.bundle / "run/logs/1.1.log"
    assert err == f"hcrc: error: a[1]: bad-data (65): a[1] was told to fail (log: {log})\n"
    assert "run again to go on" in out
    assert place.leftovers() == []
    place.order("a[1]")
    place.run("-j", "2")
    assert place.tries() == {"a[1]": 1, "b[0]": 1, "b[1]": 1, "m": 1}
    assert place.texts() == TEXTS


def test_a_full_disk_is_tried_again_twice(place: Workplace) -> None:
    place.order("b[1]", code=[1, 69, 0])
    out, _ = place.run("-j", "2")
    assert place.tries() == ALL | {"b[1]": 3}
    assert "out.txt: No space left on device; in" in out
    assert "b  2 run in" in out
    place.order("m", code=[1])
    _, err = place.run("--force", "-j", "2", code=1)
    assert place.tries()["m"] == 3
    assert "m: storage (69):" in err
    ends = [line for line in place.journal() if line["event"] == "end" and line["job"] == 3]
    assert [line["code"] for line in ends] == [0, 69, 69, 69]
    assert [line["attempt"] for line in ends] == [1, 1, 2, 3]


def test_the_traceback_of_a_bug_is_shown_unless_it_is_not_wanted(place: Workplace) -> None:
    place.order("a[0]", code=[99])
    out, err = place.run(code=1)
    assert "a[0]: bug (70): a bug: RuntimeError: a[0] was told to fail" in err
    assert "         RuntimeError: a[0] was told to fail" in out
    place.execution["a[0]"] = {"forward_exception": False}
    place.write()
    out, err = place.run(code=1)
    assert "a[0]: bug (70): a bug: RuntimeError: a[0] was told to fail" in err
    assert "Traceback" not in out


def test_a_forced_retry_makes_each_cell_once(place: Workplace) -> None:
    place.run("-j", "2")
    place.tries()
    place.order("b[1]", code=[69, 0])
    place.run("--from", "b")
    assert place.tries() == {"b[0]": 1, "b[1]": 2, "m": 1}


def test_a_job_killed_by_a_signal_is_told(place: Workplace) -> None:
    place.order("a[0]", code=[-9])
    _, err = place.run("-j", "1", code=1)
    assert "a[0]: killed by SIGKILL, out of memory?: it said nothing (log:" in err


def test_success_without_a_result_is_a_failure(place: Workplace) -> None:
    place.order("a[0]", hollow=True)
    _, err = place.run("-j", "1", code=1)
    assert "a[0]: done without result: a[0] has no valid result: no result yet (log:" in err


def test_no_more_jobs_at_a_time_than_cores(place: Workplace) -> None:
    for cell in ("a[0]", "a[1]"):
        place.order(cell, sleep=[0.2])
    place.run("-j", "1")
    events = [line["event"] for line in place.journal()]
    assert events == ["run", *(["start", "end"] * 4)]


def test_a_job_that_can_never_run_is_refused(place: Workplace) -> None:
    place.execution = {"a[0]": {"cpus": 3}, "m": {"memory_mb": 999}}
    place.write()
    _, err = place.run("-j", "2", "--memory", "500", code=1)
    assert "a asks for 3 cores and the run has 2: give -j 3" in err
    assert "m asks for 999 MB of memory and the run has 500: give --memory 999" in err
    assert place.tries() == {}
    out, also = place.run("--dry-run", "-j", "2", "--memory", "500", code=1)
    assert "5 of 5 cells would run" in out
    assert also == err
    place.run("-j", "3", "--memory", "999")


def test_each_job_gets_its_own_gpu(place: Workplace) -> None:
    place.execution = {name: {"gpus": 1, "cpus": 2} for name in ("a[0]", "a[1]", "m")}
    place.execution["b"] = {"environment": {"OMP_NUM_THREADS": "9"}}
    place.write()
    for cell in ("a[0]", "a[1]"):
        place.order(cell, sleep=[1.0])
    place.run("-j", "4", CUDA_VISIBLE_DEVICES="GPU-x,3")
    seen = [load_result(place.output(c) / "result.json").data["env"] for c in ("a[0]", "a[1]")]
    assert {env["CUDA_VISIBLE_DEVICES"] for env in seen} == {"GPU-x", "3"}
    assert {env["OMP_NUM_THREADS"] for env in seen} == {"2"}
    hidden = load_result(place.output("b[0]") / "result.json").data["env"]
    assert hidden == {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "9"}


def test_without_gpu_the_network_runs_on_the_cpu(place: Workplace) -> None:
    place.execution = {"m": {"gpus": 1}}
    place.write()
    out, _ = place.run("-j", "2", CUDA_VISIBLE_DEVICES="")
    assert "note: m asks for 1 GPU: runs on the CPU" in out
    _, err = place.run("--force", "--device", "cuda", code=1, CUDA_VISIBLE_DEVICES="")
    assert "is to run on cuda and there is no GPU" in err
    _, err = place.run("--force", "--device", "cuda:1", code=1, CUDA_VISIBLE_DEVICES="0")
    assert "--device cuda:1: this machine has 1 GPU" in err


def test_a_second_runner_is_refused(place: Workplace) -> None:
    place.order("a[0]", sleep=[PATIENCE_S])
    with place.start("-j", "1") as first:
        wait_for((place.orders / "a[0].started").exists)
        _, err = place.run(code=1)
        holder = f"process {first.pid} on "
        assert err.startswith(f"hcrc: error: {place.bundle / 'run'}: {holder}")
        assert len(err.splitlines()) == 1
        other = place.bundle.rename(place.home / "other")
        place.bundle.mkdir()
        place.write()
        _, err = place.run("--only", "a", code=1)
        assert f"{place.home / 'out/a'}: {holder}" in err
        place.run("--dry-run")
        assert other.exists()
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_run_and_the_next_goes_on(
    place: Workplace, number: signal.Signals, code: int
) -> None:
    place.order("a[1]", sleep=[PATIENCE_S, 0])
    with place.start("-j", "1") as process:
        wait_for((place.orders / "a[1].started").exists)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, out + err
    assert f"stopped by {number.name}: 3 jobs not done: run again to go on" in out
    assert list(place.output("a[1]").glob("try-*")) == []
    assert place.journal()[-1]["code"] == 75
    place.run("-j", "2")
    assert place.tries() == ALL | {"a[1]": 2}
    assert place.texts() == TEXTS


def test_a_closed_terminal_stops_the_run(place: Workplace) -> None:
    place.order("a[0]", sleep=[PATIENCE_S])
    mine, theirs = pty.openpty()
    line = [sys.executable, str(FAKE), "run", str(place.bundle), "-j", "1"]
    environment = {**os.environ, "FAKE_JOBS": str(place.orders), "TERM": "xterm"}
    with subprocess.Popen(line, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        wait_for((place.orders / "a[0].started").exists)
        os.close(mine)
        wait_for(lambda: str(Path(f"/proc/{process.pid}/fd/1").readlink()) == os.devnull)
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE_S) == 128 + signal.SIGHUP
    assert place.journal()[-1]["code"] == 75
    assert place.leftovers() == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_journal_on_a_full_disk_is_named() -> None:
    full = Path("/dev/full")
    with Journal(full) as journal, pytest.raises(StorageError, match=f"{full}: No space left"):
        journal.write("run")


def test_one_cell_is_one(place: Workplace) -> None:
    assert "done: 2 cells in" in place.run("--only", "a")[0]
    place.run("--only", "b")
    assert "done: 1 cell in" in place.run("--only", "m")[0]
    assert place.run("--only", "m")[0].startswith("nothing to do: the cell is up to date\n")


def test_a_second_ctrl_c_kills(place: Workplace) -> None:
    place.order("a[0]", sleep=[PATIENCE_S], stubborn=True)
    with place.start("-j", "1") as process:
        assert process.stdout is not None
        wait_for((place.orders / "a[0].started").exists)
        process.send_signal(signal.SIGINT)
        while "once more to kill" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert place.journal()[-1]["code"] == -signal.SIGKILL


def test_a_job_that_does_not_stop_is_killed_in_the_end(place: Workplace) -> None:
    place.order("a[0]", sleep=[PATIENCE_S], stubborn=True)
    with place.start("-j", "1", FAKE_GRACE="0.2") as process:
        wait_for((place.orders / "a[0].started").exists)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143


def pids(place: Workplace) -> set[int]:
    paths = place.orders.glob("*.tries")
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return {int(line.split()[0]) for line in lines}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("seed", range(6))
def test_a_run_killed_at_any_instant_is_gone_on_with(place: Workplace, seed: int) -> None:
    draw = random.Random(seed)
    for cell in TEXTS:
        place.order(cell, sleep=[draw.choice([0, 0.05, 0.2])], stubborn=True)
    for _ in range(2):
        with place.start("-j", "2") as process:
            time.sleep(draw.uniform(0.1, 1.2))
            process.kill()
            process.communicate(timeout=PATIENCE_S)
        wait_for(lambda: not any(is_alive(pid) for pid in pids(place)))
    out, _ = place.run("-j", "2")
    assert place.texts() == TEXTS, out
    assert place.leftovers() == []
    assert place.run()[0].startswith("nothing to do")


def test_clean_removes_results_and_nothing_else(place: Workplace) -> None:
    place.run("-j", "2")
    mine = place.output("m") / "mine.txt"
    mine.touch()
    own, link = mine.with_name("try-mine"), mine.with_name("try-link")
    own.mkdir()
    link.symlink_to(place.orders)
    out, _ = place.clean("--dry-run")
    assert out.splitlines()[-1] == "5 results would be removed"
    assert place.run()[0].startswith("nothing to do")
    out, _ = place.clean()
    assert out.splitlines()[0] == f"removed  m  {mine.parent}"
    assert sorted(path for path in place.home.glob("out/?/*") if path.is_dir()) == [mine.parent]
    assert sorted(mine.parent.iterdir()) == [mine, link, own]
    assert place.orders.is_dir()
    theirs = mine.with_name("result.json")
    theirs.write_text('{"limit": 3}')
    assert place.clean()[0] == "0 results removed\n"
    assert theirs.exists()


def test_clean_leaves_no_lock_and_no_empty_folder(place: Workplace) -> None:
    place.run("-j", "2")
    assert list(place.home.glob("out/?/.hcrc.lock"))
    place.clean("--dry-run")
    assert list(place.home.glob("out/?/.hcrc.lock"))
    assert "5 results removed" in place.clean()[0]
    assert list((place.home / "out").iterdir()) == []
    assert place.clean()[0] == "0 results removed\n"
    assert list((place.home / "out").iterdir()) == []


@pytest.mark.parametrize("held", ["out/m/.hcrc.lock", "out/m/m/.lock"])
def test_clean_removes_no_lock_that_is_held(place: Workplace, held: str) -> None:
    place.run("-j", "2")
    path = place.home / held
    with path.open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.truncate(0)
        stream.write("process 1 on elsewhere\n")
        stream.flush()
        err = place.run(command="clean", code=1)[1]
    assert err == f"hcrc: error: {path.parent}: process 1 on elsewhere is running here\n"
    assert path.exists()
    assert (place.output("m") / "result.json").exists()


def test_a_lock_that_was_removed_is_taken_anew(tmp_path: Path, monkeypatch) -> None:
    """Who opened the file of a lock just before its holder removed it holds nothing by it."""
    path = tmp_path / "lock"
    lock, taken = fcntl.flock, []

    def remove_first(stream: TextIO, how: int) -> None:
        if not taken:
            path.unlink()
        taken.append(how)
        lock(stream, how)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with hold_locks([path]):
        assert len(taken) == 2
        with path.open() as stream, pytest.raises(BlockingIOError):
            lock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_is_no_bundle_is_one_line(place: Workplace) -> None:
    plan = place.bundle / "plan.json"
    whole = plan.read_text()
    for text in ("", "[]", "null", '{"hcrc": 2}', whole.replace('"jobs": 4', '"jobs": 5')):
        plan.write_text(text)
        _, err = place.run(code=1)
        assert err.startswith(f"hcrc: error: {plan}: ")
        assert len(err.splitlines()) == 1
    plan.write_text(whole)
    (place.bundle / "jobs.jsonl").write_text("{}\n" * 4)
    _, err = place.run(code=1)
    assert "is not a job of hcrc 1" in err
    plan.unlink()
    _, err = place.run(code=1)
    assert err.endswith("a bundle has plan.json and jobs.idx\n")


def test_what_was_removed_is_made_again_only_if_it_is_read_again(place: Workplace) -> None:
    place.run()
    merged = load_result(place.output("m") / "result.json")
    for name in ("b[0]", "b[1]"):
        result = load_result(place.output(name) / "result.json")
        assert retire_files(result, ["out"], merged) == result.files["out"].size
        assert not result.path("out").exists()
    place.tries()
    assert "nothing to do: all 5 cells are up to date" in place.run()[0]
    place.hashes["m"] = "another"
    place.write()
    out, _ = place.run("--dry-run")
    assert "would run   b[0]: files of it were removed, and are read again" in out
    assert "would run   m: after b[0]" in out
    _, err = place.run("--only", "m", code=1)
    assert "m needs b[0], not up to date: files of it were removed" in err
    assert place.tries() == {}
    place.run()
    assert place.tries() == {"b[0]": 1, "b[1]": 1, "m": 1}
    assert load_result(place.output("b[0]") / "result.json").heir is None
    assert "nothing to do" in place.run()[0]
