"""hcrc submit, status, logs, cancel and resume on a real HTCondor pool."""

import json
import shutil
import sys
import time

import pytest
from cluster.pool import REPOSITORY

pytestmark = pytest.mark.cluster

WORKFLOWS = REPOSITORY / "workflows"
HCRC = [sys.executable, "-m", "hcrc.compiler"]
PATIENCE_S = 600
SLEEPER = """\
hcrc: 1
name: sleeper
tasks:
  wait:
    task: command
    for: {number: 0-1}
    command: [sh, -c, "test -e FOLDER/go-{number} || sleep 60; date > $0", "{done}"]
    outputs: {done: done.txt}
"""
FLAKY = """\
hcrc: 1
name: flaky
tasks:
  small:
    task: command
    for: {number: 0-COUNT}
    command: [sh, FILE, "{number}", "{done}"]
    outputs: {done: done.txt}
  last:
    task: command
    inputs: {all: {all: small}}
    command: [wc, -c, "{all}"]
"""
PROGRAM = """\
# One in five fails at first; what it tried is kept beside this file.
here=$(dirname "$0")
if [ $(($1 % 5)) = 0 ] && [ ! -e "$here/tried-$1" ]; then
  touch "$here/tried-$1"
  exit 75
fi
echo "$1" > "$2"
"""


class Run:
    """A bundle that is submitted in a pool."""

    def __init__(self, pool, folder, *words):
        self.pool = pool
        self.folder = folder
        said = self.call("compile", *words)
        assert said.returncode == 0, said.stderr
        self.bundle = folder / said.stdout.strip()

    def call(self, *words):
        return self.pool.run([*HCRC, *map(str, words)], self.folder)

    def submit(self, command="submit"):
        done = self.call(command, self.bundle)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self):
        done = self.call("status", self.bundle, "--format", "json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def until(self, *states):
        """The status as soon as the run is in one of these states."""
        end = time.monotonic() + PATIENCE_S
        while (found := self.status())["state"] not in states:
            assert time.monotonic() < end, found
            time.sleep(1)
        return found

    def until_ended(self):
        """The status when DAGMan is gone, which is after the last job."""
        end = time.monotonic() + PATIENCE_S
        while (found := self.status())["manager"] != "ended":
            assert time.monotonic() < end, found
            time.sleep(1)
        return found

    def until_jobs(self, state):
        end = time.monotonic() + PATIENCE_S
        found = self.status()
        while not any(state in row["states"] for row in found["rows"]):
            assert time.monotonic() < end, found
            time.sleep(0.5)
            found = self.status()
        return found

    def condor(self, *words):
        done = self.pool.run(list(words), self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def results(self):
        found = {}
        for line in (self.bundle / "jobs.jsonl").read_text().splitlines():
            for cell in json.loads(line)["cells"]:
                path = self.folder / cell["output"] / "result.json"
                found[cell["id"]] = json.loads(path.read_text()) if path.exists() else None
        return found


HUNGRY = """\
hcrc: 1
name: hungry
tasks:
  eat:
    task: command
    command: [sh, FILE, "{done}"]
    outputs: {done: done.txt}
    resources: {memory: 200 MB}
"""
EATER = """\
# Says that memory did not suffice until it has run so many times.
tries=$(dirname "$0")/tries
echo x >>"$tries"
if [ "$(wc -l <"$tries")" -lt TIMES ]; then exit 71; fi
echo done >"$1"
"""
SITE = """\
hcrc: 1
name: here
python: PYTHON
retries: 0
memory: {growth: 2, cap: CAP MB}
"""


def hungry(pool, name, cap, times):
    folder = pool.folder(name)
    (folder / "eater.sh").write_text(EATER.replace("TIMES", str(times)))
    (folder / "hungry.yml").write_text(HUNGRY.replace("FILE", str(folder / "eater.sh")))
    site = SITE.replace("PYTHON", sys.executable).replace("CAP", str(cap))
    (folder / "site.yml").write_text(site)
    return Run(pool, folder, "hungry.yml", "--site", "./site.yml")


def memory_at_last(run):
    """How often the job ran, and how much memory it asked for in the end, in MB."""
    cluster = run.status()["cluster"]
    words = ["-constraint", f"DAGManJobId == {cluster}", "-limit", "1", "-af", "RequestMemory"]
    tries = len((run.folder / "tries").read_text().splitlines())
    return tries, run.condor("condor_history", *words).strip()


def demo(pool, name, *words):
    folder = pool.folder(name)
    return Run(pool, folder, WORKFLOWS / "demo.yml", "--param", "kfolds=2", *words)


def histories(results):
    found = {cell: result for cell, result in results.items() if cell.startswith("train")}
    return {c: [m["history"] for m in r["data"]["models"]] for c, r in found.items()}


def test_the_demo_and_a_sweep_of_it_end_as_they_do_here(pool):
    words = ("--param", "epochs=2", "--param", "offset=0-1")
    run = demo(pool, "submit it's", *words)
    said = run.submit()
    assert "submitted  demo: 7 jobs to DAGMan, cluster " in said
    assert f"hcrc status {run.bundle}" in said
    for command in ("submit", "run", "resume"):
        again = run.call(command, run.bundle)
        assert again.returncode == 1
        assert "DAGMan has it, cluster" in again.stderr
    assert run.call("status", run.bundle).returncode == 3
    found = run.until_ended()
    assert found["state"] == "done", found
    assert [row["states"] for row in found["rows"]] == [
        {"done": 1}, {"done": 2}, {"done": 1}, {"done": 2}, {"done": 1},
    ]  # fmt: skip
    watched = run.call("status", run.bundle, "--watch")
    assert (watched.returncode, watched.stdout.splitlines()[0].split(": ")[1][:4]) == (0, "done")
    assert run.call("submit", run.bundle).stdout.startswith("nothing to do: all 7 cells")
    shown = run.call("logs", run.bundle, "train[offset=1]")
    assert shown.returncode == 0
    assert f"{run.bundle}/run/logs/2." in shown.stderr
    here = demo(pool, "here", *words)
    done = here.call("run", here.bundle)
    assert done.returncode == 0, done.stderr
    assert histories(here.results()) == histories(run.results())
    auc = [each["merge"]["data"]["auc"] for each in (here.results(), run.results())]
    assert auc[0] == auc[1]


def test_what_fails_says_why_and_is_resumed_after_it_is_mended(pool):
    folder = pool.folder("mended here")
    shutil.copytree(WORKFLOWS / "demo", folder / "demo")
    text = (WORKFLOWS / "demo.yml").read_text()
    (folder / "demo.yml").write_text(text)
    source = folder / "demo" / "TTTo2L2Nu_UL16_preVFP" / "picoAOD.root"
    whole = source.read_bytes()
    source.write_bytes(b"no ROOT file")
    run = Run(pool, folder, "demo.yml", "--param", "epochs=1", "--param", "kfolds=2")
    run.submit()
    found = run.until("failed")
    (trouble,) = found["troubles"]
    assert trouble["id"] == "cache"
    assert "bad-data (65)" in trouble["reason"] or "(65)" in trouble["reason"]
    assert "are no ROOT file" in trouble["reason"]
    assert found["rows"][0]["states"] == {"failed": 1}
    source.write_bytes(whole)
    assert "5 jobs to DAGMan" in run.submit("resume")
    assert run.until("done", "failed")["state"] == "done"
    assert (run.bundle / "run" / "condor.1" / "workflow.dag").exists()


def test_a_training_that_is_vacated_ends_with_the_same_losses(pool):
    words = ("--param", "epochs=20")
    run = demo(pool, "vacated", *words)
    run.submit()
    checkpoint = run.folder / "hcrc-out/demo/results/train/offset=0/.hcrc-checkpoint.pt"
    end = time.monotonic() + PATIENCE_S
    while not checkpoint.exists():
        assert time.monotonic() < end, run.status()
        time.sleep(0.05)
    run.condor("condor_vacate_job", "-fast", "-constraint", 'DAGNodeName == "1"')
    assert run.until("done", "failed", "stopped")["state"] == "done"
    events = (run.bundle / "run/events/1.jsonl").read_text()
    assert "goes on after epoch" in events
    here = demo(pool, "not vacated", *words)
    assert here.call("run", here.bundle, "--only", "cache").returncode == 0
    assert here.call("run", here.bundle, "--only", "train").returncode == 0
    cell = "train[offset=0]"
    assert histories(here.results())[cell] == histories(run.results())[cell]


def sleepers(pool, name):
    folder = pool.folder(name)
    (folder / "out").mkdir()
    text = SLEEPER.replace("FOLDER", str(folder / "out"))
    (folder / "sleeper.yml").write_text(text)
    return Run(pool, folder, "sleeper.yml")


def test_a_job_that_is_held_is_told_and_released_and_one_removed_is_resumed(pool):
    run = sleepers(pool, "held")
    run.submit()
    run.until_jobs("running")
    run.condor("condor_hold", "-constraint", 'DAGNodeName == "0"')
    found = run.until_jobs("held")
    (trouble,) = found["troubles"]
    assert trouble["job"] == 0
    assert "condor_hold" in trouble["reason"]
    assert "condor_release" in trouble["remedy"]
    (run.folder / "out" / "go-0").touch()
    (run.folder / "out" / "go-1").touch()
    run.condor("condor_release", "-constraint", 'DAGNodeName == "0"')
    done = run.call("cancel", run.bundle, "1")
    assert done.returncode == 0, done.stderr
    found = run.until("failed", "done")
    assert found["state"] == "failed"
    assert found["rows"][0]["states"] == {"done": 1, "failed": 1}
    assert "1 job to DAGMan" in run.submit("resume")
    assert run.until("done", "failed")["state"] == "done"


def test_a_run_that_is_cancelled_goes_on_when_it_is_resumed(pool):
    run = sleepers(pool, "cancelled")
    run.submit()
    run.until_jobs("running")
    done = run.call("cancel", run.bundle)
    assert done.returncode == 0, done.stderr
    assert "hcrc resume" in done.stdout
    found = run.until("stopped", "failed")
    assert found["rows"][0]["states"].keys() & {"done", "running", "idle"} == set()
    for number in (0, 1):
        (run.folder / "out" / f"go-{number}").touch()
    run.submit("resume")
    assert run.until("done", "failed")["state"] == "done"


def test_many_small_jobs_one_in_five_failing_at_first(pool):
    folder = pool.folder("flaky")
    (folder / "program.sh").write_text(PROGRAM)
    count = 20
    text = FLAKY.replace("COUNT", str(count - 1)).replace("FILE", str(folder / "program.sh"))
    (folder / "flaky.yml").write_text(text)
    run = Run(pool, folder, "flaky.yml")
    run.submit()
    found = run.until("done", "failed", "stopped")
    assert found["state"] == "done", found
    assert [row["states"] for row in found["rows"]] == [{"done": count}, {"done": 1}]
    assert found["rows"][0]["retried"] == count // 5


def test_a_job_without_enough_memory_comes_back_with_more(pool):
    run = hungry(pool, "hungry", 1000, 3)
    run.submit()
    found = run.until_ended()
    assert found["state"] == "done", found
    assert memory_at_last(run) == (3, "800")


def test_at_the_cap_memory_is_the_reason_of_the_failure(pool):
    run = hungry(pool, "starved", 400, 9)
    run.submit()
    found = run.until_ended()
    assert found["state"] == "failed", found
    (trouble,) = found["troubles"]
    assert trouble["reason"].startswith("out-of-memory (71): ")
    assert memory_at_last(run) == (2, "400")
