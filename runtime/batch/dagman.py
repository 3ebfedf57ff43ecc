"""A bundle's DAG: handed to DAGMan, and what its files in ``run/condor`` tell of it.

Each submission has that folder for itself; an earlier one is kept beside it, under a number.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from ..bundle import Bundle
from ..errors import JobError, SpecError
from ..result import write_json
from .joblog import Kind, read_log
from .nodes import Nodes
from .pool import PoolError, read_queue, submit_dag

FOLDER: Final = "condor"
DAG: Final = "workflow.dag"
RESCUE: Final = f"{DAG}.rescue001"
RECORD: Final = "submission.json"
PYTHON: Final = "HCRC_PYTHON"
SUBMIT_PYTHON: Final = "HCRC_SUBMIT_PYTHON"


class RunningError(JobError):
    """DAGMan has this bundle already."""

    code = 69


class Manager(StrEnum):
    """What DAGMan's own job does."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    ENDED = "ended"


@dataclass(frozen=True)
class Submission:
    """A DAG that was handed over: DAGMan's cluster, its schedd ("" is the local one), and when.

    ``jobs`` are those that had to run then.
    """

    cluster: int
    schedd: str
    moment: float
    jobs: list[int]


def state_folder(bundle: Bundle) -> Path:
    """Where DAGMan runs."""
    return bundle.state / FOLDER


def read_submission(bundle: Bundle) -> Submission | None:
    """The last submission; None if there was none. Raises :class:`SpecError`."""
    path = state_folder(bundle) / RECORD
    try:
        value = json.loads(path.read_bytes())
        return Submission(**value)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise SpecError(f"{path}: not a submission: {error}") from error


def read_manager(bundle: Bundle) -> tuple[Manager, float, str]:
    """What DAGMan's job does by its own log, since when, and why it is held, if it is."""
    state, moment, reason = Manager.QUEUED, 0.0, ""
    for event in read_log(state_folder(bundle) / f"{DAG}.dagman.log"):
        moment = event.moment
        if event.kind == Kind.STARTED:
            state = Manager.RUNNING
        elif event.kind in (Kind.ENDED, Kind.REMOVED):
            state = Manager.ENDED
        elif event.kind == Kind.HELD:
            state, reason = Manager.HELD, event.hold[1]
        elif event.kind in (Kind.RELEASED, Kind.EVICTED, Kind.SUBMITTED):
            state = Manager.QUEUED
    return state, moment, reason


def read_nodes(bundle: Bundle, manager: Manager) -> Nodes:
    """The nodes of the last submission by their log, where DAGMan's job does this."""
    nodes = Nodes()
    nodes.tell(read_log(state_folder(bundle) / f"{DAG}.nodes.log"))
    if manager is Manager.ENDED:
        nodes.end()
    return nodes


def check_free(bundle: Bundle) -> None:
    """Raises :class:`RunningError` if DAGMan has the bundle."""
    submission = read_submission(bundle)
    if submission is None or read_manager(bundle)[0] is Manager.ENDED or _is_lost(submission):
        return
    raise RunningError(
        f"{bundle.folder}: DAGMan has it, cluster {submission.cluster}: hcrc status says how it"
        " goes, hcrc cancel ends it"
    )


def _is_lost(submission: Submission) -> bool:
    """Whether DAGMan is gone without a word in its log, by a schedd that answers."""
    try:
        return not read_queue(submission.cluster, submission.schedd).has_manager
    except PoolError:
        return False


def check_files(bundle: Bundle) -> None:
    """Raises :class:`SpecError` for a file of the bundle that is not as it was compiled."""
    try:
        plan: Any = json.loads((bundle.folder / "plan.json").read_bytes())
        for name, checksum in plan["files"].items():
            with (bundle.folder / name).open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != checksum:
                    raise SpecError(f"{bundle.folder / name}: was edited: compile again")
    except OSError as error:
        raise SpecError(f"{error.filename}: {error.strerror}: compile again") from error
    except (KeyError, AttributeError, TypeError) as error:
        raise SpecError(f"{bundle.folder / 'plan.json'}: not a plan of hcrc 1") from error


def submit(bundle: Bundle, jobs: Collection[int]) -> Submission:
    """Hand the DAG over; nodes of other jobs than these count as done.

    The bundle is locked meanwhile. Raises :class:`JobError`, :class:`OSError`.
    """
    if not (bundle.folder / FOLDER).is_dir():
        raise SpecError(f"{bundle.folder}: was compiled for a site without HTCondor: hcrc run")
    folder = state_folder(bundle)
    _put_aside(folder)
    for each in (folder, bundle.state / "logs", bundle.state / "events"):
        each.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(bundle.folder / FOLDER / DAG, folder / DAG)
    _write_rescue(bundle, folder / RESCUE, jobs)
    environment = {SUBMIT_PYTHON: sys.executable}
    if PYTHON in os.environ:
        environment[PYTHON] = os.environ[PYTHON]
    submitted = submit_dag(folder / DAG, f"hcrc {bundle.name}", environment)
    submission = Submission(submitted.cluster, submitted.schedd, time.time(), sorted(jobs))
    write_json(folder / RECORD, asdict(submission))
    return submission


def _write_rescue(bundle: Bundle, path: Path, jobs: Collection[int]) -> None:
    """A rescue DAG with a line for each node that is done, if any is.

    The same lines in the DAG itself end DAGMan 23.9 with an assertion.
    """
    chosen = set(jobs)
    count = bundle.tasks[-1].end if bundle.tasks else 0
    done = [f"DONE {number}\n" for number in range(count) if number not in chosen]
    if done:
        path.write_text("".join(["# What is done by its results.\n", *done]), "utf-8")


def _put_aside(folder: Path) -> None:
    """Keep what an earlier submission left under a number of its own."""
    if not folder.exists():
        return
    number = 1
    while (other := folder.with_name(f"{FOLDER}.{number}")).exists():
        number += 1
    folder.rename(other)
