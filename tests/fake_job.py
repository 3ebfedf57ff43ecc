"""The runtime's own command line with a task that does as it is told, for tests of scheduling.

What a cell does stands in ``$FAKE_JOBS/<cell id>.json``: ``sleep`` and ``code`` are lists with
one entry for each try (the last one counts from then on), ``inputs`` are files it reads,
``stubborn`` ignores signals, ``hollow`` leaves no result.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from hcrc.runtime import commands, errors, job
from hcrc.runtime.events import EventWriter
from hcrc.runtime.result import open_attempt
from hcrc.runtime.schedule import Policy
from hcrc.runtime.spec import Cell, Job

ERRORS = {error.code: error for error in (errors.SpecError, errors.DataError, errors.StorageError)}


def run_fake(run: Job, events: EventWriter) -> None:
    for cell in run.cells:
        run_cell(cell, events)


def run_cell(cell: Cell, events: EventWriter) -> None:
    home = Path(os.environ["FAKE_JOBS"])
    tries = count_try(home / f"{cell.id}.tries")
    control = home / f"{cell.id}.json"
    orders: dict[str, Any] = json.loads(control.read_text()) if control.exists() else {}
    if orders.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open_attempt(cell) as attempt:
        for path in orders.get("inputs", []):
            attempt.read(path)
        texts = [attempt.read_result(r.result, r.hash).data["text"] for r in cell.references()]
        out = attempt.path("out.txt")
        out.write_text("half")
        (home / f"{cell.id}.started").touch()
        events.progress(cell.id, "sleep", 1, 2)
        time.sleep(pick(orders.get("sleep", [0]), tries))
        code = pick(orders.get("code", [0]), tries)
        if code < 0:
            os.kill(os.getpid(), -code)
        if code == 1:
            raise OSError(28, "No space left on device", str(out))
        if code:
            raise ERRORS.get(code, RuntimeError)(f"{cell.id} was told to fail")
        if orders.get("hollow"):
            return
        text = f"{cell.id}({' '.join(texts)})"
        out.write_text(text)
        env = {key: os.environ[key] for key in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")}
        data = {"text": text, "summary": [f"AUC {len(text)}"], "tries": tries, "env": env}
        attempt.commit({"out": out}, data | {"device": sys.argv})


def count_try(path: Path) -> int:
    with path.open("a") as stream:
        stream.write(f"{os.getpid()} {time.monotonic()}\n")
    return len(path.read_text().splitlines())


def pick(values: list[float], tries: int) -> Any:
    return values[min(tries, len(values)) - 1]


if __name__ == "__main__":
    job.run_job = run_fake
    policy = Policy(delays_s=(0.05, 0.1), grace_s=float(os.environ.get("FAKE_GRACE", "60")))
    sys.exit(commands.main(runner=commands.Runner([sys.executable, __file__], policy)))
