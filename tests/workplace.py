"""A bundle of fake jobs in a folder, for tests of the local scheduler."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hcrc.runtime.result import load_result

FAKE = Path(__file__).with_name("fake_job.py")
PATIENCE_S = 60.0


class Workplace:
    """A bundle in a folder, the orders of its cells, and the command that runs it.

    a[0], a[1] are jobs of their own; b[0] and b[1] share one and each reads one of a; m reads both.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bundle = home / "bundle"
        self.orders = home / "fake"
        self.execution: dict[str, dict[str, Any]] = {}
        self.hashes: dict[str, str] = {}
        self.bundle.mkdir()
        self.orders.mkdir()
        self.write()

    def write(self) -> None:
        jobs = [
            self.job(0, "a[0]", {"a[0]": []}),
            self.job(1, "a[1]", {"a[1]": []}),
            self.job(2, "b", {"b[0]": ["a[0]"], "b[1]": ["a[1]"]}, [0, 1]),
            self.job(3, "m", {"m": ["b[0]", "b[1]"]}, [2]),
        ]
        lines = [json.dumps(job).encode() + b"\n" for job in jobs]
        offsets = [sum(map(len, lines[:number])) for number in range(len(lines))]
        (self.bundle / "jobs.jsonl").write_bytes(b"".join(lines))
        (self.bundle / "jobs.idx").write_bytes(struct.pack("<4Q", *offsets))
        tasks = [
            self.task("a", 0, 2, 2),
            self.task("b", 2, 3, 2, "a"),
            self.task("m", 3, 4, 1, "b"),
        ]
        plan = {"hcrc": 1, "name": "x", "hash": "p", "jobs": 4, "workflow": "x.yml", "tasks": tasks}
        (self.bundle / "plan.json").write_text(json.dumps(plan))

    def job(
        self, number: int, name: str, cells: dict[str, list[str]], needs: Sequence[int] = ()
    ) -> dict[str, Any]:
        execution = {"cpus": 1, "memory_mb": 10, "gpus": 0, "device": "auto", "batch_eval": 1}
        rest = {"number": number, "name": f"j{number}", "task": "plot", "needs": list(needs)}
        return {
            "hcrc": 1,
            "id": name,
            **rest,
            "cells": [self.cell(cell, reads) for cell, reads in cells.items()],
            "execution": execution | self.execution.get(name, {}),
        }

    def cell(self, name: str, reads: list[str]) -> dict[str, Any]:
        models = [
            {"cell": read, "result": f"{self.output(read)}/result.json", "hash": self.hash(read)}
            for read in reads
        ]
        head = {"id": name, "axes": {}, "output": str(self.output(name)), "hash": self.hash(name)}
        return head | {"spec": {"models": models}}

    def hash(self, name: str) -> str:
        return self.hashes.get(name, f"hash of {name}")

    def task(self, name: str, first: int, end: int, cells: int, *needs: str) -> dict[str, Any]:
        root = str(self.home / "out" / name)
        row = {"name": name, "task": "plot", "jobs": [first, end], "cells": cells}
        return row | {"root": root, "needs": list(needs)}

    def output(self, cell: str) -> Path:
        return self.home / "out" / cell[0] / cell

    def order(self, cell: str, **orders: Any) -> None:
        (self.orders / f"{cell}.json").write_text(json.dumps(orders))

    def clean(self, *words: str) -> tuple[str, str]:
        return self.run(*words, command="clean")

    def start(self, *words: str, command: str = "run", **environment: str) -> subprocess.Popen[str]:
        line = [sys.executable, str(FAKE), command, str(self.bundle), *words]
        return subprocess.Popen(
            line,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "FAKE_JOBS": str(self.orders), **environment},
        )

    def run(self, *words: str, code: int = 0, **environment: str) -> tuple[str, str]:
        """Run to the end; what it printed."""
        with self.start(*words, **environment) as process:
            out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, out + err
        return out, err

    def tries(self) -> dict[str, int]:
        """How often each cell was tried since the last call."""
        found = {}
        for path in sorted(self.orders.glob("*.tries")):
            found[path.stem] = len(path.read_text().splitlines())
            path.unlink()
        return found

    def texts(self) -> dict[str, str]:
        results = [load_result(path) for path in self.home.glob("out/?/*/result.json")]
        return {result.cell: result.data["text"] for result in results}

    def journal(self) -> list[dict[str, Any]]:
        lines = (self.bundle / "run/journal.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def leftovers(self) -> list[str]:
        """Folders of attempts that do not count, and unfinished files."""
        kept = {
            path.parent / load_result(path).attempt
            for path in self.home.glob("out/?/*/result.json")
        }
        found = [*self.home.glob("out/?/*/try-*"), *self.home.glob("out/?/*/.result.json*")]
        return [path.name for path in found if path not in kept]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
