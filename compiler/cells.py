"""One task in, its cells out: templates filled and types checked again, point by point.

Each key is made once for each place on the axes that it draws on, and is shared from then on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from .defaults import WORKFLOW, fill_defaults, take_texts, task_schema
from .definitions import Definer, Use
from .diagnostics import Diagnostic, errors_of, show
from .folders import axis_text, cell_id, join_output, refuse_folder
from .nodes import Mapping as MappingNode
from .nodes import Node, Scalar, Sequence, to_plain, without
from .plan import AxisValue, Cell, Hasher, Json
from .schema import shipped_check, validate
from .settings import effective_settings
from .template import names_in, substitute
from .workflow import Task, TaskReference, Workflow

SHARED: Final = ("group", "resources", "settings")
NOT_IN_BODY: Final = ("task", "for", "help", *SHARED)
NOT_FILLED: Final = (*NOT_IN_BODY, "output", "naming")
SHARING: Final = f"{WORKFLOW}#/$defs/sharing"
DEFINED: Final = MappingProxyType({"datasets": "dataset", "classifier": "classifier"})
NAMING_FIELDS: Final = ("name", "uuid", "start", "stop", "tree", "path0", "path1, …")
NAMING_FIELD: Final = re.compile(r"\{(?:name|uuid|start|stop|tree|path[0-9]+)\}")
Place = tuple[str, ...]


class Given(NamedTuple):
    """What applies to every task: layers of settings, the current folder, the device."""

    workflow_settings: Node | None
    settings: list[MappingNode]
    current: Path
    device: str = "auto"


class Scope:
    """What tasks share while they expand: the workflow, and what gathers on the way.

    ``cells`` holds those of every task that is expanded without errors, ``outputs`` what the
    tasks' ``output`` keys say.
    """

    def __init__(self, workflow: Workflow, definer: Definer, given: Given) -> None:
        self.workflow = workflow
        self.definer = definer
        self.given = given
        self.diagnostics: list[Diagnostic] = []
        self.used: set[str] = set()
        self.cells: dict[str, list[Cell]] = {}
        self.outputs: dict[str, Node | None] = {}

    def problems(self) -> int:
        """How many errors there are so far."""
        return len(errors_of([*self.diagnostics, *self.definer.diagnostics]))


class Made:
    """What a key stands for at one place: a value, or definitions that make one.

    The specs that the definitions make are by place on ``axes``: those that they draw on.
    """

    def __init__(self, value: Json, uses: tuple[Use, ...] = (), axes: Place = ()) -> None:
        self.value = value
        self.uses = uses
        self.axes = axes
        self.specs: dict[Place, Json] = {}


class Part:
    """One key of a task, and the axes that its value draws on; without a node, one fills it."""

    def __init__(self, key: str, node: Node | None, axes: Place, schema: str) -> None:
        self.key = key
        self.node = node
        self.axes = axes
        self.schema = schema
        self.made: dict[Place, Made | None] = {}


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
        self.schema = task_schema(task.kind)
        self._hasher = Hasher(task.kind)
        self._before = scope.problems()
        self.settings = self._settings()
        self.execution, self.group = self._execution()
        self._gathered = [self._gather(item) for item in task.references]
        self._parts = self._split()
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
        if unread or self.scope.problems() > self._before or None in self._fixed.values():
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
        fixed = self._absent_keys()
        for reference in self._gathered:
            if not reference.shared:
                fixed[reference.key] = reference.at(())
        for part in self._parts:
            value = self._value(part, point, texts)
            if part.axes or any(made.axes for made in part.made.values() if made):
                fixed.pop(part.key, None)
            else:
                fixed[part.key] = value
        return fixed

    def _cell(self, point: Mapping[str, AxisValue]) -> Cell | None:
        """The cell at a point; None after diagnostics."""
        texts = {name: axis_text(value) for name, value in point.items()}
        own = {part.key: self._value(part, point, texts) for part in self._varying}
        if None in own.values():
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
        entries = self.task.node.entries
        kept = {key: entries[key] for key in ("group", "resources") if key in entries}
        done = substitute(self.task.node.replace(kept), self.scope.workflow.bindings)
        self.scope.used |= done.used
        problems = done.diagnostics or validate(done.node, SHARING, bound=True)
        self._report_shared(problems)
        value = {"resources": {}, **({} if problems else to_plain(done.node))}
        value = fill_defaults(value, WORKFLOW, self.schema)
        resources = value["resources"]
        if memory_mb(resources["memory"]) < 1:
            self._error(
                "out-of-bounds", "a job needs some memory: at least 1 MB", kept["resources"].value
            )
        execution = {
            "cpus": resources["cpus"],
            "memory_mb": memory_mb(resources["memory"]),
            "gpus": resources["gpus"],
            "device": self.scope.given.device,
            "batch_eval": self.settings["torch.DataLoader"]["batch_eval"],
        }
        return execution, value["group"]

    def _report_shared(self, problems: list[Diagnostic]) -> None:
        """Add what is wrong with a key that is one for all cells; no axis stands in it."""
        for item in problems:
            names = [name for name in self.task.axes if item.message.endswith(show(name))]
            if item.code == "unknown-placeholder" and names:
                message = f'"{names[0]}" is an axis: it has no value here'
                help = f"{', '.join(SHARED)} are the same for all cells"
                item = item._replace(code="axis-in-shared-key", message=message, help=help)
            self.scope.diagnostics.append(item)

    def _split(self) -> list[Part]:
        """The keys that make the spec and the folder: those written, and those an axis fills."""
        references = [item.key for item in self.task.references]
        axes = self.task.axes
        place = f"{WORKFLOW}#/$defs/{self.task.kind}/properties"
        parts = []
        for key, entry in without(self.task.node, *NOT_IN_BODY, *references).entries.items():
            names = names_in(entry.value)
            own = tuple(name for name in axes if name in names)
            parts.append(Part(key, entry.value, own, f"{place}/{key}"))
        free = self.schema["properties"].keys() - {*NOT_FILLED, *self.task.node.entries}
        filled = [name for name in axes if name in free]
        return parts + [Part(name, None, (name,), f"{place}/{name}") for name in filled]

    def _absent_keys(self) -> dict[str, Json]:
        """What the spec holds, and the folder is, where the task says nothing."""
        values = fill_defaults({}, WORKFLOW, self.schema)
        values = {key: value for key, value in values.items() if key not in NOT_IN_BODY}
        properties = self.schema["properties"]
        if "naming" in properties:
            values["name"] = self.scope.workflow.name
        if "classifier" in properties:
            values["benchmark"] = not self.settings["torch.Training"]["disable_benchmark"]
        values["output"] = self._join(f"{self.scope.workflow.name}/{self.task.name}")
        return values

    def _value(self, part: Part, point: Mapping[str, AxisValue], texts: Mapping[str, str]) -> Json:
        """What a key stands for at a point; None after diagnostics."""
        place = tuple([texts[name] for name in part.axes])
        if place not in part.made:
            part.made[place] = self._make(part, point)
        made = part.made[place]
        if made is None or not made.uses:
            return made and made.value
        place = tuple([texts[name] for name in made.axes])
        if place not in made.specs:
            made.specs[place] = self._define(part.key, made.uses, point)
        return made.specs[place]

    def _make(self, part: Part, point: Mapping[str, AxisValue]) -> Made | None:
        """A key filled and checked at a point; None after diagnostics."""
        if part.node is None and shipped_check(part.schema, bound=True)(point[part.key]):
            return Made(point[part.key])
        node = self._fill(part, point)
        if node is None:
            return None
        node = take_texts(node, part.schema)
        problems = validate(node, part.schema, bound=True, key=part.key)
        self.scope.diagnostics += problems
        if problems:
            return None
        if part.key in DEFINED:
            return self._resolve(part.key, node)
        if part.key == "output":
            return self._make_output(node)
        if part.key == "naming" and not self._is_naming(node):
            return None
        if isinstance(node, Scalar):
            return Made(node.value)
        return Made(fill_defaults(to_plain(node), WORKFLOW, self.schema["properties"][part.key]))

    def _fill(self, part: Part, point: Mapping[str, AxisValue]) -> Node | None:
        if part.node is None:
            return self.task.axes[part.key].fill(point[part.key])
        axes = {name: self.task.axes[name].bind(value) for name, value in point.items()}
        done = substitute(part.node, {**self.scope.workflow.bindings, **axes})
        self.scope.used |= done.used - axes.keys()
        self.scope.diagnostics += done.diagnostics
        return None if done.diagnostics else done.node

    def _resolve(self, key: str, node: Node) -> Made | None:
        """The definitions that a key uses, and the axes that they draw on."""
        items = node.items if isinstance(node, Sequence) else (node,)
        found = [self.scope.definer.resolve(DEFINED[key], item) for item in items]
        uses = tuple(use for use in found if use is not None)
        names = {name for use in uses for name in names_in(use.node)}
        axes = tuple(name for name in self.task.axes if name in names)
        return Made(None, uses, axes) if len(uses) == len(found) else None

    def _define(self, key: str, uses: tuple[Use, ...], point: Mapping[str, AxisValue]) -> Json:
        """The specs that definitions make at a point; None after diagnostics."""
        axes = {name: self.task.axes[name].bind(value) for name, value in point.items()}
        bindings = {**self.scope.workflow.bindings, **axes}
        definer = self.scope.definer
        if key == "classifier":
            return definer.classifier(uses[0], bindings)
        return definer.datasets(uses, bindings)

    def _make_output(self, node: Node) -> Made | None:
        text = node.text if isinstance(node, Scalar) else ""
        wrong = refuse_folder(text)
        if wrong:
            self._error(wrong.code, f'"output" {wrong.reason}', node)
        self.scope.outputs[self.task.name] = node
        return None if wrong else Made(self._join(text))

    def _join(self, text: str) -> str:
        return join_output(self.scope.given.current, self.settings["IO"]["output"], text)

    def _is_naming(self, node: Node) -> bool:
        """Whether a naming is a relative path of a .root file, with the fields that there are."""
        text = node.text if isinstance(node, Scalar) else ""
        rest = NAMING_FIELD.sub("x", text)
        field = re.search(r"\{[^{}]*\}?|\}", rest)
        message, help = "", None
        if field:
            message = f"a naming has no field {field.group()}"
            help = f"allowed: {', '.join(NAMING_FIELDS)}"
        elif rest.startswith("/") or ".." in rest.split("/") or not rest.endswith(".root"):
            message = f"{show(text)} is not the name of a .root file below the output"
        if message:
            self._error("bad-naming", message, node, help)
        return not message

    def _check_axes(self) -> None:
        """An axis fills the key of its name, stands in some string, or selects what is read."""
        used = {name for part in self._parts for name in part.axes}
        for made in (made for part in self._parts for made in part.made.values() if made):
            used.update(made.axes)
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


def memory_mb(value: Json) -> int:
    """Megabytes of a memory request: a number is in MB, a string says its unit."""
    if isinstance(value, int):
        return value
    number, unit = value[:-2], value[-2:]
    return round(float(number) * (1000 if unit == "GB" else 1))
