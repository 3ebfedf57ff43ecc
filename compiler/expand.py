"""Expand a Workflow to a Plan: a cell for each point of a task's axes, a job for each group.

Templates are filled and types checked again here; what does not depend on the cell is made once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Final
from urllib.parse import quote

from .defaults import WORKFLOW, fill_defaults, task_schema
from .definitions import Definer, without
from .diagnostics import Diagnostic
from .nodes import Entry, Node, Scalar, to_plain
from .nodes import Mapping as MappingNode
from .nodes import Sequence as SequenceNode
from .parameters import Binding
from .plan import AxisValue, Cell, Hasher, JobSpec, Json, Plan, PlannedTask
from .schema import validate
from .settings import effective_settings
from .template import substitute
from .workflow import Axis, Task, TaskReference, Workflow

NOT_IN_BODY: Final = ("task", "for", "help", "group", "resources", "settings")
NAMING_FIELDS: Final = ("name", "uuid", "start", "stop", "tree")
SAFE: Final = "-_.,=+@ "


@dataclass(frozen=True)
class Given:
    """What applies to every task: layers of settings, the current folder, the device."""

    workflow_settings: Node | None
    settings: Sequence[MappingNode]
    current: Path
    device: str = "auto"


class Expansion:
    """Gathers cells and jobs, task by task; ``diagnostics`` and ``used`` gather on the way."""

    def __init__(self, workflow: Workflow, definer: Definer, given: Given) -> None:
        self.workflow = workflow
        self.definer = definer
        self.given = given
        self.diagnostics: list[Diagnostic] = []
        self.used: set[str] = set()
        self.jobs: list[JobSpec] = []
        self.cells: dict[str, list[Cell]] = {}
        self.outputs: dict[str, Node | None] = {}
        self._job_of: dict[str, int] = {}
        self._hasher = Hasher()

    def run(self) -> Plan:
        """The plan; it counts only if there are no diagnostics."""
        tasks = tuple(self._task(task) for task in self.workflow.tasks)
        parameters = {name: item.value for name, item in self.workflow.bindings.items()}
        return Plan(self.workflow.name, parameters, tasks, tuple(self.jobs))

    def _task(self, task: Task) -> PlannedTask:
        body = TaskBody(self, task)
        cells: list[Cell] = []
        for point in task.points():
            before = self._problems()
            cell = body.cell(point)
            if cell is None or self._problems() > before:
                break
            cells.append(cell)
        self.cells[task.name] = cells
        first = len(self.jobs)
        group = body.group
        for start in range(0, len(cells), group):
            self._job(task, tuple(cells[start : start + group]), body.execution)
        needs = tuple(dict.fromkeys(item.task for item in task.references))
        root = common_root([cell.output for cell in cells])
        return PlannedTask(task.name, task.kind, first, len(self.jobs), len(cells), root, needs)

    def _problems(self) -> int:
        return len(self.diagnostics) + len(self.definer.diagnostics)

    def _job(self, task: Task, cells: tuple[Cell, ...], execution: Json) -> None:
        number = len(self.jobs)
        needs = {self._job_of[name] for cell in cells for name in referred_cells(cell)}
        id = cells[0].id if len(cells) == 1 else f"{cells[0].id}~{cells[-1].id}"
        self.jobs.append(
            JobSpec(id, number, task.name, task.kind, tuple(sorted(needs)), cells, execution)
        )
        self._job_of |= {cell.id: number for cell in cells}

    def hash_spec(self, kind: str, spec: Json) -> str:
        """The hash of a cell's spec."""
        return self._hasher.hash_spec(kind, spec)


class TaskBody:
    """One task on its way to cells: what is the same for all, and what each point changes."""

    def __init__(self, expansion: Expansion, task: Task) -> None:
        self.task = task
        self.expansion = expansion
        self.schema = task_schema(task.kind)
        keys = [item.key for item in task.references]
        self.node = without(task.node, *NOT_IN_BODY, *keys)
        self.settings = self._settings()
        self.execution, self.group = self._execution()
        self._made: dict[int, tuple[Node, Json]] = {}
        self._fixed: dict[str, Entry] = {}
        self._varying: dict[str, Entry] = {}
        self._checked: set[tuple[str, type, AxisValue]] = set()
        self._gathered = {item.key: self._index(item) for item in task.references}
        self._split()

    def cell(self, point: Mapping[str, AxisValue]) -> Cell | None:
        """The cell at a point; None after diagnostics."""
        bindings = self._bindings(point)
        node = self._fill(point, bindings)
        if node is None or not self._check(node, point):
            return None
        plain = fill_defaults(to_plain(node), WORKFLOW, self.schema)
        references = {item.key: self._reference(item, point) for item in self.task.references}
        if any(value is None for value in references.values()):
            return None
        spec = self._spec(node, plain, bindings) | references
        if any(value is None or value == [None] for value in spec.values()):
            return None
        output = self._output(node, point)
        self.expansion.outputs[self.task.name] = node.get("output")
        id = cell_id(self.task.name, point)
        return Cell(id, dict(point), output, self.expansion.hash_spec(self.task.kind, spec), spec)

    def _settings(self) -> Json:
        given = self.expansion.given
        layers = [given.workflow_settings, self.task.node.get("settings"), *given.settings]
        value, diagnostics, used = effective_settings(layers, self.expansion.workflow.bindings)
        self.expansion.diagnostics += diagnostics
        self.expansion.used |= used
        return value

    def _execution(self) -> tuple[Json, int]:
        """How jobs of the task run, and how many cells share one."""
        kept = {
            key: entry
            for key, entry in self.task.node.entries.items()
            if key in ("group", "resources")
        }
        done = substitute(self.node.replace(kept), self.expansion.workflow.bindings)
        self.expansion.used |= done.used
        self.expansion.diagnostics += done.diagnostics or validate(
            done.node, f"{WORKFLOW}#/$defs/sharing", bound=True
        )
        value = {} if done.diagnostics else to_plain(done.node)
        value = fill_defaults({"resources": {}, **value}, WORKFLOW, self.schema)
        resources = value["resources"]
        execution = {
            "cpus": resources["cpus"],
            "memory_mb": memory_mb(resources["memory"]),
            "gpus": resources["gpus"],
            "device": self.expansion.given.device,
            "batch_eval": self.settings["torch.DataLoader"]["batch_eval"],
        }
        return execution, max(value["group"] if isinstance(value["group"], int) else 1, 1)

    def _bindings(self, point: Mapping[str, AxisValue]) -> dict[str, Binding]:
        axes = {name: self.task.axes[name].bind(value) for name, value in point.items()}
        return {**self.expansion.workflow.bindings, **axes}

    def _split(self) -> None:
        """Fill once what no axis changes; find the axes that change nothing at all."""
        point = next(self.task.points(), None)
        if point is None:
            return
        bindings = self._bindings(point)
        used: set[str] = set()
        for key, entry in self.node.entries.items():
            done = substitute(entry.value, bindings)
            used |= done.used
            self.expansion.diagnostics += done.diagnostics
            if done.used & self.task.axes.keys():
                self._varying[key] = entry
            else:
                self._fixed[key] = Entry(entry.key, done.node)
        self.expansion.used |= used - self.task.axes.keys()
        self._check_axes(used)

    def _check_axes(self, used: set[str]) -> None:
        """An axis fills the key of its name, stands in some string, or selects what is read."""
        for axis in self.task.axes.values():
            implicit = axis.name in self.schema["properties"] and axis.name not in self.node.entries
            selects = any(axis.name in self._shared(item) for item in self.task.references)
            if implicit or selects or axis.name in used:
                continue
            message = f'the axis "{axis.name}" changes nothing in "{self.task.name}"'
            help = f"use {{{axis.name}}} in a value of the task"
            self._error("unused-axis", message, axis.node, help)

    def _fill(
        self, point: Mapping[str, AxisValue], bindings: Mapping[str, Binding]
    ) -> MappingNode | None:
        entries = dict(self._fixed)
        for key, entry in self._varying.items():
            done = substitute(entry.value, bindings)
            self.expansion.diagnostics += done.diagnostics
            entries[key] = Entry(entry.key, done.node)
            if done.diagnostics:
                return None
        for name, value in point.items():
            if name in self.schema["properties"] and name not in entries:
                entries[name] = _axis_entry(self.task.axes[name], value)
        return self.node.replace(entries)

    def _check(self, node: MappingNode, point: Mapping[str, AxisValue]) -> bool:
        """Check types after binding: for the first cell, and for each value of an axis once."""
        new = {(name, type(value), value) for name, value in point.items()} - self._checked
        if not new and self._checked:
            return True
        self._checked |= new or {("", str, "")}
        problems = validate(self._whole(node), f"{WORKFLOW}#/$defs/{self.task.kind}", bound=True)
        self.expansion.diagnostics += problems
        return not problems

    def _whole(self, node: MappingNode) -> MappingNode:
        kept = ("task", *(item.key for item in self.task.references))
        rest = {key: self.task.node.entries[key] for key in kept}
        return node.replace({**rest, **node.entries})

    def _index(self, reference: TaskReference) -> dict[tuple[AxisValue, ...], list[Json]]:
        """The cells referred to, by their place on the axes that both tasks have."""
        shared = self._shared(reference)
        found: dict[tuple[AxisValue, ...], list[Json]] = {}
        for cell in self.expansion.cells.get(reference.task, []):
            place = tuple(cell.axes[name] for name in shared)
            value = {"cell": cell.id, "result": f"{cell.output}/result.json", "hash": cell.hash}
            found.setdefault(place, []).append(value)
        return found

    def _shared(self, reference: TaskReference) -> list[str]:
        cells = self.expansion.cells.get(reference.task, [])
        return [name for name in (cells[0].axes if cells else ()) if name in self.task.axes]

    def _reference(self, reference: TaskReference, point: Mapping[str, AxisValue]) -> Json:
        place = tuple(point[name] for name in self._shared(reference))
        cells = self._gathered[reference.key].get(place)
        if cells is None:
            if self.expansion.cells.get(reference.task):
                message = f'"{reference.task}" has no cell for {cell_id(self.task.name, point)}'
                self.expansion.diagnostics.append(
                    Diagnostic("wrong-reference", message, reference.span)
                )
            return None
        return cells if reference.gathers else cells[0]

    def _spec(self, node: MappingNode, plain: Json, bindings: Mapping[str, Binding]) -> Json:
        """The result fields of the cell but for its references."""
        spec = {key: plain[key] for key in plain.keys() - {"output", *NOT_IN_BODY}}
        uses = node.get("datasets")
        if isinstance(uses, SequenceNode):
            spec["datasets"] = self._once(uses, lambda: self._datasets(uses, bindings))
        use = node.get("classifier")
        if use is not None:
            spec["classifier"] = self._once(use, lambda: self._classifier(use, bindings))
            spec["benchmark"] = not self.settings["torch.Training"]["disable_benchmark"]
        if "naming" in spec:
            spec.setdefault("name", self.expansion.workflow.name)
            self._check_naming(node)
        return spec

    def _once(self, node: Node, make: Callable[[], Json]) -> Json:
        if id(node) not in self._made:
            self._made[id(node)] = (node, make())
        return self._made[id(node)][1]

    def _datasets(self, uses: SequenceNode, bindings: Mapping[str, Binding]) -> Json:
        specs = [self.expansion.definer.dataset(use, bindings) for use in uses.items]
        return None if any(spec is None for spec in specs) else specs

    def _classifier(self, use: Node, bindings: Mapping[str, Binding]) -> Json:
        return self.expansion.definer.classifier(use, bindings)

    def _check_naming(self, node: MappingNode) -> None:
        naming = node.get("naming")
        if not isinstance(naming, Scalar):
            return
        try:
            pieces = list(Formatter().parse(naming.text))
        except ValueError as error:
            self._error("bad-template", f"a naming is a template: {error}", naming)
            return
        for field in (field for _, field, _, _ in pieces if field is not None):
            path = field.startswith("path") and field[4:].isdigit()
            if field not in NAMING_FIELDS and not path:
                allowed = ", ".join((*NAMING_FIELDS, "path0", "path1, …"))
                message = f"a naming has no field {{{field}}}"
                self._error("bad-template", message, naming, f"allowed: {allowed}")

    def _output(self, node: MappingNode, point: Mapping[str, AxisValue]) -> str:
        """The cell's absolute folder: what ``output`` says, then one for each axis it omits."""
        written = self.node.get("output")
        named: set[str] = set()
        text = f"{self.expansion.workflow.name}/{self.task.name}"
        bound = node.get("output")
        if isinstance(written, Scalar) and isinstance(bound, Scalar):
            text = bound.text if bound.value is None else str(bound.value)
            named = set(substitute(written, self._bindings(point)).used)
        parts = [f"{name}={axis_text(value)}" for name, value in point.items() if name not in named]
        base = self.settings["IO"]["output"]
        return join_output(self.expansion.given.current, base, text, parts)

    def _error(self, code: str, message: str, node: Node, help: str | None = None) -> None:
        self.expansion.diagnostics.append(Diagnostic(code, message, node.span, help, node.notes))


def _axis_entry(axis: Axis, value: AxisValue) -> Entry:
    key = Scalar(axis.name, axis.name, False, axis.node.span)
    note = (f"in expansion of {{{axis.name}}} = {value}", axis.node.span)
    return Entry(key, Scalar(value, str(value), False, axis.node.span, (note,)))


def axis_text(value: AxisValue) -> str:
    """A value of an axis as it stands in folders and ids: nothing in it can lead elsewhere."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return quote(text, safe=SAFE)


def cell_id(task: str, point: Mapping[str, AxisValue]) -> str:
    """The readable id of a cell: ``train[offset=3]``."""
    axes = ",".join(f"{name}={axis_text(value)}" for name, value in point.items())
    return f"{task}[{axes}]" if axes else task


def join_output(current: Path, base: str, text: str, parts: Sequence[str]) -> str:
    """An absolute folder, or a URL, for results."""
    if "://" in text:
        return "/".join([text.rstrip("/"), *parts])
    if "://" in base and not text.startswith("/"):
        return "/".join([base.rstrip("/"), text.strip("/"), *parts])
    folder = current / Path(base).expanduser() / Path(text).expanduser()
    return os.path.normpath(folder.joinpath(*parts))


def common_root(outputs: Sequence[str]) -> str:
    """The folder that all outputs of a task lie in."""
    if not outputs:
        return ""
    if any("://" in output for output in outputs):
        return outputs[0]
    root = os.path.commonpath(outputs)
    return outputs[0] if root == os.path.sep else root


def referred_cells(cell: Cell) -> list[str]:
    """Ids of the cells that a cell's spec refers to."""
    values = [
        item
        for value in cell.spec.values()
        for item in (value if isinstance(value, list) else [value])
    ]
    return [item["cell"] for item in values if isinstance(item, dict) and "result" in item]


def memory_mb(value: Json) -> int:
    """Megabytes of a memory request: a number is in MB, a string says its unit."""
    if isinstance(value, int):
        return value
    number, unit = value[:-2], value[-2:]
    return max(round(float(number) * (1000 if unit == "GB" else 1)), 1)
