"""Write ``jobs.jsonl``: a plan in, the line of each of its jobs out, as it is made."""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import BinaryIO, Final

from .pattern import Each, Parts, Pattern, Values, write_object
from .plan import Plan, PlannedTask
from .values import canonical

BATCH: Final = 100


def write_jobs(plan: Plan, file: BinaryIO) -> tuple[str, bytes]:
    """Write ``jobs.jsonl``; returns its checksum, and ``jobs.idx``: where each line begins.

    The positions are 64-bit integers, the lowest byte first.
    """
    lines = LineFile(file)
    for task in plan.tasks:
        pattern = write_task(task)
        if any(reading.gathers for reading in task.table.readings):
            for number in range(len(task)):
                lines.add_long(pattern.pieces(number))
            continue
        texts = iter(pattern)
        while batch := list(islice(texts, BATCH)):
            lines.add(batch)
    return lines.sha.hexdigest(), lines.index()


class LineFile:
    """Lines that are written as they come: their checksum so far, and where each begins."""

    def __init__(self, file: BinaryIO) -> None:
        self.sha = hashlib.sha256()
        self._file = file
        self._starts = array("Q")
        self._size = 0

    def add(self, lines: Sequence[str]) -> None:
        """Write some lines, with their ends."""
        text = "".join(lines)
        # Where all is ASCII, as it mostly is, a line has as many bytes as characters.
        sizes = map(len, lines if text.isascii() else map(str.encode, lines))
        self._starts.extend(islice(accumulate(sizes, initial=self._size), len(lines)))
        self._put(text.encode())

    def add_long(self, pieces: Iterable[str]) -> None:
        """Write one line, with its end, in pieces."""
        self._starts.append(self._size)
        for piece in pieces:
            self._put(piece.encode())

    def index(self) -> bytes:
        """Where the lines begin."""
        if sys.byteorder == "big":
            self._starts.byteswap()
        return self._starts.tobytes()

    def _put(self, data: bytes) -> None:
        self.sha.update(data)
        self._file.write(data)
        self._size += len(data)


def write_task(task: PlannedTask) -> Pattern:
    """The jobs of a task, a line each: ``canonical(job.to_json())``."""
    cells = task.table.write()
    alone = task.group == 1
    jobs = len(task)
    entries: dict[str, Parts] = {
        "cells": ("[", *(cells.parts if alone else (Batches(cells, task),)), "]"),
        "execution": (canonical(task.execution),),
        "hcrc": ("1",),
        "id": ('"', *(task.table.id.parts if alone else (Each(task.job_id, jobs),)), '"'),
        "name": (canonical(task.name),),
        "needs": ("[", *write_needs(task, ","), "]"),
        "number": (Values(range(task.first, task.stop), str),),
        "task": (canonical(task.task),),
    }
    return Pattern((*write_object(entries), "\n"), jobs)


def write_needs(task: PlannedTask, separator: str) -> Parts:
    """The jobs that each job needs; the same text for all where each cell reads the same."""
    needs = Each(lambda index: separator.join(map(str, task.needs_of(index))), len(task))
    if all(reading.places.is_fixed for reading in task.table.readings):
        return tuple(needs.pieces(0))
    if len(task.reads) == task.group == 1 and not task.reads[0][0].gathers:
        reading, planned = task.reads[0]
        return (Values(planned.job_numbers(), str, reading.places),)
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
