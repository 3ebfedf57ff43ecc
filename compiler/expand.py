"""Expand a Workflow to a Plan: a cell for each point of a task's axes, a job for each group."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from .cells import TaskBody
from .folders import common_root
from .plan import Cell, JobSpec, Json, Plan, PlannedTask
from .scope import Scope
from .workflow import Task


@contextmanager
def _without_collector() -> Iterator[None]:
    """Cells are all kept: the collector would walk them again and again, and free none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Expansion:
    """Gathers the jobs of a workflow, task by task; ``scope`` says what is wrong with them."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._jobs: list[JobSpec] = []
        self._job_of: dict[str, int] = {}

    def run(self) -> Plan:
        """The plan; it counts only if there are no diagnostics."""
        workflow = self.scope.workflow
        with _without_collector():
            tasks = tuple(self._task(task) for task in workflow.tasks)
        parameters = {name: item.value for name, item in workflow.bindings.items()}
        return Plan(workflow.name, parameters, tasks, tuple(self._jobs))

    def _task(self, task: Task) -> PlannedTask:
        body = TaskBody(self.scope, task)
        cells = body.cells()
        if cells is not None:
            self.scope.cells[task.name] = cells
        cells = cells or []
        first = len(self._jobs)
        reads = [item.key for item in task.references]
        for start in range(0, len(cells), body.group):
            self._job(task, tuple(cells[start : start + body.group]), body.execution, reads)
        needs = tuple(dict.fromkeys(item.task for item in task.references))
        root = common_root([cell.output for cell in cells])
        return PlannedTask(task.name, task.kind, first, len(self._jobs), len(cells), root, needs)

    def _job(self, task: Task, cells: tuple[Cell, ...], execution: Json, reads: list[str]) -> None:
        number = len(self._jobs)
        needs = {self._job_of[name] for cell in cells for name in cell.reads(reads)}
        id = cells[0].id if len(cells) == 1 else f"{cells[0].id}~{cells[-1].id}"
        job = JobSpec(id, number, task.name, task.kind, tuple(sorted(needs)), cells, execution)
        self._jobs.append(job)
        self._job_of |= dict.fromkeys([cell.id for cell in cells], number)
