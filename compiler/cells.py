"""One task in, its cells out: a spec and a folder for each point of its axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from .defaults import WORKFLOW, fill_defaults
from .diagnostics import Diagnostic, show
from .execution import execution_keys, make_execution, too_small
from .folders import axis_text
from .grid import Grid
from .idle import idle_keys
from .keys import FAILED, Keys
from .made import Part
from .nodes import Mapping as MappingNode
from .nodes import Node, locate, to_plain
from .results import tabulate
from .schema import validate
from .scope import Scope
from .settings import effective_settings
from .table import CellTable, Keyed, Reading, read_cells
from .template import substitute
from .values import AxisValue, Json
from .workflow import Task, TaskReference

SHARING: Final = f"{WORKFLOW}#/$defs/sharing"


class TaskBody:
    """One task on its way to cells."""

    def __init__(self, scope: Scope, task: Task) -> None:
        self.scope = scope
        self.task = task
        self.grid = task.grid()
        self._before = scope.problems()
        self._written: Node | None = None
        self._resources: Json = {}
        self.settings = self._settings()
        self.execution, self.group = self._execution()
        self._readings = [self._read(item) for item in task.references]
        self._keys = Keys(scope, task, self.settings)
        self._parts = self._keys.parts()

    def cells(self) -> CellTable | None:
        """The cells at all points; None after diagnostics, here or in what is read."""
        values = self.values_at(next(self.grid.points()))
        if self.scope.problems() == self._before:
            self._check_axes()
        readings = [reading for reading in self._readings if reading is not None]
        unread = len(readings) < len(self._readings)
        if unread or self.scope.problems() > self._before or FAILED in values.values():
            return None
        keys = {key: Keyed(Grid({}), [value]) for key, value in values.items()}
        varying = [part for part in self._parts if any(part.drawn_on())]
        filled = {part.key: self._fill(part) for part in varying}
        keys |= {key: keyed for key, keyed in filled.items() if keyed is not None}
        made = [part for part in varying if filled[part.key] is None]
        for point in self.grid.points() if made else ():
            if FAILED in self._make_at(point, made).values():
                return None
        keys |= {part.key: self._collect(part) for part in made}
        head = keys.pop("output")
        below = tuple(name for name in self.task.axes if name not in head.grid.axes)
        name, kind = self.task.name, self.task.kind
        return CellTable(name, kind, self.grid, keys, tuple(readings), head, below)

    def check(self) -> None:
        """Judge the keys of a task that has no cells, each by itself."""
        for part in self._parts:
            self._keys.check(part)
        if isinstance(self._written, MappingNode):
            self.check_site(self._written.entries)

    def check_site(self, keys: Iterable[str]) -> None:
        """Hold some of the resources of its jobs against the site, if there is one."""
        site, task = self.scope.given.site, self.task
        if site is not None:
            asked = {key: self._resources[key] for key in keys if key in self._resources}
            self.scope.diagnostics += site.check(task.name, task.span, asked, self._written)

    def values_at(self, point: Mapping[str, AxisValue]) -> dict[str, Json]:
        """What each key stands for at a point, the folder as ``output``; FAILED if it is wrong."""
        return self._keys.absent() | self._make_at(point, self._parts)

    def _make_at(self, point: Mapping[str, AxisValue], parts: list[Part]) -> dict[str, Json]:
        texts = {name: axis_text(value) for name, value in point.items()}
        return {part.key: self._keys.value(part, point, texts) for part in parts}

    def _fill(self, part: Part) -> Keyed | None:
        """The values of a key at all its places, where they need not be made one by one."""
        grid = self._grid_of(part)
        values = self._keys.values(part, grid)
        return None if values is None else Keyed(grid, values)

    def _collect(self, part: Part) -> Keyed:
        """The values of a key, which are made by now."""
        grid = self._grid_of(part)
        return Keyed(grid, [self._make_at(point, [part])[part.key] for point in grid.points()])

    def _grid_of(self, part: Part) -> Grid:
        """The axes that a key draws on."""
        names = set(part.drawn_on())
        return self.grid.part([name for name in self.task.axes if name in names])

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
        self._written = done.node.get("resources") if isinstance(done.node, MappingNode) else None
        problems = problems or too_small(self._written)
        self._report_shared(problems)
        value = {} if problems else to_plain(done.node)
        self.scope.diagnostics += idle_keys(done.node, SHARING) if not problems else []
        value = {"resources": {}, "environment": {}, "group": 1, **value}
        place = f"#/$defs/{self.task.kind}"
        value = fill_defaults(value, WORKFLOW, {"$ref": place})
        self._resources = {} if problems else value["resources"]
        execution = make_execution(self.task.kind, value, self.settings)
        if value["group"] > 1 and not self.task.axes:
            message = f"a group of {value['group']}, and there is one cell"
            help = 'leave "group" out, or add "for"'
            self._error("useless-group", message, locate(done.node, ["group"]), help)
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
        targets = {reference.task for reference in self.task.references}
        for task in (task for task in self.scope.workflow.tasks if task.name in targets):
            used.update(task.axes)
        for result in (each for item in self.task.references for each in item.results):
            used.update(result.axes)
        for axis in self.task.axes.values():
            if axis.name not in used:
                message = f'the axis "{axis.name}" changes nothing in "{self.task.name}"'
                help = f"use {{{axis.name}}} in a value of the task"
                self._error("unused-axis", message, axis.node, help)

    def _read(self, reference: TaskReference) -> Reading | None:
        """The cells referred to; None if they failed."""
        table = self.scope.cells.get(reference.task)
        if reference.results:
            table = tabulate(reference.results, reference.gathers)
        if table is None:
            return None
        name, gathers = reference.name, reference.gathers
        return read_cells(self.grid, reference.key, name, gathers, table)

    def _error(self, code: str, message: str, node: Node, help: str | None = None) -> None:
        self.scope.diagnostics.append(Diagnostic(code, message, node.span, help, node.notes))
