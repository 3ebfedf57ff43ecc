"""Where the values of a job come from: a bundle and a job in, the origin of each leaf out.

The bundle's sources are parsed and bound again, with their places; nothing else is read, so that
this holds after the files changed, and on another machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..archive import load_sources
from ..definitions import BoundDataset, Definer
from ..diagnostics import Diagnostic, Note, Span, errors_of, suggest
from ..folders import expand_home
from ..keys import DEFINED
from ..nodes import Mapping as MappingNode
from ..nodes import Node, Scalar, Sequence
from ..parameters import Binding
from ..parse import Document, read_document
from ..phases import Phases
from ..settings import merge_settings, read_given
from ..sources import SELECT
from ..template import substitute
from ..uses import Use
from ..values import Json
from ..workflow import Task
from .jobs import BundleError
from .origins import Expansions, Leaf, Origin, Step, Walk, defined, notes_of, within

EXECUTED: Final = ("cpus", "memory_mb", "gpus")
OF_DATASET: Final = Step("of the dataset, for all its samples")
OF_CELL: Final = Step("of the cell that is named there")


class Recompiled:
    """What a bundle was made from, parsed and bound again; raises :class:`BundleError`."""

    def __init__(self, folder: Path) -> None:
        try:
            request, files = load_sources(folder)
        except OSError as error:
            raise BundleError(
                f"{error.filename}: {error.strerror}: compile the workflow again"
            ) from error
        except ValueError as error:
            raise BundleError(str(error)) from error
        self._files = files
        self._listings: dict[Path, Document] = {}
        phases = Phases(request, files)
        root = phases.parse()
        if root is None:
            raise BundleError(_refused(folder, phases.findings()))
        broken = phases.validate()
        bindings = phases.bind(root)
        self.root = root
        self.sources = phases.sources
        self.workflow = phases.lower(root, bindings, broken)
        self.definer = Definer(phases.sources, self.workflow, phases.environment)
        self.given, _ = read_given(request.settings)
        found = errors_of(phases.findings())
        if found:
            raise BundleError(_refused(folder, found))

    def listed(self, text: str, base: Path) -> Iterator[Step]:
        """Where each of the names stands that ``FILE@@KEY`` selects; none for another text."""
        name, select, keys = text.partition(SELECT)
        path = base / expand_home(name)
        if not select:
            return
        if path not in self._listings:
            self._listings[path] = read_document(path, self.sources.display(path), self._files)[0]
        node = self._listings[path].root
        for key in keys.split("."):
            node = node.get(key) if isinstance(node, MappingNode) else None
        shown = f"listed in {self.sources.display(path)} as {keys}"
        items = node.items if isinstance(node, Sequence) else itertools.repeat(None)
        for item in items:
            yield Step(f"listed as {keys}", item.span) if item else Step(shown)

    def trace(self, job: Json, cell: Json) -> list[Leaf]:
        """The leaves of a cell and of how its job runs; raises :class:`BundleError`."""
        tasks = {task.name: task for task in self.workflow.tasks}
        if job["name"] not in tasks:
            raise BundleError(f'the sources of the bundle have no task "{job["name"]}"')
        return list(_Trace(self, tasks[job["name"]], cell).leaves(job))


def _refused(folder: Path, found: list[Diagnostic]) -> str:
    message = found[0].message if found else "they are empty"
    return f"{folder}: this hcrc does not compile the bundle's sources: {message}"


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
        self.bindings: dict[str, Binding] = {**workflow.bindings, **axes}
        self.walk = Walk(Expansions(self._known()))
        self.settings = self._settings()

    def leaves(self, job: Json) -> Iterator[Leaf]:
        """All leaves: folder, axes, spec, execution."""
        yield from self._output()
        for name, value in self.cell["axes"].items():
            axis = self.task.axes[name]
            yield Leaf(f"axes.{name}", value, self.walk.written(self._fill(axis.node)))
        for key, value in self.cell["spec"].items():
            yield from self._key(key, value)
        yield from self._execution(job["execution"])

    def _known(self) -> dict[Span, tuple[str, tuple[Note, ...]]]:
        """Where parameters, axes and years got their values."""
        known: dict[Span, tuple[str, tuple[Note, ...]]] = {}
        declared = self.recompiled.root.get("parameters")
        for name, binding in self.recompiled.workflow.bindings.items():
            entry = declared.entries.get(name) if isinstance(declared, MappingNode) else None
            if binding.origin is not None:
                inside = entry is not None and _lies_in(binding.origin, entry.value.span)
                kind = "default" if inside else "given by --template"
                kind = "given by --param" if binding.origin.file == "--param" else kind
                known[binding.origin] = kind, notes_of(binding.node)
        for axis in self.task.axes.values():
            filled = substitute(axis.node, self.recompiled.workflow.bindings).node
            known[axis.node.span] = f"the axis {axis.name}", notes_of(filled)
        return known

    def _fill(self, node: Node) -> Node:
        return substitute(node, self.bindings).node

    def _settings(self) -> MappingNode | None:
        layers = [self.recompiled.root.get("settings"), self.task.node.get("settings")]
        merged = merge_settings([*layers, *self.recompiled.given])
        filled = self._fill(merged) if merged else None
        return filled if isinstance(filled, MappingNode) else None

    def _key(self, key: str, value: Json) -> Iterator[Leaf]:
        """The leaves of one key of the spec."""
        entry = self.task.node.entries.get(key)
        if entry is None and key in self.task.axes:
            node: Node = self.task.axes[key].fill(self.cell["axes"][key])
            yield from self.walk.leaves(key, value, node, key)
        elif key in DEFINED and entry is not None:
            yield from self._defined(key, value, self._fill(entry.value))
        elif entry is not None:
            refers = key in {item.key for item in self.task.references}
            place = f"{self.task.kind}.{key}"
            for leaf in self.walk.leaves(key, value, self._fill(entry.value), place):
                named = refers and not leaf.path.endswith(".cell")
                yield within(leaf, (OF_CELL,)) if named else leaf
        elif key == "benchmark":
            leaf = self._setting(key, value, "torch.Training", "disable_benchmark")
            yield within(leaf, (Step("true unless the setting disable_benchmark is"),))
        elif key == "name":
            name = self.recompiled.root.get("name")
            origin = self.walk.written(name) if name else Origin(None, "the workflow's name")
            yield within(Leaf(key, value, origin), (Step("the workflow's name"),))
        else:
            yield from self.walk.leaves(key, value, None, f"{self.task.kind}.{key}")

    def _setting(self, path: str, value: Json, group: str, name: str) -> Leaf:
        node = self.settings.get(group) if self.settings else None
        chosen = node if isinstance(node, MappingNode) else MappingNode({}, self.task.span)
        place = f"settings.{group}"
        leaf = next(self.walk.leaves(path, {name: value}, chosen, place))
        return Leaf(path, value, leaf.origin)

    def _output(self) -> Iterator[Leaf]:
        """The folder: what the task says, below a base, and the axes that it does not name."""
        entry = self.task.node.entries.get("output")
        names = Origin(None, "the names of the workflow and the task")
        origin = self.walk.written(self._fill(entry.value)) if entry else names
        steps = []
        group = self.settings.get("IO") if self.settings else None
        base = group.get("output") if isinstance(group, MappingNode) else None
        current = f"relative paths start from {self.recompiled.sources.current}"
        if isinstance(base, Scalar):
            steps.append(Step(f"relative paths start from {base.text}, the setting IO", base.span))
        else:
            steps.append(Step(current))
        yield within(Leaf("output", self.cell["output"], origin), tuple(steps))

    def _execution(self, execution: Json) -> Iterator[Leaf]:
        node = self.task.node.get("resources")
        resources = self._fill(node) if node else MappingNode({}, self.task.span)
        kind = self.task.kind
        for key, value in execution.items():
            path = f"execution.{key}"
            if key in EXECUTED:
                name = key.removesuffix("_mb")
                found = resources.get(name) if isinstance(resources, MappingNode) else None
                place = f"{kind}.resources.{name}"
                origin = self.walk.written(found) if found else self.walk.default(place)
                yield Leaf(path, value, origin)
            elif key == "batch_eval":
                yield self._setting(path, value, "torch.DataLoader", key)
            else:
                yield Leaf(path, value, Origin(None, "chosen when the job runs"))

    def _defined(self, key: str, value: Json, node: Node) -> Iterator[Leaf]:
        """The leaves of datasets, or of a classifier."""
        items = node.items if isinstance(node, Sequence) else (node,)
        uses = [self.definer.resolve(DEFINED[key], item) for item in items]
        if key == "classifier" and uses[0] is not None:
            yield from self._classifier(value, uses[0])
            return
        for number, (use, spec) in enumerate(zip(uses, value, strict=False)):
            bound = self.definer.bind_dataset(use, self.bindings) if use else None
            if bound is not None:
                yield from _Dataset(self, bound, spec, f"{key}.{number}").leaves()

    def _classifier(self, value: Json, use: Use) -> Iterator[Leaf]:
        node = self.definer.bind_classifier(use, self.bindings)
        definition = self.recompiled.workflow.classifiers[use.name]
        walk = Walk(self.walk.expansions, defined(definition, use.span))
        yield Leaf("classifier.name", use.name, Origin(use.span, used=walk.used))
        rest = {name: item for name, item in value.items() if name != "name"}
        yield from walk.leaves("classifier", rest, node, "classifier")


class _Dataset:
    """One dataset of a cell: its spec beside the nodes that it was made from."""

    def __init__(self, trace: _Trace, bound: BoundDataset, spec: Json, path: str) -> None:
        definition = trace.recompiled.workflow.datasets[bound.use.name]
        self.trace = trace
        self.bound = bound
        self.spec = spec
        self.path = path
        self.walk = Walk(trace.walk.expansions, defined(definition, bound.use.span))

    def leaves(self) -> Iterator[Leaf]:
        """The leaves of the dataset, then those of each sample at a year."""
        head, path = self.bound.head, self.path
        yield Leaf(
            f"{path}.name", self.spec["name"], Origin(self.bound.use.span, used=self.walk.used)
        )
        base = head.get("base")
        file = Origin(None, f"the folder of {head.span.file}", used=self.walk.used)
        yield Leaf(f"{path}.base", self.spec["base"], self.walk.written(base) if base else file)
        rest = {key: self.spec[key] for key in ("tree", "norm", "max_workers")}
        yield from self.walk.leaves(path, rest, head, "dataset")
        for number, (item, (year, node)) in enumerate(
            zip(self.spec["samples"], self.bound.samples, strict=False)
        ):
            yield from self._sample(f"{path}.samples.{number}", item, year, node)

    def _sample(self, path: str, spec: Json, year: str, node: Node) -> Iterator[Leaf]:
        if not isinstance(node, MappingNode):
            return
        for key, value in spec.items():
            where = f"{path}.{key}"
            if key == "year":
                yield Leaf(where, value, self.walk.written(_year(node, year)))
            elif key == "files":
                yield from self._files(where, value, node)
            elif key in node.entries:
                one = {key: value}
                yield from self.walk.leaves(path, one, node, "dataset.samples[]")
            else:
                shared = (OF_DATASET,) if key in self.bound.head.entries else ()
                for leaf in self.walk.leaves(path, {key: value}, self.bound.head, "dataset"):
                    yield within(leaf, shared)

    def _files(self, path: str, names: list[str], node: MappingNode) -> Iterator[Leaf]:
        """Each file, and where in another file it is listed."""
        base = Path(self.spec["base"])
        listed: dict[Scalar, Iterator[Step]] = {}
        for number, (name, item) in enumerate(self.trace.definer.files(node, base)):
            value = names[number] if number < len(names) else name
            leaf = Leaf(f"{path}.{number}", value, self.walk.written(item))
            if item not in listed:
                listed[item] = self.trace.recompiled.listed(item.text, base)
            yield within(leaf, tuple(itertools.islice(listed[item], 1)))


def _year(sample: MappingNode, year: str) -> Node:
    years = sample.get("years")
    items = years.items if isinstance(years, Sequence) else ()
    found = [item for item in items if isinstance(item, Scalar) and item.text == year]
    return found[0] if found else (years or sample)


def _lies_in(inner: Span, outer: Span) -> bool:
    """Whether a span lies in another one."""
    if inner.source is not outer.source:
        return False
    start = (outer.line, outer.column) <= (inner.line, inner.column)
    return start and (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)
