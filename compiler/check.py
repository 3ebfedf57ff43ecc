"""Checks across tasks: what no single task can be wrong about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .diagnostics import Diagnostic, suggest
from .nodes import Node
from .plan import Json, Plan
from .settings import unused_settings
from .workflow import Task, Workflow


def check_plan(
    workflow: Workflow, plan: Plan, outputs: Mapping[str, Node | None]
) -> list[Diagnostic]:
    """Outputs that collide, and labels that no class is for.

    ``outputs`` holds what the tasks' ``output`` keys say, by task.
    """
    tasks = {task.name: task for task in workflow.tasks}
    return [
        *_same_outputs(plan, tasks, outputs),
        *_unknown_labels(plan, tasks),
    ]


def check_task_settings(tasks: Iterable[Task]) -> list[Diagnostic]:
    """Settings of tasks that have no effect on them."""
    return [
        problem
        for task in tasks
        for problem in unused_settings(task.node.get("settings"), {task.kind})
    ]


def _same_outputs(
    plan: Plan, tasks: Mapping[str, Task], outputs: Mapping[str, Node | None]
) -> list[Diagnostic]:
    """One message for each pair of tasks with a folder in common."""
    owners: dict[str, tuple[str, str]] = {}
    found: dict[tuple[str, str], Diagnostic] = {}
    for job in plan.jobs:
        for cell in job.cells:
            task, other = owners.setdefault(cell.output, (job.name, cell.id))
            if other == cell.id or (task, job.name) in found:
                continue
            node = outputs.get(job.name)
            span = node.span if node else tasks[job.name].span
            first = outputs.get(task)
            note = (f"the output of {other}", first.span if first else tasks[task].span)
            message = f"{cell.id} and {other} write to the same folder: {cell.output}"
            found[task, job.name] = Diagnostic("same-output", message, span, notes=(note,))
    return list(found.values())


def _unknown_labels(plan: Plan, tasks: Mapping[str, Task]) -> list[Diagnostic]:
    """Labels of a cached dataset that the classifier trained on it has no class for."""
    caches: dict[str, set[str]] = {}
    checked: dict[tuple[str, int], list[Diagnostic]] = {}
    for job in plan.jobs:
        for cell in job.cells if job.task in ("cache", "train") else ():
            spec = cell.spec
            if job.task == "cache":
                caches[cell.id] = _labels(spec["datasets"])
                continue
            pair = spec["dataset"]["cell"], id(spec["classifier"])
            if pair not in checked:
                checked[pair] = _unknown(caches[pair[0]], spec["classifier"], tasks[job.name])
    return list(dict.fromkeys(item for found in checked.values() for item in found))


def _labels(datasets: Json) -> set[str]:
    return {sample["label"] for dataset in datasets for sample in dataset["samples"]}


def _unknown(labels: set[str], classifier: Json, task: Task) -> list[Diagnostic]:
    node = task.node.get("classifier")
    span = node.span if node else task.span
    return [
        Diagnostic(
            "unknown-label",
            f'the dataset has events of label "{label}", no class of "{classifier["name"]}"',
            span,
            suggest(label, classifier["classes"]),
        )
        for label in sorted(labels - set(classifier["classes"]))
    ]
