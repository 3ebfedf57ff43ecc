"""Checks across tasks: what no single task can be wrong about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .collisions import Outputs, check_outputs
from .diagnostics import Diagnostic, suggest
from .nodes import Mapping as MappingNode
from .nodes import Node
from .plan import Plan
from .settings import unused_settings
from .values import Json
from .workflow import Task, Workflow


def check_plan(
    workflow: Workflow, plan: Plan, outputs: Mapping[str, Node | None]
) -> list[Diagnostic]:
    """Outputs that collide, labels that no class is for, and classes that no label is for.

    ``outputs`` holds what the tasks' ``output`` keys say, by task.
    """
    tasks = {task.name: task for task in workflow.tasks}
    return [
        *check_outputs(plan, Outputs(tasks, outputs)),
        *_unknown_labels(plan, tasks),
    ]


def check_for_tasks(root: MappingNode, plan: Plan) -> list[Diagnostic]:
    """What is said of a plan without tasks."""
    entry = root.entries.get("tasks")
    if plan.tasks or entry is None:
        return []
    message = "every task is left out: there is nothing to do"
    help = 'by its "enable", or by Analysis: {enable: false}'
    return [Diagnostic("no-tasks", message, entry.key.span, help)]


def check_task_settings(tasks: Iterable[Task]) -> list[Diagnostic]:
    """Settings of tasks that have no effect on them."""
    return [
        problem
        for task in tasks
        for problem in unused_settings(task.node.get("settings"), {task.kind})
    ]


def _unknown_labels(plan: Plan, tasks: Mapping[str, Task]) -> list[Diagnostic]:
    """Labels of a cached dataset and classes of the classifier trained on it have to agree."""
    found: list[Diagnostic] = []
    for table in (task.table for task in plan.tasks if task.task == "train"):
        classifiers = table.keys["classifier"]
        for reading in (item for item in table.readings if item.key == "dataset"):
            pairs = zip(reading.places, table.grid.places(classifiers.grid), strict=True)
            for number, place in dict.fromkeys(pairs):
                labels = _labels(reading.table.value("datasets", number))
                found += _unknown(labels, classifiers.values[place], tasks[table.name])
    return list(dict.fromkeys(found))


def _labels(datasets: Json) -> set[str]:
    return {sample["label"] for dataset in datasets for sample in dataset["samples"]}


def _unknown(labels: set[str], classifier: Json, task: Task) -> list[Diagnostic]:
    """Labels without a class; where all have one, classes without a label."""
    node = task.node.get("classifier")
    span = node.span if node else task.span
    name, classes = classifier["name"], classifier["classes"]
    unknown = [
        Diagnostic(
            "unknown-label",
            f'the dataset has events of label "{label}", no class of "{name}"',
            span,
            suggest(label, classes),
        )
        for label in sorted(labels - set(classes))
    ]
    unused = [
        Diagnostic(
            "unused-class",
            f'no event of the dataset has the label "{each}", a class of "{name}"',
            span,
            f"it has the labels {', '.join(sorted(labels))}",
        )
        for each in classes
        if each not in labels
    ]
    return unknown or unused
