"""Uses of definitions: which definition is meant, with what it extends and what the use changes.

In come nodes of the workflow and its includes; out come Uses, or Diagnostics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from .diagnostics import Diagnostic, Note, Span, errors_of, suggest
from .nodes import Entry, Node, Scalar, without
from .nodes import Mapping as MappingNode
from .parameters import Binding, bind, unused_parameters
from .parse import Document
from .template import names_in
from .workflow import Definition, Workflow


def collect_definitions(
    documents: Iterable[Document], section: str
) -> tuple[dict[str, Definition], list[Diagnostic]]:
    """The definitions of a section (``datasets`` or ``classifiers``) of all documents, by name."""
    found: dict[str, Definition] = {}
    diagnostics: list[Diagnostic] = []
    for document in documents:
        node = document.root.get(section) if isinstance(document.root, MappingNode) else None
        for name, entry in node.entries.items() if isinstance(node, MappingNode) else ():
            if name in found:
                note: Note = ("first defined here", found[name].span)
                message = f'{section.removesuffix("s")} "{name}" is defined twice'
                diagnostics.append(
                    Diagnostic("duplicate-name", message, entry.key.span, notes=(note,))
                )
            elif isinstance(entry.value, MappingNode):
                found[name] = Definition(name, entry.value, entry.key.span)
    return found, diagnostics


def merge_nodes(base: Node, over: Node) -> Node:
    """The one merge rule: mappings merge deeply, scalars and lists replace, null removes."""
    if not isinstance(base, MappingNode) or not isinstance(over, MappingNode):
        return over
    entries = dict(base.entries)
    removed = []
    for key, entry in over.entries.items():
        if isinstance(entry.value, Scalar) and entry.value.value is None:
            entries.pop(key, None)
            removed.append((key, entry.key.span))
        elif key in entries:
            before = entries[key]
            merged = merge_nodes(before.value, entry.value)
            entries[key] = Entry(entry.key, merged, before if merged is entry.value else None)
        else:
            entries[key] = entry
    whole = base.replace(entries)
    return whole._replace(removed=(*base.removed, *removed)) if removed else whole


class Use(NamedTuple):
    """A definition with what a use of it changes, templates and all; ``span`` is the use's.

    ``bindings`` are the values of the definition's own parameters.
    """

    name: str
    node: MappingNode
    span: Span
    bindings: Mapping[str, Binding]

    def names(self) -> set[str]:
        """The names in its strings that are not those of its own parameters."""
        return names_in(self.node) - self.bindings.keys()


class Uses:
    """Looks uses up among the definitions of a workflow."""

    def __init__(self, workflow: Workflow, environment: Mapping[str, str], current: Path) -> None:
        self._broken = workflow.broken
        self._environment = environment
        self._current = current
        self._definitions = {"dataset": workflow.datasets, "classifier": workflow.classifiers}
        self._whole: dict[tuple[str, str], MappingNode | None] = {}
        self._diagnostics: list[Diagnostic] = []

    def take_diagnostics(self) -> list[Diagnostic]:
        """What was wrong since the last call."""
        found, self._diagnostics = self._diagnostics, []
        return found

    def resolve(self, kind: str, use: Node) -> Use | None:
        """The dataset or classifier that a use names; None if there is none, or it is wrong.

        A mapping that names none is a definition itself.
        """
        name = use.get("use") if isinstance(use, MappingNode) else use
        if isinstance(use, MappingNode) and name is None:
            return Use(kind, use, use.span, {})
        if not isinstance(name, Scalar):
            return None
        node = self._look_up(kind, name, ())
        if node is None:
            return None
        if isinstance(use, MappingNode):
            changed = merge_nodes(node, without(use, "use", "with"))
            node = changed if isinstance(changed, MappingNode) else node
        bindings = self._bind(node, use.get("with") if isinstance(use, MappingNode) else None)
        if bindings is None:
            return None
        return Use(name.text, without(node, "parameters"), name.span, bindings)

    def _look_up(self, kind: str, name: Scalar, before: tuple[str, ...]) -> MappingNode | None:
        """A definition with all that it extends; ``before`` are those that extend it."""
        definition = self._definitions[kind].get(name.text)
        if name.text in before:
            circle = " → ".join([*before[before.index(name.text) :], name.text])
            message = f"{kind}s extend each other in a circle: {circle}"
            self._diagnostics.append(
                Diagnostic("definition-cycle", message, name.span, None, name.notes)
            )
        elif name.text in self._broken:
            return None
        elif definition is None:
            message = f'there is no {kind} "{name.text}"'
            help = suggest(name.text, self._definitions[kind])
            self._diagnostics.append(
                Diagnostic(f"unknown-{kind}", message, name.span, help, name.notes)
            )
        else:
            if (kind, name.text) not in self._whole:
                self._whole[kind, name.text] = self._extend(kind, definition, before)
            return self._whole[kind, name.text]
        return None

    def _extend(
        self, kind: str, definition: Definition, before: tuple[str, ...]
    ) -> MappingNode | None:
        base = definition.node.get("extends")
        if not isinstance(base, Scalar):
            return definition.node
        found = self._look_up(kind, base, (*before, definition.name))
        if found is None:
            return None
        merged = merge_nodes(found, without(definition.node, "extends"))
        return merged if isinstance(merged, MappingNode) else None

    def _bind(self, node: MappingNode, given: Node | None) -> dict[str, Binding] | None:
        """The values of a definition's own parameters; None after diagnostics."""
        declared = node.get("parameters")
        layers = [given] if isinstance(given, MappingNode) else []
        bindings, problems = bind(declared, layers, self._environment, self._current)
        used = names_in(without(node, "parameters"))
        problems = [_where_used(problem) for problem in problems]
        problems += unused_parameters(declared, used)
        self._diagnostics += problems
        return None if errors_of(problems) else bindings


def _where_used(problem: Diagnostic) -> Diagnostic:
    """What is said of a definition's own parameter: a use gives it, not the command line."""
    if problem.code != "missing-parameter":
        return problem
    return problem._replace(help="give it where the definition is used: {use: NAME, with: {…}}")
