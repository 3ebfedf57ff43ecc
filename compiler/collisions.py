"""Folders of results that are in each other's way: a Plan in, Diagnostics out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from .diagnostics import Diagnostic, Note, Span
from .nodes import Node
from .plan import Plan, PlannedTask
from .table import Cell, CellTable
from .workflow import Task


class Outputs(NamedTuple):
    """Where the outputs of tasks are written: their ``output`` keys, filled, or the tasks."""

    tasks: Mapping[str, Task]
    nodes: Mapping[str, Node | None]

    def span(self, name: str) -> Span:
        """The place of a task's output."""
        node = self.nodes.get(name)
        return node.span if node else self.tasks[name].span

    def notes(self, name: str) -> tuple[Note, ...]:
        """What a task's output came through."""
        node = self.nodes.get(name)
        return node.notes if node else ()


def check_outputs(plan: Plan, outputs: Outputs) -> list[Diagnostic]:
    """Folders that two cells have in common, and folders that lie inside of one of a cell."""
    tables = [task.table for task in plan.tasks if _may_collide(task, plan)]
    return [*_same_outputs(tables, outputs), *_nested_outputs(tables, outputs)]


def _same_outputs(tables: Sequence[CellTable], outputs: Outputs) -> list[Diagnostic]:
    """One message for each pair of tasks with a folder in common."""
    twice = _find_repeated(folder for table in tables for folder in table.output)
    owners: dict[str, Cell] = {}
    found: dict[tuple[str, str], Diagnostic] = {}
    for cell in (cell for table in tables if twice for cell in table):
        folder, name = cell.output, cell.table.name
        other = owners.setdefault(folder, cell) if hash(folder) in twice else cell
        pair = (other.table.name, name)
        if other is cell or pair in found:
            continue
        notes = (*outputs.notes(name), (f"the output of {other.id}", outputs.span(pair[0])))
        message = f"{cell.id} and {other.id} write to the same folder: {folder}"
        found[pair] = Diagnostic("same-output", message, outputs.span(name), None, notes)
    return list(found.values())


def _nested_outputs(tables: Sequence[CellTable], outputs: Outputs) -> list[Diagnostic]:
    """One message for each pair of tasks, one of which writes inside of a folder of the other."""
    outer = _find_outer(tables)
    found: dict[tuple[str, str], Diagnostic] = {}
    for cell in (cell for table in tables if outer for cell in table):
        for folder in _parents(cell.output):
            other, name = outer.get(folder), cell.table.name
            if other is None:
                continue
            if (other.table.name, name) in found:
                break
            first = (f"the output of {other.id}", outputs.span(other.table.name))
            message = f"{cell.id} writes inside of the folder of {other.id}: {folder}"
            help = "a folder of results is replaced and removed as a whole: put them side by side"
            found[other.table.name, name] = Diagnostic(
                "nested-output", message, outputs.span(name), help, (*outputs.notes(name), first)
            )
            break
    return list(found.values())


def _find_outer(tables: Sequence[CellTable]) -> dict[str, Cell]:
    """The cells in whose folder another one writes, by folder."""
    above: set[int] = set()
    for table in tables:
        for folder in table.output:
            for parent in _parents(folder):
                if hash(parent) in above:
                    break
                above.add(hash(parent))
    found: dict[str, Cell] = {}
    for table in tables:
        for number, folder in enumerate(table.output):
            if hash(folder) in above:
                found.setdefault(folder, Cell(table, number))
    return found


def _parents(folder: str) -> Iterator[str]:
    """The folders that an absolute folder lies in, the nearest first."""
    while folder := folder.rpartition("/")[0]:
        yield folder


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
