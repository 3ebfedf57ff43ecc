"""The keys of a task made concrete: templates filled and types checked again, point by point.

In comes a task, out come the values of its keys. Each is made once for each place on the axes that
it draws on, and is shared from then on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from .defaults import WORKFLOW, fill_defaults, take_texts, task_schema
from .diagnostics import Diagnostic, show
from .execution import execution_keys
from .folders import absolute_path, join_output, refuse_folder
from .grid import Grid
from .made import Made, Part, Place
from .nodes import Entry, Node, Scalar, Sequence, to_plain, without
from .nodes import Mapping as MappingNode
from .parameters import DEFERRED, Binding
from .pattern import ByPlace
from .ranges import range_of
from .rebinding import reach, rebind
from .schema import shipped_check, validate
from .scope import Scope
from .splice import splice_folders
from .template import names_in, node_of, substitute, write_literally
from .uses import Use, merge_nodes
from .values import AxisValue, Json
from .words import inputs_and_outputs, refuse_output, split_word
from .workflow import Task

CLASSIFIER: Final = "classifier.schema.json"
FAILED: Final = object()
RANGES: Final = ("fold_offsets", "only_chunks")
KFOLDS: Final = task_schema("train")["properties"]["kfolds"]["default"]
NOT_IN_SPEC: Final = ("task", "enable", "for", "exclude", "help", "settings")
NOT_FILLED: Final = ("output", "naming")
DEFINED: Final = MappingProxyType({"datasets": "dataset", "classifier": "classifier"})
NAMING_FIELDS: Final = ("name", "uuid", "start", "stop", "tree", "path0", "path1, …")
NAMING_FIELD: Final = re.compile(r"\{(?:name|uuid|start|stop|tree|path[0-9]+)\}")


class Keys:
    """Makes the keys of one task; what is wrong with them goes to the scope.

    ``root`` is the folder of relative outputs; None if there is none.
    """

    def __init__(self, scope: Scope, task: Task, settings: Json) -> None:
        self.scope = scope
        self.task = task
        self.settings = settings
        self.schema = task_schema(task.kind)
        self.left_out = {*NOT_IN_SPEC, *execution_keys(task.kind), "architecture"}
        self._names = inputs_and_outputs(task.node) if task.kind == "command" else {}

    def parts(self) -> list[Part]:
        """The keys that make the spec and the folder: those written, and those an axis fills."""
        references = {item.key for item in self.task.references} | {"inputs"}
        entries = without(self.task.node, *self.left_out, *references).entries
        nodes = {key: entry.value for key, entry in entries.items()} | self._derived()
        if "chunks" in nodes and "chunk_size" in nodes:
            message = "chunks and chunk_size exclude each other"
            key = self.task.node.entries["chunk_size"].key
            note = ("chunks are given here", self.task.node.entries["chunks"].key.span)
            found = Diagnostic("conflicting-keys", message, key.span, notes=(note,))
            self.scope.diagnostics.append(found)
        parts = [self._part(key, node) for key, node in nodes.items()]
        known = self.schema["properties"].keys()
        free = known - self.left_out - references - {*NOT_FILLED, *self.task.node.entries}
        filled = [name for name in self.task.axes if name in free]
        return parts + [Part(name, None, (name,), self._place(name)) for name in filled]

    def absent(self) -> dict[str, Json]:
        """What the spec holds, and the folder is, where the task says nothing."""
        values = fill_defaults({}, WORKFLOW, self.schema)
        values = {key: value for key, value in values.items() if key not in self.left_out}
        match self.task.kind:
            case "cache":
                sized = "chunk_size" in {*self.task.node.entries, *self.task.axes}
                values |= {"chunks": None if sized else 1, "chunk_size": None}
            case "train":
                values["benchmark"] = not self.settings["torch.Training"]["disable_benchmark"]
            case "evaluate":
                values["name"] = self.scope.workflow.name
            case "merge":
                values |= {"name": self.scope.workflow.name, "step": None}
        base = f"{self.scope.workflow.name}/{self.task.name}"
        if "output" not in self.task.node.entries:
            values["output"] = self._join(base, None)
        return values

    def value(self, part: Part, point: Mapping[str, AxisValue], texts: Mapping[str, str]) -> Json:
        """What a key stands for at a point; FAILED after diagnostics."""
        place = tuple([texts[name] for name in part.axes])
        if place not in part.made:
            part.made[place] = self._make(part, point)
        made = part.made[place]
        if made is None:
            return FAILED
        if not made.uses:
            return made.value
        place = tuple([texts[name] for name in made.axes])
        if place not in made.specs:
            made.specs[place] = self._define(part.key, made.uses, point)
        return FAILED if made.specs[place] is None else made.specs[place]

    def check(self, part: Part) -> None:
        """Make a key, and its definitions, unless they draw on what is not known."""
        if part.node is None or self._is_unknown(names_in(part.node)):
            return
        made = self._make(part, {})
        names = {name for use in made.uses for name in use.names()} if made else set()
        if made and made.uses and not self._is_unknown(names):
            self._define(part.key, made.uses, {})

    def _is_unknown(self, names: set[str]) -> bool:
        workflow = self.scope.workflow
        return bool(reach(workflow.bindings, names) & workflow.unknown)

    def values(self, part: Part, grid: Grid) -> ByPlace | None:
        """What a key stands for at all points of a grid; None where each is to be made by itself.

        It is so where an axis fills the key, and its values are right as they are, and for the
        folders that :func:`splice_folders` takes.
        """
        if part.node is None:
            values = self.task.axes[part.key].values
            return values if self._takes(part, values) else None
        names = names_in(part.node) - self.task.axes.keys()
        if part.key != "output" or not isinstance(part.node, Scalar) or self._axes_of(names):
            return None
        node, bindings = part.node, self.scope.workflow.bindings

        def fill(text: str) -> str:
            done = substitute(node._replace(value=text, text=text), bindings, DEFERRED)
            return done.node.text if isinstance(done.node, Scalar) else ""

        return splice_folders(
            node.text, self.task.axes, grid, fill, lambda text: self._join(text, node)
        )

    def _takes(self, part: Part, values: Iterable[AxisValue]) -> bool:
        check = shipped_check(part.schema, bound=True)
        return part.key not in RANGES and all(map(check, values))

    def _part(self, key: str, node: Node) -> Part:
        names = names_in(node)
        if key == "fold_offsets":
            names |= names_in(self.task.node.get("kfolds") or node) | {"kfolds"}
        return Part(key, node, self._axes_of(names), self._place(key))

    def _place(self, key: str) -> str:
        """The schema of what a key is made of."""
        kind = self.task.kind
        if kind == "evaluate" and key == "outputs":
            read = any(reference.results for reference in self.task.references)
            return CLASSIFIER if read else f"{WORKFLOW}#/$defs/train/properties/classifier"
        key = "inputs" if key == "files" else key
        return f"{WORKFLOW}#/$defs/{kind}/properties/{key}"

    def _derived(self) -> dict[str, Node]:
        """Keys that are made of several: the classifier with changes to it, as a use of it.

        What an evaluation writes is said by the classifier of its models, and by its own key.
        """
        if self.task.kind == "command":
            return {"files": self._files()}
        changes = {"train": "architecture", "evaluate": "outputs"}
        key = changes.get(self.task.kind)
        if key is None:
            return {}
        node = self.task.node.get("classifier") if key == "architecture" else self._trained()
        entry = self.task.node.entries.get(key)
        if node is None:
            return {}
        if entry is not None:
            node = _with_change(node, entry)
        return {"classifier" if key == "architecture" else key: node}

    def _trained(self) -> Node | None:
        """The classifier of the task or of the results that an evaluation takes its models from."""
        for reference in self.task.references:
            if reference.results:
                classifier = reference.results[0].spec["classifier"]
                kept = {key: value for key, value in classifier.items() if key != "name"}
                return node_of(write_literally(kept), reference.node.span, ())
            for task in self.scope.workflow.tasks:
                if task.name == reference.task:
                    return task.node.get("classifier")
        return None

    def _files(self) -> MappingNode:
        """The inputs of a command that are files, by name."""
        inputs = self.task.node.get("inputs")
        if not isinstance(inputs, MappingNode):
            return MappingNode({}, self.task.span)
        tasks = {item.node.text for item in self.task.references}
        found: dict[str, Entry] = {}
        for name, entry in inputs.items():
            value = entry.value
            items = value.items if isinstance(value, Sequence) else (value,)
            files = tuple(
                item for item in items if isinstance(item, Scalar) and item.text not in tasks
            )
            if files:
                found[name] = entry._replace(value=Sequence(files, value.span))
        return inputs.replace(found)

    def _make(self, part: Part, point: Mapping[str, AxisValue]) -> Made | None:
        """A key filled and checked at a point; None after diagnostics."""
        if part.node is None and self._takes(part, (point[part.key],)):
            return Made(point[part.key])
        node = self._fill(part, point)
        if node is None:
            return None
        node = take_texts(node, part.schema)
        problems = validate(node, part.schema, bound=True, key=part.key)
        self.scope.diagnostics += problems
        return None if problems else self._made(part.key, node, point)

    def _made(self, key: str, node: Node, point: Mapping[str, AxisValue]) -> Made | None:
        """What a key that passes its schema stands for; None after diagnostics."""
        if self.task.kind == "command" and key in ("command", "outputs"):
            return self._made_command(key, node)
        if key == "files":
            return Made({name: self._paths(each.value) for name, each in _items(node)})
        if key in DEFINED or key == "outputs":
            return self._resolve(DEFINED.get(key, "classifier"), node)
        if key == "output":
            return self._make_output(node)
        if key in RANGES:
            return self._make_range(key, node, point)
        if key == "naming" and not self._is_naming(node):
            return None
        if isinstance(node, Scalar):
            return Made(node.value)
        return Made(fill_defaults(to_plain(node), WORKFLOW, self.schema["properties"][key]))

    def _fill(self, part: Part, point: Mapping[str, AxisValue]) -> Node | None:
        if part.node is None:
            return self.task.axes[part.key].fill(point[part.key])
        bindings = self._bindings(point)
        if part.key == "command":
            bindings |= self._names
        done = substitute(part.node, bindings, DEFERRED if part.key == "output" else ())
        self.scope.used |= done.used - self.task.axes.keys() - self._names.keys()
        self.scope.diagnostics += done.diagnostics
        return None if done.diagnostics else done.node

    def _bindings(self, point: Mapping[str, AxisValue]) -> dict[str, Binding]:
        axes = {name: self.task.axes[name].bind(value) for name, value in point.items()}
        return rebind(self.scope.workflow.bindings, axes)

    def _axes_of(self, names: set[str]) -> Place:
        """The axes that names stand for, themselves or through the values of parameters."""
        reached = reach(self.scope.workflow.bindings, names)
        return tuple(name for name in self.task.axes if name in reached)

    def _made_command(self, key: str, node: Node) -> Made | None:
        """The words of a command line in pieces, or the outputs' paths."""
        if isinstance(node, Sequence) and key == "command":
            words = [item.text for item in node.items if isinstance(item, Scalar)]
            return Made([split_word(word) for word in words])
        wrong = False
        for _, entry in _items(node):
            problem = refuse_output(entry.value)
            self.scope.diagnostics += [problem] if problem else []
            wrong |= problem is not None
        return None if wrong else Made(to_plain(node))

    def _resolve(self, kind: str, node: Node) -> Made | None:
        """The definitions that a key uses, and the axes that they draw on."""
        items = node.items if isinstance(node, Sequence) else (node,)
        found = [self.scope.definer.resolve(kind, item) for item in items]
        uses = tuple(use for use in found if use is not None)
        names = {name for use in uses for name in use.names()}
        axes = self._axes_of(names)
        # Those that are there are checked, even if another one is not and there will be no plan.
        return Made(None, uses, axes) if uses else None

    def _define(self, key: str, uses: tuple[Use, ...], point: Mapping[str, AxisValue]) -> Json:
        """The specs that definitions make at a point; None after diagnostics."""
        bindings = self._bindings(point)
        definer = self.scope.definer
        if key == "datasets":
            return definer.datasets(uses, bindings)
        classifier = definer.classifier(uses[0], bindings)
        return classifier["outputs"] if classifier and key == "outputs" else classifier

    def _paths(self, node: Node) -> list[str]:
        """Files by their absolute paths; relative ones start from the file they are written in."""
        items = node.items if isinstance(node, Sequence) else (node,)
        folder = self.scope.definer.folder(node.span)
        return [absolute_path(item.text, folder) for item in items if isinstance(item, Scalar)]

    def _make_output(self, node: Node) -> Made | None:
        text = node.text if isinstance(node, Scalar) else ""
        wrong = refuse_folder(text)
        if wrong:
            self._error(wrong.code, f'"output" {wrong.reason}', node)
        self.scope.outputs[self.task.name] = node
        return None if wrong else Made(self._join(text, node))

    def _make_range(self, key: str, node: Node, point: Mapping[str, AxisValue]) -> Made | None:
        """Numbers in increasing order, so that they are the same however they are written."""
        if isinstance(node, Scalar) and node.value is None:
            return Made(None)
        values = range_of(node)
        wrong = [item for item in values if isinstance(item, Diagnostic)]
        self.scope.diagnostics += wrong
        if wrong or (key == "fold_offsets" and not self._are_folds(values, node, point)):
            return None
        return Made(sorted(value for value in values if isinstance(value, int)))

    def _are_folds(
        self, values: Iterable[object], node: Node, point: Mapping[str, AxisValue]
    ) -> bool:
        """Whether the folds to train are below ``kfolds``."""
        written = self.task.node.get("kfolds")
        filled = substitute(written, self._bindings(point)).node if written else None
        kfolds = filled.value if isinstance(filled, Scalar) else point.get("kfolds", KFOLDS)
        beyond = [value for value in values if isinstance(value, int) and isinstance(kfolds, int)]
        if beyond and max(beyond) >= int(kfolds or 0):
            message = f"there is no fold {max(beyond)}: kfolds is {kfolds}, they count from 0"
            items = node.items if isinstance(node, Sequence) else ()
            last = [item for item in items if to_plain(item) == max(beyond)]
            self._error("fold-beyond-kfolds", message, last[0] if last else node)
            return False
        return True

    def _join(self, text: str, node: Node | None) -> str:
        """An absolute folder; a relative one lies below IO.output, if that is not null."""
        base = self.settings["IO"]["output"]
        folder = join_output(self.scope.given.current, base or "", text)
        if base is None and not text.startswith(("/", "~")) and "://" not in text:
            message = f'"{self.task.name}" has no absolute output, and IO.output is null'
            span = node.span if node else self.task.span
            help = "give it an absolute output, or leave IO.output out"
            notes = node.notes if node else ()
            self.scope.diagnostics.append(Diagnostic("no-output", message, span, help, notes))
        return folder

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

    def _error(self, code: str, message: str, node: Node, help: str | None = None) -> None:
        self.scope.diagnostics.append(Diagnostic(code, message, node.span, help, node.notes))


def _items(node: Node) -> Iterator[tuple[str, Entry]]:
    """The entries of a mapping; anything else has none."""
    yield from node.items() if isinstance(node, MappingNode) else ()


def _with_change(use: Node, change: Entry) -> Node:
    """A use of a classifier with one of its keys changed, over what the use changes itself."""
    key = change.key.text
    entries: Mapping[str, Entry] = {"use": Entry(Scalar("use", "use", False, use.span), use)}
    if isinstance(use, MappingNode) and "use" not in use.entries:
        return merge_nodes(use, MappingNode({key: change}, change.key.span))
    base = use if isinstance(use, MappingNode) else MappingNode(entries, use.span)
    before = base.get(key)
    if isinstance(before, MappingNode) and isinstance(change.value, MappingNode):
        entries = {**before.entries, **change.value.entries}
        change = Entry(change.key, change.value.replace(entries))
    return base.replace({**base.entries, key: change})
