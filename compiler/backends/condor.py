"""The HTCondor backend: a plan in, the files below ``condor/`` that hand it to DAGMan out.

``workflow.dag``, a node for each job, called by its number; ``TASK.sub``, how the jobs of a task
are submitted; ``job.sh``, which runs one; ``post.sh``, which says after each whether DAGMan tries
it again. A bundle is never changed, so DAGMan runs in ``run/condor`` inside it, on a copy of
``workflow.dag``: paths start there, and jobs log to ``run/logs``. The bundle lies on a file system
that all machines share. What the plan's names may hold (letters, digits and underscores) needs no
quoting; what a site's file holds has it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from importlib import resources
from itertools import islice
from typing import Final

from ..lines import BATCH, write_needs
from ..pattern import Pattern, Values
from ..plan import Plan, PlannedTask
from ..profile import MAX_RUNTIME, Container, Profile, is_attribute, shortest_flavour
from ..values import Json
from .quoting import classad_string, environment, submit_value
from .templates import render, script_values

FOLDER: Final = "condor"
SEPARATOR: Final = " "
OUT_OF_MEMORY: Final = "out-of-memory"
# How often HTCondor held a job for its memory, or it was held by on_exit_hold.
FAILURES: Final = "(NumHoldsByReason.JobOutOfResources ?: 0) + (NumHoldsByReason.JobPolicy ?: 0)"

Commands = list[tuple[str, str]]


def emit(plan: Plan, profile: Profile) -> dict[str, bytes | Iterator[str]]:
    """The backend's files in the bundle, by name; the DAG as it is made, in pieces."""
    if profile.batch == "none":
        return {}
    text = resources.files("hcrc.schemas").joinpath("exit-codes.json").read_text("utf-8")
    codes = json.loads(text)
    again = [code for code, row in codes.items() if row["retry"]]
    (memory,) = [code for code, row in codes.items() if row["name"] == OUT_OF_MEMORY]
    files: dict[str, bytes | Iterator[str]] = {
        f"{FOLDER}/job.sh": render(f"{FOLDER}/job.sh.j2", _job_values(profile)).encode(),
        f"{FOLDER}/post.sh": render(f"{FOLDER}/post.sh.j2", {"again": again}).encode(),
        f"{FOLDER}/workflow.dag": write_dag(plan, profile),
    }
    for task in plan.tasks:
        values = _submission(task, profile, memory)
        text = render(f"{FOLDER}/task.sub.j2", values)
        files[f"{FOLDER}/{task.name}.sub"] = text.encode()
    return files


def _job_values(profile: Profile) -> dict[str, Json]:
    """What ``job.sh`` takes; a site that says nothing of a python gets that of who submits."""
    values = script_values(profile)
    if profile.python == Profile().python and not (profile.source or profile.container):
        values["python"] = f"${{HCRC_SUBMIT_PYTHON:-{values['python']}}}"
    return values


def write_dag(plan: Plan, profile: Profile) -> Iterator[str]:
    """The DAG, in pieces: its head, a node for each job, what runs after what."""
    yield render(f"{FOLDER}/workflow.dag.j2", {"name": plan.name, "site": profile})
    for task in plan.tasks:
        yield from _nodes(task)
    for task in plan.tasks:
        yield from _edges(task)


def _nodes(task: PlannedTask) -> Iterator[str]:
    numbers = Values(range(task.first, task.stop), str)
    submit = f" ../../{FOLDER}/{task.name}.sub\n"
    return _batches(Pattern(("JOB ", numbers, submit), len(task)))


def _edges(task: PlannedTask) -> Iterator[str]:
    """A line for each job that needs others; one for all where they need the same.

    DAGMan puts a node of its own between many parents and many children.
    """
    if not task.reads or not len(task):
        return
    needs = write_needs(task, SEPARATOR)
    numbers = Values(range(task.first, task.stop), str)
    if all(isinstance(part, str) for part in needs):
        yield f"PARENT {''.join(map(str, needs))} CHILD"
        yield from _batches(Pattern((SEPARATOR, numbers), len(task)))
        yield "\n"
        return
    yield from _batches(Pattern(("PARENT ", *needs, " CHILD ", numbers, "\n"), len(task)))


def _batches(pattern: Pattern) -> Iterator[str]:
    texts = iter(pattern)
    while batch := list(islice(texts, BATCH)):
        yield "".join(batch)


def _submission(task: PlannedTask, profile: Profile, memory_code: str) -> Json:
    """What the submit description of a task says of it: MB, and whole seconds."""
    execution = task.execution
    walltime = execution.get("walltime_s")
    growth, memory = profile.memory, execution["memory_mb"]
    return {
        "name": task.name,
        "universe": list(_universe(profile.container)),
        "environment": environment(profile.environment) if profile.environment else None,
        "cpus": execution["cpus"],
        "memory_mb": growth.requests(memory) if growth else [memory],
        "memory_code": memory_code,
        "failures": FAILURES,
        "disk_mb": execution.get("disk_mb"),
        "gpus": execution["gpus"],
        "gpu": profile.gpus,
        "walltime_s": None if walltime is None or profile.walltime else math.ceil(walltime),
        "further": [*_walltime(profile, walltime), *_further(profile)],
    }


def _universe(container: Container | None) -> Iterator[tuple[str, str]]:
    """The kind of job, and the image that it runs in."""
    if container is None or container.attribute:
        yield "universe", "vanilla"
        if container is not None:
            yield f"MY.{container.attribute}", classad_string(container.image)
        return
    if container.kind == "docker":
        yield from (("universe", "docker"), ("docker_image", submit_value(container.image)))
        return
    yield from (("universe", "container"), ("container_image", submit_value(container.image)))
    if "://" not in container.image:
        yield "transfer_container", "false"


def _walltime(profile: Profile, seconds: float | None) -> Commands:
    """How the site is told what a job takes, where it has a way of its own."""
    if seconds is None or profile.walltime is None:
        return []
    if profile.walltime == MAX_RUNTIME:
        return [("+MaxRuntime", str(math.ceil(seconds)))]
    return [("+JobFlavour", classad_string(shortest_flavour(seconds)))]


def _further(profile: Profile) -> Iterator[tuple[str, str]]:
    """The site's own commands and attributes."""
    for key, value in profile.submit.items():
        if not isinstance(value, str):
            yield key, json.dumps(value)
        elif is_attribute(key):
            yield key, classad_string(value)
        else:
            yield key, submit_value(value)
