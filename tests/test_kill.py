"""kill -9 at seeded instants, inside writes too: a run after it ends with the same numbers."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from chain import Chain

pytestmark = pytest.mark.slow
TASKS = ("cache", "train", "evaluate", "merge", "plot")
INSTANTS = range(10)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    chain = Chain.make(tmp_path_factory.mktemp("kill"))
    chain.run()
    return chain, chain.numbers()


@pytest.fixture
def chain(finished):
    """The chain, and the numbers that it has to end with."""
    return finished


def begin(chain, generator):
    """Start the chain from a task on, in a process group of its own; returns the process."""
    first = generator.choice(TASKS)
    shutil.rmtree(chain.folder / "chain" / first)
    return chain.start(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0)


def kill(process, generator):
    """Kill the runner alone, so that its jobs are orphans, or with all its jobs."""
    if generator.random() < 0.5:
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def finish(chain, numbers):
    """Run to the end, once the orphans of the killed run are gone; check what is there."""
    for _ in range(50):
        process = chain.start(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, _ = process.communicate()
        if "another process" not in out:
            break
        time.sleep(0.1)
    assert process.returncode == 0, out
    assert chain.numbers() == numbers
    assert chain.leftovers() == set()
    assert chain.run().startswith("nothing to do")


@pytest.mark.parametrize("seed", INSTANTS)
def test_killed_at_an_instant(chain, seed):
    chain, numbers = chain
    generator = random.Random(seed)
    process = begin(chain, generator)
    time.sleep(generator.uniform(0.3, 9))
    kill(process, generator)
    finish(chain, numbers)


def writes(chain):
    """What lies in the folders of attempts, with sizes: it changes while something is written."""
    found = {}
    for path in (chain.folder / "chain").rglob("*"):
        if "try-" in str(path) or path.name.endswith(".tmp"):
            try:
                found[path] = path.stat().st_size
            except FileNotFoundError:
                continue
    return found


@pytest.mark.parametrize("seed", INSTANTS)
def test_killed_inside_a_write(chain, seed):
    chain, numbers = chain
    generator = random.Random(100 + seed)
    process = begin(chain, generator)
    before, changes = writes(chain), generator.randint(1, 3)
    while changes and process.poll() is None:
        now = writes(chain)
        changes -= now != before
        before = now
    assert process.poll() is None
    kill(process, generator)
    finish(chain, numbers)
