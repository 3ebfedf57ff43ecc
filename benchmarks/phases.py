"""CPU seconds of compiling: the demo, a sweep of many cells, and a long file of definitions.

    python benchmarks/phases.py [CELLS]

Each row has a yardstick measured in the same run: ``yaml.safe_load`` of the same text, and
``json.dumps`` of the same jobs, job by job. Parsing and checking are parts of compiling.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import yaml
from hcrc.compiler.compile import Request, compile_workflow
from hcrc.compiler.lines import write_jobs
from hcrc.compiler.parse import parse

Result = TypeVar("Result")
ROOT = Path(__file__).parents[1]
HEAD = """\
hcrc: 1
name: sweep
datasets:
  Data: {samples: [{sample: data, label: data, years: [A, B, C], files: ["data_{year}.root"]}]}
  Signal: {samples: [{sample: ZZ4b, label: ZZ, years: [A, B, C], files: ["ZZ4b_{year}.root"]}]}
"""
SWEEP = """\
classifiers:
  SvB: {classes: [data, ZZ], rocs: [{name: all, positive: [ZZ], negative: [data]}]}
tasks:
  cache: {task: cache, datasets: [Data, Signal]}
  train: {task: train, dataset: cache, classifier: SvB, for: {offset: 0-LAST}, group: 10}
  evaluate: {task: evaluate, models: train, datasets: [Data, Signal], group: 10}
  merge: {task: merge, predictions: evaluate}
"""
COLUMNS = ("workflow", "cells", "parse", "safe_load", "check", "write", "dumps", "compile")


def seconds(action: Callable[[], Result]) -> tuple[float, Result]:
    """CPU seconds of an action, and what it gave."""
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


def sweep(cells: int) -> str:
    """A workflow with that many cells of train, and as many of evaluate."""
    return HEAD + SWEEP.replace("LAST", str(cells - 1))


def definitions(lines: int) -> str:
    """A workflow with that many lines of datasets, all of which are used."""
    sample = "samples: [{sample: data, label: data, years: [A], files: [DATA.root]}]"
    names = [f"D{number}" for number in range(lines)]
    rows = [f"  {name}: {{{sample.replace('DATA', name)}}}\n" for name in names]
    uses = f"[{', '.join(names)}]"
    return f"{HEAD}{''.join(rows)}tasks:\n  cache: {{task: cache, datasets: {uses}}}\n"


def measure(name: str, text: str, folder: Path) -> tuple[str, ...]:
    """One row of the table."""
    path = folder / "workflow.yml"
    path.write_text(text, "utf-8")
    parsing, _ = seconds(lambda: parse(text, name))
    loading, _ = seconds(lambda: yaml.safe_load(text))
    request = Request(path, (), (), (), {}, folder)
    checking, compilation = seconds(lambda: compile_workflow(request))
    plan = compilation.plan
    if plan is None:
        raise SystemExit(f"{name}: {compilation.diagnostics[0].message}")
    writing, _ = seconds(lambda: write_jobs(plan, io.BytesIO()))
    dumping, _ = seconds(lambda: [json.dumps(job.to_json(), sort_keys=True) for job in plan.jobs])
    times = (parsing, loading, checking, writing, dumping, checking + writing)
    cells = sum(task.cells for task in plan.tasks)
    return name, f"{cells}", *(f"{value:.2f}" for value in times)


def main(cells: int) -> None:
    """Print the table; times are CPU seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            measure("demo", (ROOT / "workflows" / "demo.yml").read_text("utf-8"), folder),
            measure("definitions", definitions(10_000), folder),
            measure("sweep", sweep(cells), folder),
        ]
    for row in (COLUMNS, *rows):
        sys.stdout.write(f"{row[0]:12}" + "".join(f"{text:>11}" for text in row[1:]) + "\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    sys.stdout.write(f"peak memory {peak:.0f} MB\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
