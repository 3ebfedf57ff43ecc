"""CPU time of deciding what has to run, where everything is up to date.

``python benchmarks/schedule.py [JOBS]`` prints a table. The yardstick, in the same run, is reading
each result as JSON and looking at the files that it names, which no check can do without.
"""

from __future__ import annotations

import json
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hcrc.runtime.agenda import decide, select_tasks
from hcrc.runtime.bundle import open_bundle
from hcrc.runtime.result import open_attempt
from hcrc.runtime.spec import read_job

EXECUTION = {"cpus": 1, "memory_mb": 1, "gpus": 0, "device": "auto", "batch_eval": 1}


def make_job(home: Path, number: int) -> dict[str, Any]:
    """A job of one cell that reads nothing."""
    cell = {
        "id": f"plot[offset={number}]",
        "axes": {"offset": number},
        "output": str(home / "out" / str(number)),
        "hash": f"{number:032x}",
        "spec": {"models": []},
    }
    head = {"hcrc": 1, "id": cell["id"], "number": number, "name": "plot", "task": "plot"}
    return {**head, "needs": [], "cells": [cell], "execution": EXECUTION}


def make_bundle(home: Path, count: int) -> None:
    """A bundle in which every cell has a result with one file."""
    jobs = [make_job(home, number) for number in range(count)]
    for job in jobs:
        with open_attempt(read_job(job).cells[0]) as attempt:
            path = attempt.path("file")
            path.write_text("x")
            attempt.commit({"file": path}, {})
    lines = [json.dumps(job).encode() + b"\n" for job in jobs]
    offsets = [0]
    for line in lines[:-1]:
        offsets.append(offsets[-1] + len(line))
    (home / "jobs.jsonl").write_bytes(b"".join(lines))
    (home / "jobs.idx").write_bytes(struct.pack(f"<{count}Q", *offsets))
    task = {"name": "plot", "task": "plot", "jobs": [0, count], "cells": count, "needs": []}
    plan = {"hcrc": 1, "name": "plot", "hash": "0", "jobs": count}
    plan["tasks"] = [{**task, "root": str(home / "out")}]
    (home / "plan.json").write_text(json.dumps(plan))


def check(home: Path) -> None:
    """What a run does before it says that there is nothing to do."""
    bundle = open_bundle(home)
    assert not decide(bundle, select_tasks(bundle.tasks, [], None, False)).todo  # noqa: S101


def look(home: Path) -> None:
    """The yardstick."""
    for line in (home / "jobs.jsonl").read_text().splitlines():
        path = Path(json.loads(line)["cells"][0]["output"]) / "result.json"
        for file in json.loads(path.read_text())["files"].values():
            (path.parent / file["path"]).stat()


def measure(work: Callable[[Path], None], home: Path) -> float:
    """The least CPU seconds of three runs."""
    times = []
    for _ in range(3):
        began = time.process_time()
        work(home)
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_bundle(home, count)
        rows = {"read JSON and stat": measure(look, home), "decide": measure(check, home)}
    print(f"{count} jobs, all up to date")
    for name, seconds in rows.items():
        ratio = seconds / rows["read JSON and stat"]
        print(f"{name:<20} {1e6 * seconds / count:8.1f} µs a job  {ratio:5.2f} ×")


if __name__ == "__main__":
    main()
