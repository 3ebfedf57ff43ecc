"""Mutated workflows: each gives a plan or diagnostics, in little time and memory.

The limits are far beyond what any takes (a tenth of a second, a few megabytes), and of processor
time, so that a busy machine fails no test.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .mutate import Mutator, corpus

SLICES = 4
EACH = 250
MOST_S = 10
MOST_MB = 200


@pytest.mark.parametrize("part", range(SLICES))
def test_mutations_give_a_plan_or_diagnostics(part):
    """HCRC_MUTATIONS says how many seeds each of the parts tries."""
    count = int(os.environ.get("HCRC_MUTATIONS", EACH))
    script = Path(__file__).with_name("mutate.py")
    words = ["--first", str(part * count), "--count", str(count)]
    run = subprocess.run(
        [sys.executable, str(script), *words], capture_output=True, text=True, check=False
    )
    assert run.stderr == ""
    found = json.loads(run.stdout)
    assert found["failures"] == []
    assert found["tried"] == count
    assert 0 < found["plans"] < count
    assert found["worst_s"] < MOST_S, found["worst_seed"]
    assert found["grown_mb"] < MOST_MB


def test_a_seed_gives_the_same_files():
    one, two = Mutator(corpus()), Mutator(corpus())
    for seed in (3, 1, 2):
        assert one.files(seed) == two.files(seed)
    changed = [one.files(seed)[1] != one.texts[one.files(seed)[0]] for seed in range(50)]
    assert sum(changed) > 40
