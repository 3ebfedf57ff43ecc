"""The plain way to expand: every cell a dict that is kept, references looked up among all cells.

It is the oracle of the compiler's way, which keeps no cell and splices texts.
"""

import hashlib
import itertools
import json

from hcrc.compiler.cells import TaskBody
from hcrc.compiler.definitions import Definer
from hcrc.compiler.files import Disk
from hcrc.compiler.folders import axis_text
from hcrc.compiler.hashing import result_part
from hcrc.compiler.phases import Phases
from hcrc.compiler.schema import load_schemas
from hcrc.compiler.scope import Given, Scope


def plain_lines(request):
    """The lines of ``jobs.jsonl`` of a workflow that is right."""
    phases = Phases(request, Disk())
    root = phases.parse()
    workflow = phases.lower(root, phases.bind(root), set())
    given = Given(root.get("settings"), [], request.current)
    scope = Scope(workflow, Definer(phases.sources, workflow, phases.environment), given)
    done, jobs = {}, []
    for task in workflow.tasks:
        body = TaskBody(scope, task)
        scope.cells[task.name] = body.cells()
        done[task.name] = cells = [plain_cell(body, point, done) for point in points(task)]
        for start in range(0, len(cells), body.group):
            jobs.append(plain_job(task, body.execution, cells[start : start + body.group], jobs))
    return [dump(job) for job in jobs]


def points(task):
    values = [axis.values for axis in task.axes.values()]
    return [dict(zip(task.axes, point, strict=True)) for point in itertools.product(*values)]


def plain_cell(body, axes, done):
    task = body.task
    texts = {name: axis_text(value) for name, value in axes.items()}
    spec = body.values_at(axes)
    output = spec.pop("output")
    written = task.node.get("output")
    folders = [
        f"{name}={text}"
        for name, text in texts.items()
        if written is None or f"{{{name}" not in written.text.replace("{{", "")
    ]
    for reference in task.references:
        found = [
            {"cell": cell["id"], "hash": cell["hash"], "result": cell["output"] + "/result.json"}
            for cell in done[reference.task]
            if all(
                axis_text(value) == texts[name]
                for name, value in cell["axes"].items()
                if name in texts
            )
        ]
        spec[reference.key] = found if reference.gathers else found[0]
    id = ",".join(f"{name}={text}" for name, text in texts.items())
    return {
        "id": f"{task.name}[{id}]" if id else task.name,
        "axes": axes,
        "output": "/".join([output, *folders]),
        "hash": plain_hash(task.kind, spec),
        "spec": spec,
    }


def plain_job(task, execution, cells, jobs):
    number_of = {cell["id"]: job["number"] for job in jobs for cell in job["cells"]}
    read = [cell["spec"][item.key] for cell in cells for item in task.references]
    flat = [each for value in read for each in (value if isinstance(value, list) else [value])]
    ids = [cells[0]["id"], cells[-1]["id"]]
    return {
        "hcrc": 1,
        "id": "~".join(dict.fromkeys(ids)),
        "number": len(jobs),
        "name": task.name,
        "task": task.kind,
        "needs": sorted({number_of[each["cell"]] for each in flat}),
        "execution": execution,
        "cells": cells,
    }


def plain_hash(task, spec):
    """The hash of a spec: of the task's kind and version, and each key's text or its digest."""
    schema = load_schemas()["job.schema.json"]["$defs"][task]
    parts = {}
    for key, value in spec.items():
        text = dump(result_part(value, schema["properties"][key]))
        parts[key] = digest(text) if isinstance(value, list | dict) else text
    return digest(dump([task, schema["x-version"], parts]))


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def dump(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
