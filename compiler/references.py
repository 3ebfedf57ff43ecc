"""References of tasks: the names of other tasks, or the paths of results that are there already.

In come the keys of a task that refer, out come TaskReferences; who they lead to is looked up once
all tasks are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from .defaults import task_schema
from .diagnostics import Diagnostic
from .nodes import Mapping as MappingNode
from .nodes import Node, Scalar, Sequence
from .parameters import Binding
from .rebinding import reach
from .results import check_axes, find_results, is_path
from .sources import Sources
from .template import names_in, substitute
from .values import Json
from .workflow import TaskReference

REFERS: Final = "x-refers-to"
INPUTS: Final = "inputs"


class ReferenceReader:
    """Reads references; ``diagnostics`` and the names of parameters ``used`` gather on the way.

    ``tasks`` are the names of all tasks, whether they are right or wrong.
    """

    def __init__(
        self, bindings: Mapping[str, Binding], sources: Sources, tasks: Mapping[str, object]
    ) -> None:
        self.bindings = bindings
        self.sources = sources
        self.tasks = tasks
        self.diagnostics: list[Diagnostic] = []
        self.used: set[str] = set()

    def take_diagnostics(self) -> list[Diagnostic]:
        """What was wrong since the last call."""
        found, self.diagnostics = self.diagnostics, []
        return found

    def read(self, kind: str, node: MappingNode) -> tuple[TaskReference, ...]:
        """The references of a task, in the order of its schema."""
        found: list[TaskReference] = []
        for key, schema in task_schema(kind)["properties"].items():
            value = node.get(key)
            if REFERS in schema and value is not None:
                found += self._references(key, self._fill(value), schema)
            elif key == INPUTS and isinstance(value, MappingNode):
                found += self._inputs(value, node)
        return tuple(found)

    def _fill(self, node: Node) -> Node | None:
        done = substitute(node, self.bindings)
        self.used |= done.used
        self.diagnostics += done.diagnostics
        return None if done.diagnostics else done.node

    def _references(self, key: str, node: Node | None, schema: Json) -> Iterator[TaskReference]:
        gathers = schema.get("x-gathers", False)
        for target, all_cells in targets(node):
            if not is_path(target.text):
                yield TaskReference(key, None, target.text, gathers or all_cells, target)
                continue
            folder = self.sources.folder(target.span)
            found = find_results(target, folder, self.sources.files)
            wrong = [item for item in found if isinstance(item, Diagnostic)]
            results = tuple(item for item in found if not isinstance(item, Diagnostic))
            if results and not gathers:
                wrong += check_axes(results, target)
            self.diagnostics += wrong
            if not wrong:
                yield TaskReference(key, None, "", gathers, target, results)

    def _inputs(self, inputs: MappingNode, task: MappingNode) -> Iterator[TaskReference]:
        """The tasks among the inputs of a command; what else there is are files."""
        for name, entry in inputs.items():
            if is_of_axes(entry.value, task, self.bindings):
                continue
            for target, gathers in targets(self._fill(entry.value)):
                listed = isinstance(entry.value, Sequence)
                if not names_file(target, self.tasks):
                    yield TaskReference(INPUTS, name, target.text, gathers and not listed, target)


def targets(node: Node | None) -> Iterator[tuple[Scalar, bool]]:
    """What a value refers to, each with whether it asks for all cells: ``{all: TASK}``."""
    match node:
        case Scalar():
            yield node, False
        case Sequence():
            yield from ((item, True) for item in node.items if isinstance(item, Scalar))
        case MappingNode():
            every = node.get("all")
            if isinstance(every, Scalar):
                yield every, True


def names_file(node: Scalar, tasks: Mapping[str, object]) -> bool:
    """Whether an input of a command is a file: no task, and written like a path."""
    return node.text not in tasks and ("/" in node.text or "." in node.text)


def is_of_axes(node: Node, task: MappingNode, bindings: Mapping[str, Binding]) -> bool:
    """Whether an input draws on an axis: then it is a file, another one in each cell."""
    span = task.get("for")
    axes = span.entries.keys() if isinstance(span, MappingNode) else ()
    return bool(reach(bindings, names_in(node)) & set(axes))
