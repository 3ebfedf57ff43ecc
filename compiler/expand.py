"""Expand a Workflow to a Plan: a cell for each point of a task's axes, a job for each group."""

from __future__ import annotations

from typing import Final

from .cells import TaskBody
from .execution import RESOURCES
from .plan import Plan, PlannedTask
from .scope import Scope
from .workflow import Task

ANALYSES: Final = ("merge", "plot")


def expand(scope: Scope) -> Plan:
    """The plan; it counts only if ``scope`` has no diagnostics then."""
    workflow = scope.workflow
    tasks: dict[str, PlannedTask] = {}
    for task in workflow.tasks:
        planned = _plan(TaskBody(scope, task), task, tasks)
        if planned is not None:
            tasks[task.name] = planned
    for task in workflow.unfinished:
        TaskBody(scope, task).check()
    parameters = {name: item.value for name, item in workflow.bindings.items()}
    return Plan(workflow.name, parameters, tuple(tasks.values()))


def _plan(body: TaskBody, task: Task, before: dict[str, PlannedTask]) -> PlannedTask | None:
    """One task, whose jobs come after those of the tasks ``before``; None if it is wrong."""
    if task.kind in ANALYSES and not body.settings["Analysis"]["enable"]:
        return None
    table = body.cells()
    body.check_site(RESOURCES)
    if table is None:
        return None
    body.scope.cells[task.name] = table
    first = max([planned.stop for planned in before.values()], default=0)
    reads = [(item, before[item.table.name]) for item in table.readings if item.table.name]
    return PlannedTask(table, first, body.group, body.execution, reads)
