"""The Workflow: tasks whose references are resolved. It holds no unresolved name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from . import nodes
from .diagnostics import Span
from .grid import Grid
from .parameters import Binding
from .results import FoundResult
from .template import plain_text
from .values import AxisValue


class Axis(NamedTuple):
    """Values that a task spans, each once; ``node`` is where the axis is written."""

    name: str
    values: tuple[AxisValue, ...]
    node: nodes.Node

    def bind(self, value: AxisValue) -> Binding:
        """The axis at one of its values, as strings of the task see it."""
        return Binding(value, self.node, self.node.span)

    def fill(self, value: AxisValue) -> nodes.Scalar:
        """One of its values, in place of the key that the axis fills."""
        note = (f"in expansion of {{{self.name}}} = {plain_text(value)}", self.node.span)
        span = self.node.span
        return nodes.Scalar(value, plain_text(value), False, span, (note,), filled=True)


class TaskReference(NamedTuple):
    """A task that another one reads: cell by cell, or all its cells if it ``gathers``.

    ``node`` is where the reference is written, below a key, and below the ``name`` of an input.
    In place of a task there may be the ``results`` of earlier runs.
    """

    key: str
    name: str | None
    task: str
    gathers: bool
    node: nodes.Scalar
    results: tuple[FoundResult, ...] = ()


class Task(NamedTuple):
    """A task whose kind, axes and references are known; its strings may still hold templates.

    ``kept`` are the combinations of its axes that have a cell; None if all have.
    """

    name: str
    kind: str
    node: nodes.Mapping
    axes: Mapping[str, Axis]
    references: tuple[TaskReference, ...]
    span: Span
    kept: tuple[int, ...] | None = None

    def grid(self) -> Grid:
        """The points that its cells are at."""
        return Grid({name: axis.values for name, axis in self.axes.items()}, self.kept)


class Definition(NamedTuple):
    """A named dataset or classifier, as written."""

    name: str
    node: nodes.Mapping
    span: Span


class Workflow(NamedTuple):
    """Tasks, each after those it reads, with the definitions and values they draw on.

    ``broken`` names the definitions that are left out because they are wrong in themselves.
    ``unfinished`` are the tasks that are wrong, or read such a one, with the keys that can be
    judged alone: those that draw on none of the ``unknown`` names.
    """

    name: str
    bindings: Mapping[str, Binding]
    datasets: Mapping[str, Definition]
    classifiers: Mapping[str, Definition]
    tasks: tuple[Task, ...]
    broken: frozenset[str]
    unfinished: tuple[Task, ...] = ()
    unknown: frozenset[str] = frozenset()
