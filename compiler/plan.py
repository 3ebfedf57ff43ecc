"""The Plan: concrete cells and jobs, made when asked for. It holds no template and no open name."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from .folders import common_root
from .table import Cell, CellTable, Reading
from .values import Json


class JobSpec(NamedTuple):
    """Cells that share a process: one line of ``jobs.jsonl``."""

    planned: PlannedTask
    position: int

    @property
    def number(self) -> int:
        """Which line it is, over all tasks."""
        return self.planned.first + self.position

    @property
    def id(self) -> str:
        """The ids of its first and its last cell."""
        return self.planned.job_id(self.position)

    @property
    def name(self) -> str:
        """The name of its task."""
        return self.planned.name

    @property
    def task(self) -> str:
        """What kind of task it is."""
        return self.planned.task

    @property
    def needs(self) -> tuple[int, ...]:
        """The numbers of the jobs whose cells it reads."""
        return tuple(self.planned.needs_of(self.position))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """What it makes."""
        numbers = self.planned.numbers(self.position)
        return tuple([Cell(self.planned.table, number) for number in numbers])

    @property
    def execution(self) -> Mapping[str, Json]:
        """How it runs."""
        return self.planned.execution

    def to_json(self) -> Json:
        """The job as ``schemas/job.schema.json`` has it."""
        return {
            "hcrc": 1,
            "id": self.id,
            "number": self.number,
            "name": self.name,
            "task": self.task,
            "needs": list(self.needs),
            "execution": self.execution,
            "cells": [cell.to_json() for cell in self.cells],
        }


class PlannedTask:
    """The jobs of one task, numbered from ``first``: ``group`` cells to each.

    ``reads`` are its references, each with the task that it reads.
    """

    def __init__(
        self,
        table: CellTable,
        first: int,
        group: int,
        execution: Mapping[str, Json],
        reads: Sequence[tuple[Reading, PlannedTask]],
    ) -> None:
        self.table = table
        self.first = first
        self.group = group
        self.execution = execution
        self.reads = reads

    def __len__(self) -> int:
        return -(-len(self.table) // self.group)

    @property
    def name(self) -> str:
        """Its name in the workflow."""
        return self.table.name

    @property
    def task(self) -> str:
        """What kind of task it is."""
        return self.table.kind

    @property
    def stop(self) -> int:
        """The number after that of its last job."""
        return self.first + len(self)

    @property
    def cells(self) -> int:
        """How many cells it has."""
        return len(self.table)

    @cached_property
    def common_root(self) -> str:
        """The folder that all results lie in."""
        table = self.table
        if table.head.grid.axes:
            return common_root(table.output)
        # The first and the last cell have no value in common but those that all cells have.
        return common_root((table.output.text(0), table.output.text(len(table) - 1)))

    @property
    def root(self) -> str:
        """The same; the folder of the first cell if it is the root of the file system."""
        return self.table.output.text(0) if self.common_root == os.path.sep else self.common_root

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the tasks that it reads."""
        return tuple(dict.fromkeys(planned.name for _, planned in self.reads))

    def numbers(self, index: int) -> range:
        """The cells of one of its jobs."""
        return range(index * self.group, min((index + 1) * self.group, len(self.table)))

    def job_id(self, index: int) -> str:
        """The id of one of its jobs."""
        numbers = self.numbers(index)
        first, last = self.table.id.text(numbers[0]), self.table.id.text(numbers[-1])
        return first if len(numbers) == 1 else f"{first}~{last}"

    def needs_of(self, index: int) -> Sequence[int]:
        """The jobs that one of its jobs needs, in order."""
        runs = [
            planned.jobs_of(reading.numbers(number))
            for number in self.numbers(index)
            for reading, planned in self.reads
        ]
        return runs[0] if len(runs) == 1 else sorted(set().union(*runs))

    def job_numbers(self) -> Sequence[int]:
        """The job of each of its cells."""
        if self.group == 1:
            return range(self.first, self.stop)
        return [self.first + number // self.group for number in range(len(self.table))]

    def jobs_of(self, numbers: Sequence[int]) -> Sequence[int]:
        """The jobs of some of its cells, in order."""
        first, group = self.first, self.group
        if isinstance(numbers, range) and numbers.step == 1:
            return range(first + numbers.start // group, first + (numbers.stop - 1) // group + 1)
        return sorted({first + number // group for number in numbers})

    def to_json(self) -> Json:
        """The task as ``plan.json`` lists it."""
        return {
            "name": self.name,
            "task": self.task,
            "jobs": [self.first, self.stop],
            "cells": self.cells,
            "root": self.root,
            "needs": list(self.needs),
        }


class Jobs:
    """All jobs of a plan by number; each is made when asked for."""

    def __init__(self, tasks: tuple[PlannedTask, ...]) -> None:
        self.tasks = tasks

    def __len__(self) -> int:
        return self.tasks[-1].stop if self.tasks else 0

    def __iter__(self) -> Iterator[JobSpec]:
        return (JobSpec(task, position) for task in self.tasks for position in range(len(task)))

    def __getitem__(self, number: int) -> JobSpec:
        task = self.tasks[bisect_right(self.tasks, number, key=lambda task: task.first) - 1]
        return JobSpec(task, number - task.first)


class Plan(NamedTuple):
    """All jobs of a workflow, each after the jobs it needs."""

    name: str
    parameters: Mapping[str, Json]
    tasks: tuple[PlannedTask, ...]

    @property
    def jobs(self) -> Jobs:
        """The jobs of all tasks."""
        return Jobs(self.tasks)
