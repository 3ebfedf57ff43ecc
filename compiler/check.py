"""Checks across tasks: what no single task can be wrong about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from .collisions import Outputs, check_outputs
from .defaults import task_schema
from .diagnostics import Diagnostic, suggest
from .expressions import list_names
from .nodes import Mapping as MappingNode
from .nodes import Node, Scalar
from .plan import Plan
from .settings import unused_settings
from .template import plain_text
from .values import Json
from .workflow import Task, Workflow

ONLY_WITH: Final = "x-only-with"
LABEL: Final = "label"


def check_plan(
    workflow: Workflow, plan: Plan, outputs: Mapping[str, Node | None]
) -> list[Diagnostic]:
    """Outputs that collide, labels that no class is for, classes that no label is for, idle keys.

    ``outputs`` holds what the tasks' ``output`` keys say, by task.
    """
    tasks = {task.name: task for task in workflow.tasks}
    return [
        *check_outputs(plan, Outputs(tasks, outputs)),
        *_unknown_labels(plan, tasks),
        *(problem for task in workflow.tasks for problem in _unused_keys(task)),
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


def _unused_keys(task: Task) -> Iterator[Diagnostic]:
    """Keys of a task that count with one value of another key alone, which it certainly has not."""
    properties = task_schema(task.kind)["properties"]
    for name, entry in task.node.entries.items():
        for other, wanted in properties.get(name, {}).get(ONLY_WITH, {}).items():
            node = task.node.get(other)
            value = node.value if isinstance(node, Scalar) else properties[other].get("default")
            filled = isinstance(value, str) and "{" in value
            if value != wanted and not filled and other not in task.axes:
                message = f'"{name}" has no effect here'
                help = f"it is for {other}: {plain_text(wanted)}"
                notes = ((f"{other} is given here", node.span),) if node else ()
                yield Diagnostic("unused-key", message, entry.key.span, help, notes)


def _unknown_labels(plan: Plan, tasks: Mapping[str, Task]) -> list[Diagnostic]:
    """Labels of a cached dataset and classes of the classifier trained on it have to agree."""
    found: list[Diagnostic] = []
    for table in (task.table for task in plan.tasks if task.task == "train"):
        classifiers = table.keys["classifier"]
        for reading in (item for item in table.readings if item.key == "dataset"):
            pairs = zip(reading.places, table.grid.places(classifiers.grid), strict=True)
            for number, place in dict.fromkeys(pairs):
                datasets = reading.table.value("datasets", number)
                classifier, task = classifiers.values[place], tasks[table.name]
                found += _unknown(_labels(datasets), classifier, task)
                found += _unknown_columns(datasets, classifier, task)
    return list(dict.fromkeys(found))


def _labels(datasets: Json) -> set[str]:
    return {sample["label"] for dataset in datasets for sample in dataset["samples"]}


def _unknown_columns(datasets: Json, classifier: Json, task: Task) -> Iterator[Diagnostic]:
    """Names in the selections of a classifier that no sample has as a column."""
    samples = [sample for dataset in datasets for sample in dataset["samples"]]
    columns = sorted({name for sample in samples for name in sample.get("columns", ())})
    loss = classifier.get("loss") or {"selection": None, "masks": ()}
    parts = [loss, *loss["masks"], *classifier["rocs"]]
    texts = dict.fromkeys(part.get("selection") for part in parts)
    names = [name for text in texts if text for name, _, _ in list_names(text)]
    node = task.node.get("classifier")
    for name in dict.fromkeys(names):
        if name not in (LABEL, *classifier["classes"], *columns):
            message = f'"{classifier["name"]}" selects by "{name}", which no sample has as a column'
            help = suggest(name, [LABEL, *classifier["classes"], *columns])
            span = node.span if node else task.span
            yield Diagnostic("unknown-column", message, span, help)


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
