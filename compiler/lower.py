"""Lower the documents to a Workflow: references resolved, axes spread, tasks in order.

A task that is wrong in itself is unfinished after its diagnostics, and so is, in silence, whatever
refers to it: one mistake gives one message, and their other keys are judged all the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Final, NamedTuple

from .defaults import task_schema
from .diagnostics import Diagnostic, Note, Span, errors_of, show, suggest
from .exclude import check_results, keep_points, read_exclusions
from .folders import axis_text
from .grid import Grid
from .nodes import Entry, Node, Scalar, Sequence, without
from .nodes import Mapping as MappingNode
from .parameters import RESERVED, Binding
from .ranges import range_of
from .rebinding import reach
from .references import ReferenceReader
from .results import span_axes
from .schema import validate
from .sources import Sources
from .switch import read_switch
from .template import names_in, substitute
from .values import AxisValue
from .words import inputs_and_outputs
from .workflow import Axis, Task, TaskReference

# What is right or wrong by other keys, which may be missing, or by axes that are not known.
JUDGED_WITH_OTHERS: Final = ("command", "fold_offsets", "group", "outputs")
BOOLEAN: Final = "common.schema.json#/$defs/boolean"
MAX_CELLS: Final = 200_000
MAX_TEXT: Final = 190


class Draft(NamedTuple):
    """A task whose own axes and references are read, but not yet looked up.

    One that is not ``sound`` goes no further.
    """

    name: str
    kind: str
    node: MappingNode
    axes: dict[str, Axis]
    references: tuple[TaskReference, ...]
    span: Span
    sound: bool


class Lowering:
    """Gathers tasks, diagnostics and the names of parameters used.

    ``unknown`` names the parameters that are declared and have no value; axes come to them.
    """

    def __init__(
        self, bindings: Mapping[str, Binding], unbound: set[str], sources: Sources
    ) -> None:
        self.bindings = bindings
        self.sources = sources
        self.unknown = unbound
        self.diagnostics: list[Diagnostic] = []
        self.used: set[str] = set()
        self.unfinished: tuple[Task, ...] = ()

    def tasks(self, node: MappingNode, broken: Mapping[str, MappingNode]) -> tuple[Task, ...]:
        """The tasks, each after those it refers to.

        ``broken`` ones are known to be wrong; it holds what is right of them.
        """
        right = {name: self._bound_keys(each) for name, each in broken.items()}
        self.unknown = self.unknown | _axes_in(node)
        reader = ReferenceReader(self.bindings, self.sources, node.entries)
        drafts: dict[str, Draft] = {}
        for name, entry in node.entries.items():
            draft = self._draft(name, entry._replace(value=right.get(name, entry.value)), reader)
            if draft is not None:
                drafts[name] = draft._replace(sound=draft.sound and name not in broken)
        order = self._order(drafts)
        self._check_references({name: drafts[name] for name in order}, drafts, node)
        done: dict[str, Task] = {}
        for name in order:
            task = self._task(drafts[name], done) if drafts[name].sound else None
            if task is not None:
                done[name] = task
        self.used |= reader.used
        left = [draft for name, draft in drafts.items() if name not in done]
        self.unfinished = tuple(self._unfinished(draft) for draft in left)
        self._check_templates(node, {*broken, *(draft.name for draft in left)})
        return tuple(done.values())

    def _bound_keys(self, node: MappingNode) -> MappingNode:
        """A task without the keys that draw on what is not known."""
        names = {key: names_in(entry.value) for key, entry in node.items()}
        return without(
            node, *[key for key in names if reach(self.bindings, names[key]) & self.unknown]
        )

    def _unfinished(self, draft: Draft) -> Task:
        """A task that goes no further, with the keys that can be judged without the others."""
        node = without(self._bound_keys(draft.node), *JUDGED_WITH_OTHERS)
        return Task(draft.name, draft.kind, node, {}, draft.references, draft.span)

    def _check_templates(self, node: MappingNode, names: set[str]) -> None:
        """Say what is wrong with the strings of tasks that go no further."""
        for task in (node.entries[name].value for name in node.entries if name in names):
            kept = without(task, "help") if isinstance(task, MappingNode) else task
            marks = inputs_and_outputs(task) if isinstance(task, MappingNode) else {}
            done = substitute(kept, self.bindings, self.unknown | marks.keys())
            self.used |= done.used
            self.diagnostics += done.diagnostics

    def _draft(self, name: str, entry: Entry, reader: ReferenceReader) -> Draft | None:
        """A task that is not left out; None if it is, or its kind is not known."""
        node = entry.value
        kind = node.get("task") if isinstance(node, MappingNode) else None
        if not isinstance(node, MappingNode) or not isinstance(kind, Scalar):
            return None
        if not self._is_enabled(node):
            self.used |= names_in(node)
            return None
        before = len(self.diagnostics)
        axes = self._axes(node.get("for"))
        references = reader.read(kind.text, node)
        self.diagnostics += reader.take_diagnostics()
        sound = len(self.diagnostics) == before
        return Draft(name, kind.text, node, axes, references, entry.key.span, sound)

    def _is_enabled(self, task: MappingNode) -> bool:
        """Whether a task is there; one whose ``enable`` is wrong counts as such."""
        node = task.get("enable")
        if node is None:
            return True
        done = substitute(node, self.bindings)
        self.used |= done.used
        switch = read_switch(done.node)
        wrong = done.diagnostics or validate(switch, BOOLEAN, bound=True, key="enable")
        self.diagnostics += wrong
        return not isinstance(switch, Scalar) or switch.value is not False

    def _axes(self, node: Node | None) -> dict[str, Axis]:
        axes: dict[str, Axis] = {}
        for name, entry in node.items() if isinstance(node, MappingNode) else ():
            if name in RESERVED:
                self.diagnostics.append(
                    Diagnostic(
                        "reserved-name", f"the name {show(name)} is reserved", entry.key.span
                    )
                )
            axes[name] = self._axis(name, entry.value)
        return axes

    def _axis(self, name: str, node: Node) -> Axis:
        """An axis, whose values are none after diagnostics."""
        done = substitute(node, self.bindings)
        self.used |= done.used
        self.diagnostics += done.diagnostics
        return Axis(name, () if done.diagnostics else self._values(done.node), done.node)

    def _values(self, bound: Node) -> tuple[AxisValue, ...]:
        """The values of an axis: a list of scalars as they are, or a range."""
        if isinstance(bound, Sequence) and not _all_naturals(bound):
            return self._distinct(bound)
        values = range_of(bound)
        if values and isinstance(values[0], Diagnostic):
            self.diagnostics += [item for item in values if isinstance(item, Diagnostic)]
            return ()
        return tuple(value for value in values if isinstance(value, int))

    def _distinct(self, node: Sequence) -> tuple[AxisValue, ...]:
        """Values by their texts: cells that are called alike would share a folder."""
        values: dict[str, AxisValue] = {}
        for item in node.items:
            value = item.value if isinstance(item, Scalar) else None
            if value is None or (isinstance(value, float) and not math.isfinite(value)):
                message = "a value of an axis is a string, a finite number or a boolean"
                self.diagnostics.append(
                    Diagnostic("bad-axis-value", message, item.span, notes=item.notes)
                )
            elif axis_text(value) in values:
                message = f"{axis_text(value)} is there twice"
                self.diagnostics.append(
                    Diagnostic("repeated-axis-value", message, item.span, notes=item.notes)
                )
            elif len(axis_text(value)) > MAX_TEXT:
                message = f"a value of an axis has more than {MAX_TEXT} characters in a folder"
                self.diagnostics.append(
                    Diagnostic("bad-axis-value", message, item.span, notes=item.notes)
                )
            else:
                values[axis_text(value)] = value
        return tuple(values.values())

    def _check_references(
        self, chosen: dict[str, Draft], drafts: dict[str, Draft], node: MappingNode
    ) -> None:
        for draft in chosen.values():
            for reference in draft.references:
                wanted = self._wanted(draft, reference)
                self.diagnostics += self._check_disabled(reference, node)
                self.diagnostics += _check_reference(reference, wanted, drafts, node)

    def _check_disabled(self, reference: TaskReference, node: MappingNode) -> list[Diagnostic]:
        """What to say about a reference to a task that is left out."""
        task, at = node.get(reference.task), reference.node
        if not isinstance(task, MappingNode) or self._is_enabled(task):
            return []
        message = f'"{reference.task}" is left out: its enable is false or empty'
        note: Note = ("it is left out here", node.entries[reference.task].key.span)
        return [Diagnostic("disabled-task", message, at.span, None, (*at.notes, note))]

    def _order(self, drafts: dict[str, Draft]) -> list[str]:
        """Names so that each comes after what it refers to; a circle is an error and left out."""
        graph = {
            name: [item.task for item in draft.references if item.task in drafts]
            for name, draft in drafts.items()
        }
        while True:
            try:
                return list(TopologicalSorter(graph).static_order())
            except CycleError as error:
                circle = error.args[1][::-1]
                first = min(circle, key=list(drafts).index)
                circle = circle[circle.index(first) : -1] + circle[: circle.index(first) + 1]
                self.diagnostics.append(_circle([drafts[name] for name in circle]))
                graph = {
                    name: [item for item in after if item not in circle]
                    for name, after in graph.items()
                    if name not in circle
                }

    def _task(self, draft: Draft, done: dict[str, Task]) -> Task | None:
        """The task with its axes; None if something it refers to is not there."""
        before = len(self.diagnostics)
        targets = [_target(item, done) for item in draft.references]
        found = [target for target in targets if target is not None]
        if len(found) < len(targets):
            return None
        axes = draft.axes
        for reference, target in zip(draft.references, found, strict=True):
            if target.kind != (self._wanted(draft, reference) or target.kind):
                return None
            if not reference.gathers and not draft.axes:
                axes = {**axes, **target.axes}
            else:
                self._check_axes(draft, reference, target)
        self._check_size(draft, axes)
        if len(self.diagnostics) > before:
            return None
        task = Task(draft.name, draft.kind, draft.node, axes, draft.references, draft.span)
        kept = self._keep(task, found)
        return task._replace(kept=kept) if not errors_of(self.diagnostics[before:]) else None

    def _keep(self, task: Task, targets: list[Task]) -> tuple[int, ...] | None:
        """The points that have a cell; None for all."""
        node = task.node.get("exclude")
        filled = substitute(node, self.bindings) if node is not None else None
        if filled is not None:
            self.used |= filled.used
            self.diagnostics += filled.diagnostics
        exclusions, wrong = read_exclusions(filled.node if filled else None, task.axes)
        self.diagnostics += wrong
        if wrong or (filled and filled.diagnostics):
            return None
        pairs = list(zip(task.references, targets, strict=True))
        grids = [target.grid() for reference, target in pairs if not reference.results]
        values = {name: axis.values for name, axis in task.axes.items()}
        kept, unmatched = keep_points(values, exclusions, grids)
        self.diagnostics += unmatched
        task = task._replace(kept=None if kept is None else tuple(kept))
        for reference, target in pairs:
            if reference.results and target.kept is not None:
                self.diagnostics += check_results(task.grid(), reference.node, target.grid())
        if kept == []:
            message = f'"{task.name}" has no cell left'
            self.diagnostics.append(Diagnostic("no-cells", message, task.span))
        return task.kept

    def _wanted(self, draft: Draft, reference: TaskReference) -> str | None:
        """The kind of task that a reference takes; None if it takes any."""
        schema = task_schema(draft.kind)["properties"][reference.key]
        kind: str | None = schema.get("x-refers-to")
        return kind

    def _check_axes(self, draft: Draft, reference: TaskReference, target: Task) -> None:
        """A task with axes of its own has no values that what it reads has not.

        One that does not gather has all axes of what it reads.
        """
        called = f'"{reference.node.text}"'
        for axis in target.axes.values():
            own = draft.axes.get(axis.name)
            if own is None and reference.gathers:
                continue
            if own is None:
                message = f'{called} has the axis "{axis.name}", and "{draft.name}" has not'
                help = f'leave "for" out to take its axes over, or add "{axis.name}" to it'
                at = reference.node
                self.diagnostics.append(
                    Diagnostic("missing-axis", message, at.span, help, at.notes)
                )
                continue
            there = {axis_text(value) for value in axis.values}
            missing = [text for text in map(axis_text, own.values) if text not in there]
            if missing:
                message = f"{called} has no cell with {axis.name} = {missing[0]}"
                note: Note = (f"the axis of {called}", axis.node.span)
                notes = (*own.node.notes, note)
                self.diagnostics.append(
                    Diagnostic("missing-cell", message, own.node.span, notes=notes)
                )

    def _check_size(self, draft: Draft, axes: Mapping[str, Axis]) -> None:
        cells = 1
        for axis in axes.values():
            cells *= len(axis.values)
        if cells > MAX_CELLS:
            message = f'task "{draft.name}" has {cells:,} cells: more than {MAX_CELLS:,}'
            self.diagnostics.append(Diagnostic("too-many-cells", message, draft.span))


def _axes_in(tasks: MappingNode) -> set[str]:
    """The names of all axes that tasks span, whether these are right or wrong."""
    nodes = [entry.value for entry in tasks.entries.values()]
    spans = [node.get("for") for node in nodes if isinstance(node, MappingNode)]
    return {name for span in spans if isinstance(span, MappingNode) for name in span.entries}


def _all_naturals(node: Sequence) -> bool:
    return all(
        isinstance(item, Scalar) and type(item.value) is int and item.value >= 0
        for item in node.items
    )


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _check_reference(
    reference: TaskReference, wanted: str | None, drafts: dict[str, Draft], node: MappingNode
) -> list[Diagnostic]:
    """What is wrong with whom a reference leads to, or with the results in its place."""
    at, target = reference.node, drafts.get(reference.task)
    takes = f"{reference.key} takes {_a(wanted)} task" if wanted else "name a task of this file"
    kind = target.kind if target is not None else None
    if reference.results:
        kind = next((each.task for each in reference.results if each.task != wanted), wanted)
    if kind is not None and wanted is not None and kind != wanted:
        message = f'"{at.text}" is {_a(kind)} task: {takes}'
        if reference.results:
            message = f'"{at.text}" is the result of {_a(kind)} task: {takes}'
        return [Diagnostic("wrong-reference", message, at.span, notes=at.notes)]
    if not reference.results and target is None and reference.task not in node.entries:
        kinds = {name: draft.kind for name, draft in drafts.items()}
        names = [name for name in node.entries if kinds.get(name, wanted) == wanted or not wanted]
        message = f'there is no task "{reference.task}"'
        help = suggest(reference.task, names) or takes
        return [Diagnostic("undeclared-reference", message, at.span, help, at.notes)]
    return []


def _circle(drafts: list[Draft]) -> Diagnostic:
    """What to say of tasks of which each refers to the next, the last being the first again.

    It is said at the first reference, with what filled it; the others are told beside it.
    """
    message = f"tasks refer to each other in a circle: {' → '.join(d.name for d in drafts)}"
    steps = [
        next(item.node for item in draft.references if item.task == after.name)
        for draft, after in pairwise(drafts)
    ]
    others: list[Note] = []
    for draft, node in zip(drafts[1:], steps[1:], strict=False):
        others += [(f'"{draft.name}" refers on here', node.span), *node.notes]
    return Diagnostic("task-cycle", message, steps[0].span, None, (*steps[0].notes, *others))


def _target(reference: TaskReference, done: dict[str, Task]) -> Task | None:
    """The task that a reference leads to; results stand for one with their axes."""
    if not reference.results:
        return done.get(reference.task)
    node, results = reference.node, reference.results
    grid = Grid({}) if reference.gathers else span_axes(results)[0]
    axes = {name: Axis(name, tuple(values), node) for name, values in grid.axes.items()}
    kept = None if grid.kept is None else tuple(grid.kept)
    empty = MappingNode({}, node.span)
    return Task("", results[0].task, empty, axes, (), node.span, kept)
