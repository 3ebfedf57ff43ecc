"""The lines of ``jobs.jsonl``: a planned task in, the text of each of its jobs out, in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from .pattern import Each, Parts, Pattern, write_object
from .plan import PlannedTask
from .values import canonical


def job_lines(task: PlannedTask) -> Iterator[Iterable[str]]:
    """The lines, with their ends: each is ``canonical(job.to_json())``."""
    pattern = write_jobs(task)
    if any(reading.gathers for reading in task.table.readings):
        return map(pattern.pieces, range(len(task)))
    return zip(pattern)


def write_jobs(task: PlannedTask) -> Pattern:
    """The jobs as JSON, a line each."""
    cells = task.table.write()
    alone = task.group == 1
    jobs = len(task)
    entries: dict[str, Parts] = {
        "cells": ("[", *(cells.parts if alone else (Batches(cells, task),)), "]"),
        "execution": (canonical(task.execution),),
        "hcrc": ("1",),
        "id": ('"', *(task.table.id.parts if alone else (Each(task.job_id, jobs),)), '"'),
        "name": (canonical(task.name),),
        "needs": ("[", *_needs(task), "]"),
        "number": (Each(lambda index: str(task.first + index), jobs),),
        "task": (canonical(task.task),),
    }
    return Pattern((*write_object(entries), "\n"), jobs)


def _needs(task: PlannedTask) -> Parts:
    """The jobs that each job needs; the same for all where each cell reads the same."""
    needs = Each(lambda index: ",".join(map(str, task.needs_of(index))), len(task))
    if all(reading.places.is_fixed for reading in task.table.readings):
        return tuple(needs.pieces(0))
    return (needs,)


class Batches:
    """The cells of each job, with commas between."""

    def __init__(self, cells: Pattern, task: PlannedTask) -> None:
        self.cells = cells
        self.task = task

    def __iter__(self) -> Iterator[str]:
        texts = iter(self.cells)
        while batch := list(islice(texts, self.task.group)):
            yield ",".join(batch)

    def pieces(self, index: int) -> Iterator[str]:
        """The cells of one job."""
        comma = ""
        for number in self.task.numbers(index):
            yield comma
            yield from self.cells.pieces(number)
            comma = ","
