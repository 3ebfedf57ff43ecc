"""Checks across tasks: what no single task can be wrong about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .diagnostics import Diagnostic, suggest
from .nodes import Node
from .plan import Plan, PlannedTask
from .settings import unused_settings
from .table import Cell
from .values import Json
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
    tables = [task.table for task in plan.tasks if _may_collide(task, plan)]
    twice = _find_repeated(folder for table in tables for folder in table.output)
    owners: dict[str, Cell] = {}
    found: dict[tuple[str, str], Diagnostic] = {}
    for cell in (cell for table in tables if twice for cell in table):
        folder, name = cell.output, cell.table.name
        other = owners.setdefault(folder, cell) if hash(folder) in twice else cell
        if other is cell or (other.table.name, name) in found:
            continue
        node, first = outputs.get(name), outputs.get(other.table.name)
        span = node.span if node else tasks[name].span
        note = (f"the output of {other.id}", (first or tasks[other.table.name]).span)
        message = f"{cell.id} and {other.id} write to the same folder: {folder}"
        found[other.table.name, name] = Diagnostic("same-output", message, span, notes=(note,))
    return list(found.values())


def _may_collide(task: PlannedTask, plan: Plan) -> bool:
    """Whether folders of a task may be the same as others, of its own or of another task.

    Below a folder that is the same for all cells, their axes keep them apart.
    """
    near = (other.common_root for other in plan.tasks if other is not task)
    return bool(task.table.head.grid.axes) or any(_overlap(task.common_root, root) for root in near)


def _overlap(one: str, other: str) -> bool:
    """Whether one folder is the other one, or lies in it."""
    shorter, longer = sorted((f"{one.rstrip('/')}/", f"{other.rstrip('/')}/"), key=len)
    return longer.startswith(shorter)


def _find_repeated(texts: Iterable[str]) -> set[int]:
    """The hashes of texts that may be there twice: the texts themselves would take more memory."""
    seen: set[int] = set()
    twice: set[int] = set()
    for number in map(hash, texts):
        (twice if number in seen else seen).add(number)
    return twice


def _unknown_labels(plan: Plan, tasks: Mapping[str, Task]) -> list[Diagnostic]:
    """Labels of a cached dataset that the classifier trained on it has no class for."""
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
