"""One task in, its cells out: a spec and a folder for each point of its axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from .defaults import WORKFLOW, fill_defaults
from .diagnostics import Diagnostic, show
from .execution import execution_keys, make_execution
from .folders import axis_text, cell_id
from .keys import FAILED, Keys, Place
from .nodes import Node, to_plain
from .plan import AxisValue, Cell, Hasher, Json
from .schema import validate
from .scope import Scope
from .settings import effective_settings
from .template import substitute
from .workflow import Task, TaskReference

SHARING: Final = f"{WORKFLOW}#/$defs/sharing"


class Gathered(NamedTuple):
    """Cells that a task reads, by place on the axes it shares with theirs; None if they failed."""

    key: str
    gathers: bool
    shared: Place
    cells: Mapping[Place, list[Json]] | None

    def at(self, place: Place) -> Json:
        """The cells at a place; one alone, unless the task gathers."""
        found = self.cells[place] if self.cells else [None]
        return found if self.gathers else found[0]


class TaskBody:
    """One task on its way to cells."""

    def __init__(self, scope: Scope, task: Task) -> None:
        self.scope = scope
        self.task = task
        self._hasher = Hasher(task.kind)
        self._before = scope.problems()
        self.settings = self._settings()
        self.execution, self.group = self._execution()
        self._gathered = [self._gather(item) for item in task.references]
        self._keys = Keys(scope, task, self.settings)
        self._parts = self._keys.parts()
        self._fixed = self._fix()
        self._varying = [part for part in self._parts if part.key not in self._fixed]
        self._root = self._fixed.pop("output", None)
        named = {name for part in self._parts if part.key == "output" for name in part.axes}
        self._in_path = [name for name in task.axes if name not in named]

    def cells(self) -> list[Cell] | None:
        """The cells at all points, in order; None after diagnostics, here or in what is read."""
        if self.scope.problems() == self._before:
            self._check_axes()
        unread = any(reference.cells is None for reference in self._gathered)
        if unread or self.scope.problems() > self._before or FAILED in self._fixed.values():
            return None
        found: list[Cell] = []
        for point in self.task.points():
            cell = self._cell(point)
            if cell is None:
                return None
            found.append(cell)
        return found

    def _fix(self) -> dict[str, Json]:
        """Make every key at the first point; the values that are the same at all of them."""
        point = next(self.task.points(), {})
        texts = {name: axis_text(value) for name, value in point.items()}
        fixed = self._keys.absent()
        for reference in self._gathered:
            if not reference.shared:
                fixed[reference.key] = reference.at(())
        for part in self._parts:
            value = self._keys.value(part, point, texts)
            if any(part.drawn_on()):
                fixed.pop(part.key, None)
            else:
                fixed[part.key] = value
        return fixed

    def _cell(self, point: Mapping[str, AxisValue]) -> Cell | None:
        """The cell at a point; None after diagnostics."""
        texts = {name: axis_text(value) for name, value in point.items()}
        own = {part.key: self._keys.value(part, point, texts) for part in self._varying}
        if FAILED in own.values():
            return None
        for reference in self._gathered:
            if reference.shared:
                place = tuple([texts[name] for name in reference.shared])
                own[reference.key] = reference.at(place)
        folders = [f"{name}={texts[name]}" for name in self._in_path]
        output = "/".join([own.pop("output", self._root), *folders])
        id = cell_id(self.task.name, texts)
        return Cell(id, point, output, self._hasher.hash_spec(self._fixed, own), self._fixed, own)

    def _settings(self) -> Json:
        given = self.scope.given
        layers = [given.workflow_settings, self.task.node.get("settings"), *given.settings]
        value, diagnostics, used = effective_settings(layers, self.scope.workflow.bindings)
        self._report_shared(diagnostics)
        self.scope.used |= used
        return value

    def _execution(self) -> tuple[Json, int]:
        """How jobs of the task run, and how many cells share one."""
        keys, entries = execution_keys(self.task.kind), self.task.node.entries
        kept = {key: entries[key] for key in keys if key in entries}
        done = substitute(self.task.node.replace(kept), self.scope.workflow.bindings)
        self.scope.used |= done.used
        problems = done.diagnostics or validate(done.node, SHARING, bound=True)
        self._report_shared(problems)
        value = {} if problems else to_plain(done.node)
        value = {"resources": {}, "environment": {}, "group": 1, **value}
        place = f"#/$defs/{self.task.kind}"
        value = fill_defaults(value, WORKFLOW, {"$ref": place})
        execution = make_execution(self.task.kind, value, self.settings)
        if execution["memory_mb"] < 1:
            node = kept["resources"].value
            message = "a job needs some memory: at least 1 MB"
            self._error("out-of-bounds", message, node)
        return execution, value["group"]

    def _report_shared(self, problems: list[Diagnostic]) -> None:
        """Add what is wrong with a key that is one for all cells; no axis stands in it."""
        for item in problems:
            names = [name for name in self.task.axes if item.message.endswith(show(name))]
            if item.code == "unknown-placeholder" and names:
                message = f'"{names[0]}" is an axis: it has no value here'
                keys = [*execution_keys(self.task.kind), "settings"]
                help = f"{', '.join(keys)} are the same for all cells"
                item = item._replace(code="axis-in-shared-key", message=message, help=help)
            self.scope.diagnostics.append(item)

    def _check_axes(self) -> None:
        """An axis fills the key of its name, stands in some string, or selects what is read."""
        used = {name for part in self._parts for name in part.drawn_on()}
        for reference in self._gathered:
            used.update(reference.shared)
        for axis in self.task.axes.values():
            if axis.name not in used:
                message = f'the axis "{axis.name}" changes nothing in "{self.task.name}"'
                help = f"use {{{axis.name}}} in a value of the task"
                self._error("unused-axis", message, axis.node, help)

    def _gather(self, reference: TaskReference) -> Gathered:
        """The cells referred to, by their place on the axes that both tasks have."""
        target = next(task for task in self.scope.workflow.tasks if task.name == reference.task)
        shared = tuple(name for name in target.axes if name in self.task.axes)
        if target.name not in self.scope.cells:
            return Gathered(reference.key, reference.gathers, shared, None)
        cells: dict[Place, list[Json]] = {}
        for cell in self.scope.cells[target.name]:
            place = tuple([axis_text(cell.axes[name]) for name in shared])
            value = {"cell": cell.id, "result": f"{cell.output}/result.json", "hash": cell.hash}
            cells.setdefault(place, []).append(value)
        return Gathered(reference.key, reference.gathers, shared, cells)

    def _error(self, code: str, message: str, node: Node, help: str | None = None) -> None:
        self.scope.diagnostics.append(Diagnostic(code, message, node.span, help, node.notes))
