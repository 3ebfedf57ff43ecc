"""A bundle's DAG, handed to a real HTCondor pool by the very lines of docs/htcondor.md."""

import json
import re
import shlex
import shutil
import sys
from collections import Counter

import pytest
from cluster.pool import REPOSITORY

pytestmark = pytest.mark.cluster

WORKFLOWS = REPOSITORY / "workflows"
COMPILER = [sys.executable, "-m", "hcrc.compiler"]
TWO = """\
hcrc: 1
name: two
include: [demo/definitions.yml]
tasks:
  good: {task: cache, datasets: [SvB.Signal], output: results/good}
  bad: {task: cache, datasets: [SvB.Background], output: results/bad}
"""
STUB = """\
import sys
from pathlib import Path

number = sys.argv[3]
tries = Path(__file__).with_name(f"tries-{number}")
with tries.open("a") as file:
    file.write("x")
sys.exit({"0": 75 if tries.stat().st_size < 3 else 0, "1": 75}[number])
"""


@pytest.fixture(scope="module")
def lines():
    """The lines of docs/htcondor.md that submit a bundle, and those that do it once more."""
    text = (REPOSITORY / "docs" / "htcondor.md").read_text()
    (block,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    block = block.replace("/path/to/.venv/bin/python", shlex.quote(sys.executable))
    return block, "".join(block.splitlines(keepends=True)[-2:])


def checked(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Dag:
    """A bundle's DAG in a pool, submitted as often as a test likes."""

    def __init__(self, pool, bundle):
        self.pool = pool
        self.bundle = bundle
        self.place = bundle / "run" / "condor"

    def submit(self, text, cwd=None):
        script = text.replace("BUNDLE", shlex.quote(str(self.bundle)))
        said = checked(self.pool.run(["sh", "-euc", script], cwd or self.place))
        self.cluster = re.search(r"submitted to cluster (\d+)", said)[1]

    def wait(self):
        """The exit code of DAGMan."""
        log = "workflow.dag.dagman.log"
        waited = checked(
            self.pool.run(["condor_wait", "-wait", "900", log, self.cluster], self.place)
        )
        assert "All jobs done" in waited
        return json.loads((self.place / "workflow.dag.metrics").read_text())["exitcode"]

    def tries(self):
        """How often each job ran."""
        return Counter(
            int(path.name.split(".")[0]) for path in (self.bundle / "run/logs").iterdir()
        )

    def logs(self):
        found = sorted((self.bundle / "run" / "logs").iterdir())
        return "\n".join(f"{path.name}:\n{path.read_text()}" for path in found)


def compile_in(pool, folder, *words):
    said = checked(pool.run([*COMPILER, "compile", *words], folder))
    return Dag(pool, folder / said.strip())


def write_two(pool, name):
    """A folder with a workflow of two tasks and what they read."""
    folder = pool.folder(name)
    shutil.copytree(WORKFLOWS / "demo", folder / "demo")
    (folder / "two.yml").write_text(TWO)
    return folder


def test_the_pool_has_slots(pool):
    assert "slot1@" in checked(pool.run(["condor_status"]))


def test_the_demo_runs_to_its_end_by_hand_in_a_hostile_folder(pool, lines):
    folder = pool.folder("a b'c é")
    values = "{epochs: 2, kfolds: 2}"
    dag = compile_in(pool, folder, WORKFLOWS / "demo.yml", "--template", values)
    dag.submit(lines[0], folder)
    assert dag.wait() == 0, dag.logs()
    jobs = [json.loads(line) for line in (dag.bundle / "jobs.jsonl").read_text().splitlines()]
    for job in jobs:
        for cell in job["cells"]:
            assert (folder / cell["output"] / "result.json").is_file()
    assert (dag.place / "node-status").is_file()
    again = checked(pool.run([*COMPILER, "run", dag.bundle], folder))
    assert again.startswith("nothing to do: all 5 cells are up to date")


def test_what_fails_for_good_goes_on_after_it_is_mended(pool, lines):
    folder = write_two(pool, "mended")
    source = folder / "demo" / "TTTo2L2Nu_UL16_preVFP" / "picoAOD.root"
    whole = source.read_bytes()
    source.write_bytes(b"no ROOT file")
    dag = compile_in(pool, folder, "two.yml")
    dag.submit(lines[0], folder)
    assert dag.wait() != 0
    assert "(return value 65)" in (dag.place / "workflow.dag.nodes.log").read_text(), dag.logs()
    assert dag.tries() == {0: 1, 1: 1}
    assert (dag.place / "workflow.dag.rescue001").is_file()
    source.write_bytes(whole)
    dag.submit(lines[1])
    assert dag.wait() == 0, dag.logs()
    assert dag.tries() == {0: 1, 1: 2}
    assert (folder / "results" / "bad" / "result.json").is_file()


def test_what_may_be_better_next_time_is_tried_again(pool, lines):
    folder = write_two(pool, "again")
    dag = compile_in(pool, folder, "two.yml")
    (dag.bundle / "hcrc.pyz").write_text(STUB)
    dag.submit(lines[0], folder)
    assert dag.wait() != 0
    assert dag.tries() == {0: 3, 1: 3}
    rescue = (dag.place / "workflow.dag.rescue001").read_text()
    assert re.findall(r"^DONE (\w+)$", rescue, re.MULTILINE) == ["0"]
