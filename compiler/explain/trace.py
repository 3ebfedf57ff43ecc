"""Where the values of a job come from: a bundle and a job in, the origin of each leaf out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..defaults import task_schema
from ..diagnostics import Note, Span, suggest
from ..keys import DEFINED, Keys
from ..nodes import Mapping as MappingNode
from ..nodes import Node, Scalar, Sequence
from ..parameters import Binding
from ..rebinding import rebind
from ..scope import Given, Scope
from ..settings import effective_settings, merge_settings
from ..template import substitute
from ..uses import Use
from ..values import Json
from ..workflow import Definition, Task
from .datasets import DatasetTrace
from .execution import execution_leaves, find
from .jobs import BundleError
from .origins import Expansions, Leaf, Origin, Step, Walk, notes_of, replaced, within
from .recompile import Recompiled

OF_CELL: Final = Step("of the cell that is named there")
BY_USE: Final = "given by the use"
Known = dict[Span, tuple[str, tuple[Note, ...]]]


def trace_cell(recompiled: Recompiled, job: Json, cell: Json) -> list[Leaf]:
    """The leaves of a cell and of how its job runs; raises :class:`BundleError`."""
    tasks = {task.name: task for task in recompiled.workflow.tasks}
    if job["name"] not in tasks:
        raise BundleError(f'the sources of the bundle have no task "{job["name"]}"')
    return list(_Trace(recompiled, tasks[job["name"]], cell).leaves(job))


def choose_leaves(leaves: list[Leaf], key: str) -> list[Leaf]:
    """The leaf of a key, or those below it; raises :class:`BundleError`."""
    chosen = [leaf for leaf in leaves if f"{leaf.path}.".startswith(f"{key}.")]
    if chosen:
        return chosen
    keys = {leaf.path for leaf in leaves}
    keys |= {key[:at] for key in keys for at in range(len(key)) if key[at] == "."}
    raise BundleError(f'there is no "{key}" in this job: {suggest(key, keys)}')


class _Trace:
    """One cell of a task: its values beside the nodes that they were made from."""

    def __init__(self, recompiled: Recompiled, task: Task, cell: Json) -> None:
        self.recompiled = recompiled
        self.definer = recompiled.definer
        self.task = task
        self.cell = cell
        workflow = recompiled.workflow
        axes = {
            name: axis.bind(cell["axes"][name])
            for name, axis in task.axes.items()
            if name in cell["axes"]
        }
        self.bindings = rebind(workflow.bindings, axes)
        self.known = self._known()
        self.walk = Walk(Expansions(self.known))
        layers = [recompiled.root.get("settings"), task.node.get("settings"), *recompiled.given]
        merged = merge_settings(layers)
        self.settings = self._fill(merged) if merged else None
        self.nodes = self._nodes(effective_settings(layers, workflow.bindings)[0])

    def leaves(self, job: Json) -> Iterator[Leaf]:
        """All leaves: folder, axes, spec, execution."""
        yield from self._output()
        for name, value in self.cell["axes"].items():
            axis = self.task.axes[name]
            yield Leaf(f"axes.{name}", value, self.walk.written(self._fill(axis.node)))
        for key, value in self.cell["spec"].items():
            yield from self._key(key, value)
        yield from execution_leaves(
            self.walk, self.task.kind, self._fill(self.task.node), self.settings, job["execution"]
        )

    def _known(self) -> Known:
        """Where the workflow's parameters and the axes got their values."""
        workflow = self.recompiled.workflow
        parameters = {
            name: binding if name in self.task.axes else self.bindings[name]
            for name, binding in workflow.bindings.items()
        }
        known = known_parameters(parameters, self.recompiled.root.get("parameters"), "")
        for axis in self.task.axes.values():
            filled = substitute(axis.node, workflow.bindings).node
            known[axis.node.span] = f"the axis {axis.name}", notes_of(filled)
        return known

    def _nodes(self, settings: Json) -> dict[str, Node]:
        """What each key of the spec is made from, templates and all."""
        given = Given(None, [], self.recompiled.sources.current)
        scope = Scope(self.recompiled.workflow, self.definer, given)
        parts = Keys(scope, self.task, settings).parts()
        nodes = {key: entry.value for key, entry in self.task.node.entries.items()}
        return nodes | {part.key: part.node for part in parts if part.node is not None}

    def _fill(self, node: Node) -> Node:
        return substitute(node, self.bindings).node

    def _key(self, key: str, value: Json) -> Iterator[Leaf]:
        """The leaves of one key of the spec."""
        node = self.nodes.get(key)
        place = f"{self.task.kind}.{key}"
        evaluates = self.task.kind == "evaluate" and key == "outputs"
        if node is None and key in self.task.axes:
            node = self.task.axes[key].fill(self.cell["axes"][key])
            yield from self.walk.leaves(key, value, node, place)
        elif node is None:
            yield from self._unwritten(key, value)
        elif key in DEFINED or evaluates:
            yield from self._defined(key, value, self._fill(node))
        else:
            refers = key in {item.key for item in self.task.references}
            for leaf in self.walk.leaves(key, value, self._fill(node), place):
                named = refers and not leaf.path.endswith(".cell")
                yield within(leaf, (OF_CELL,)) if named else leaf

    def _unwritten(self, key: str, value: Json) -> Iterator[Leaf]:
        """The leaves of a key that the task does not have."""
        if key == "benchmark":
            entry = find(self.settings, ("torch.Training", "disable_benchmark"))
            default = self.walk.default("settings.torch.Training.disable_benchmark")
            origin = default
            if entry is not None:
                origin = self.walk.written(entry.value, tuple(replaced(entry)))
            step = Step("true unless the setting disable_benchmark is")
            yield within(Leaf(key, value, origin), (step,))
        elif key == "name":
            name = self.recompiled.root.get("name")
            origin = self.walk.written(name) if name else Origin(None, "")
            yield within(Leaf(key, value, origin), (Step("the workflow's name"),))
        elif key in task_schema(self.task.kind)["properties"]:
            yield from self.walk.leaves(key, value, None, f"{self.task.kind}.{key}")
        else:
            yield Leaf(key, value, Origin(None, "made from the other keys of the task"))

    def _output(self) -> Iterator[Leaf]:
        """The folder: what the task says, below a base, and the axes that it does not name."""
        entry = self.task.node.entries.get("output")
        names = Origin(None, "the names of the workflow and the task")
        origin = self.walk.written(self._fill(entry.value)) if entry else names
        found = find(self.settings, ("IO", "output"))
        base = found.value if found else None
        start, span = str(self.recompiled.sources.current), None
        if isinstance(base, Scalar) and base.value is not None:
            start, span = f"{base.text}, the setting IO", base.span
        step = Step(f"relative paths start from {start}", span)
        yield within(Leaf("output", self.cell["output"], origin), (step,))

    def _defined(self, key: str, value: Json, node: Node) -> Iterator[Leaf]:
        """The leaves of datasets, of a classifier, or of what one says to write."""
        items = node.items if isinstance(node, Sequence) else (node,)
        kind = DEFINED.get(key, "classifier")
        uses = [self.definer.resolve(kind, item) for item in items]
        if kind == "classifier" and uses[0] is not None:
            yield from self._classifier(key, value, uses[0])
        for number, (use, spec) in enumerate(zip(uses, value, strict=False)):
            bound = None
            if use is not None and kind == "dataset":
                bound = self.definer.bind_dataset(use, self.bindings)
            if bound is not None:
                walk = self._walk(bound.use, self.recompiled.workflow.datasets)
                path = f"{key}.{number}"
                yield from DatasetTrace(self.recompiled, walk, bound, spec, path).leaves()

    def _classifier(self, key: str, value: Json, use: Use) -> Iterator[Leaf]:
        node = self.definer.bind_classifier(use, self.bindings)
        walk = self._walk(use, self.recompiled.workflow.classifiers)
        if key != "classifier":
            found = find(node, (key,))
            above = tuple(replaced(found)) if found else ()
            written = found.value if found else None
            yield from walk.leaves(key, value, written, f"classifier.{key}", above)
            return
        yield Leaf("classifier.name", use.name, Origin(use.span, used=walk.used))
        rest = {name: item for name, item in value.items() if name != "name"}
        yield from walk.leaves(key, rest, node, key)

    def _walk(self, use: Use, definitions: Mapping[str, Definition]) -> Walk:
        """A walk that knows the parameters of a definition, and what it extends."""
        definition = definitions.get(use.name)  # none, where it is written in place
        known: Known = {}
        steps: list[Step] = []
        while definition is not None and len(steps) <= len(definitions):
            steps.append(Step(f"{definition.name}, defined", definition.span))
            declared = definition.node.get("parameters")
            for span, said in known_parameters(use.bindings, declared, definition.name).items():
                known[span] = said if said[0] != BY_USE else known.get(span, said)
            base = definition.node.get("extends")
            definition = definitions.get(base.text) if isinstance(base, Scalar) else None
        return Walk(Expansions(self.known | known), (*steps, Step("used", use.span)))


def known_parameters(bindings: Mapping[str, Binding], declared: Node | None, whose: str) -> Known:
    """Where parameters got their values: by place, what gave them, and the notes of the value.

    ``whose`` is the definition that declares them, "" for the workflow.
    """
    known: Known = {}
    for name, binding in bindings.items():
        entry = declared.entries.get(name) if isinstance(declared, MappingNode) else None
        if binding.origin is None:
            continue
        if entry is not None and _lies_in(binding.origin, entry.value.span):
            kind = f"default of {whose}" if whose else "default"
        elif binding.origin.file == "--param":
            kind = "given by --param"
        else:
            kind = BY_USE if whose else "given by --template"
        known[binding.origin] = kind, notes_of(binding.node)
    return known


def _lies_in(inner: Span, outer: Span) -> bool:
    """Whether a span lies in another one."""
    if inner.source is not outer.source:
        return False
    start = (outer.line, outer.column) <= (inner.line, inner.column)
    return start and (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)
