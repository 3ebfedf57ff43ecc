"""The HTCondor backend: a plan in, the files below ``condor/`` that hand it to DAGMan out.

``workflow.dag``, a node for each job, called by its number; ``TASK.sub``, how the jobs of a task
are submitted; ``job.sh``, which runs one; ``post.sh``, which says after each whether DAGMan tries
it again. A bundle is never changed, so DAGMan runs in ``run/condor`` inside it, on a copy of
``workflow.dag``: paths start there, and jobs log to ``run/logs``. The bundle lies on a file system
that all machines share. What the plan's names may hold (letters, digits and underscores) needs no
quoting.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from importlib import resources
from itertools import islice
from typing import Final

from jinja2 import BaseLoader, Environment, StrictUndefined

from ..lines import BATCH, write_needs
from ..pattern import Pattern, Values
from ..plan import Plan, PlannedTask
from ..values import Json

FOLDER: Final = "condor"
RETRIES: Final = 2
SEPARATOR: Final = " "


def emit(plan: Plan) -> dict[str, bytes | Iterator[str]]:
    """The backend's files in the bundle, by name; the DAG as it is made, in pieces."""
    text = resources.files("hcrc.schemas").joinpath("exit-codes.json").read_text("utf-8")
    again = [code for code, row in json.loads(text).items() if row["retry"]]
    files: dict[str, bytes | Iterator[str]] = {
        f"{FOLDER}/job.sh": _read("job.sh").encode(),
        f"{FOLDER}/post.sh": _render("post.sh.j2", {"again": again}).encode(),
        f"{FOLDER}/workflow.dag": write_dag(plan),
    }
    for task in plan.tasks:
        files[f"{FOLDER}/{task.name}.sub"] = _render("task.sub.j2", _submission(task)).encode()
    return files


def write_dag(plan: Plan) -> Iterator[str]:
    """The DAG, in pieces: its head, a node for each job, what runs after what."""
    yield _render("workflow.dag.j2", {"name": plan.name, "retries": RETRIES})
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


def _submission(task: PlannedTask) -> Json:
    """What the submit description of a task says of it: MB, and whole seconds."""
    walltime = task.execution.get("walltime_s")
    return {
        "name": task.name,
        "cpus": task.execution["cpus"],
        "memory_mb": task.execution["memory_mb"],
        "disk_mb": task.execution.get("disk_mb"),
        "gpus": task.execution["gpus"],
        "walltime_s": None if walltime is None else math.ceil(walltime),
    }


def _render(name: str, values: Mapping[str, Json]) -> str:
    environment = Environment(
        loader=BaseLoader(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - no page of HTML
    )
    return environment.from_string(_read(name)).render(values)


def _read(name: str) -> str:
    folder = resources.files("hcrc.templates").joinpath(FOLDER)
    return folder.joinpath(name).read_text("utf-8")
