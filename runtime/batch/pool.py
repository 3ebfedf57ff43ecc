"""What is asked of HTCondor itself: to take a DAG, to remove jobs, and what it has in its queue.

By its commands, which are of the pool's own version: Python bindings may be of another one, which
does not always authenticate.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import JobError

SUBMITTED: Final = re.compile(r"submitted to cluster (\d+)")
SCHEDD: Final = re.compile(r'Submitting job\(s\) to (?:remote )?schedd "?([^"\s]+)"?')
PATIENCE_S: Final = 120


class PoolError(JobError):
    """HTCondor is not here, cannot be reached, or refuses."""

    code = 69


class Submitted(NamedTuple):
    """The cluster of DAGMan's own job, and the schedd that has it; "" where it is the local one."""

    cluster: int
    schedd: str


def submit_dag(dag: Path, name: str, environment: Mapping[str, str]) -> Submitted:
    """Hand a DAG to DAGMan, which runs in its folder; ``environment`` goes with it.

    Raises :class:`PoolError`.
    """
    if not shutil.which("condor_submit_dag"):
        raise PoolError(
            "HTCondor is not on this machine: there is no condor_submit_dag on the PATH; log in"
            " where jobs are submitted, or run here: hcrc run"
        )
    words = ["condor_submit_dag", "-batch-name", name]
    said = _ask([*words, "-include_env", ",".join(environment), dag.name], dag.parent, environment)
    found, schedd = SUBMITTED.search(said), SCHEDD.search(said)
    if found is None:
        raise PoolError(f"condor_submit_dag does not name a cluster: {said.strip()[-300:]}")
    return Submitted(int(found[1]), schedd[1] if schedd else "")


def remove(constraint: str, schedd: str) -> None:
    """Remove jobs from the queue; raises :class:`PoolError`."""
    _ask(["condor_rm", *_named(schedd), "-constraint", constraint])


class Queue(NamedTuple):
    """What a schedd has of a run: whether DAGMan's own job, and how many jobs of it."""

    has_manager: bool
    jobs: int


def read_queue(cluster: int, schedd: str) -> Queue:
    """What the schedd has of a run by DAGMan's cluster; raises :class:`PoolError`."""
    constraint = f"ClusterId == {cluster} || DAGManJobId == {cluster}"
    words = ["condor_q", *_named(schedd), "-json", "-attributes", "ClusterId"]
    said = _ask([*words, "-constraint", constraint])
    try:
        found = json.loads(said) if said.strip() else []
    except ValueError as error:
        raise PoolError(f"condor_q: not JSON: {error}") from error
    clusters = [row.get("ClusterId") for row in found if isinstance(row, dict)]
    return Queue(cluster in clusters, len(clusters) - clusters.count(cluster))


def _named(schedd: str) -> list[str]:
    return ["-name", schedd] if schedd else []


def _ask(
    words: Sequence[str], folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """What a command prints; raises :class:`PoolError`."""
    variables = {**os.environ, **(environment or {})}
    try:
        done = subprocess.run(
            words, cwd=folder, env=variables, capture_output=True, text=True, timeout=PATIENCE_S
        )
    except FileNotFoundError as error:
        raise PoolError(f"there is no {words[0]} on the PATH") from error
    except subprocess.TimeoutExpired as error:
        raise PoolError(f"{words[0]} does not answer within {PATIENCE_S} s") from error
    if done.returncode:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise PoolError(f"{words[0]}: {' '.join(said[:4]) or f'exit code {done.returncode}'}")
    return done.stdout
