"""Definitions: named datasets and classifiers, merged with what a use overrides, made concrete.

In come nodes of the workflow and its includes, out come the dataset and classifier specs of
``schemas/job.schema.json``, or Diagnostics at the places that are wrong.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from .defaults import fill_defaults
from .diagnostics import Diagnostic, Note, Span, suggest
from .nodes import Entry, Node, Scalar, Sequence, span_within, to_plain
from .nodes import Mapping as MappingNode
from .parameters import Binding
from .parse import Document
from .plan import Json
from .schema import validate
from .sources import SELECT, Sources
from .template import substitute
from .workflow import Definition, Workflow

YEAR: Final = "year"
PER_SAMPLE: Final = ("friends", "selection", "weight")
RESERVED_OUTPUTS: Final = ("q_1234", "q_1324", "q_1423")


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
    for key, entry in over.entries.items():
        if isinstance(entry.value, Scalar) and entry.value.value is None:
            entries.pop(key, None)
        elif key in entries:
            entries[key] = Entry(entry.key, merge_nodes(entries[key].value, entry.value))
        else:
            entries[key] = entry
    return base.replace(entries)


def without(node: MappingNode, *keys: str) -> MappingNode:
    """The mapping but for some of its keys."""
    entries = {key: entry for key, entry in node.entries.items() if key not in keys}
    return node.replace(entries)


class Definer:
    """Makes uses of definitions concrete; ``diagnostics`` and ``used`` gather on the way.

    ``used`` holds the names of the parameters and axes that the definitions drew on.
    """

    def __init__(self, sources: Sources, workflow: Workflow) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.used: set[str] = set()
        self._sources = sources
        self._broken = workflow.broken
        self._definitions = {"dataset": workflow.datasets, "classifier": workflow.classifiers}

    def classifier(self, use: Node, bindings: Mapping[str, Binding]) -> Json:
        """The classifier spec of a use; None after diagnostics."""
        name, node = self._resolve("classifier", use)
        node = self._bind(node, bindings)
        if node is None or self._invalid(node, "classifier.schema.json"):
            return None
        self._check_classes(node)
        plain = fill_defaults(to_plain(node), "classifier.schema.json")
        return {"name": name, **{key: plain[key] for key in plain if key != "help"}}

    def dataset(self, use: Node, bindings: Mapping[str, Binding]) -> Json:
        """The dataset spec of a use, its samples one a year; None after diagnostics."""
        name, node = self._resolve("dataset", use)
        raw = node.get("samples") if node is not None else None
        if node is None or not isinstance(raw, Sequence):
            return None
        head = self._bind(without(node, "samples"), bindings)
        samples = [year for item in raw.items for year in self._years(item, bindings)]
        if head is None or any(sample is None for sample in samples):
            return None
        key = node.entries["samples"].key
        items = tuple(sample for sample in samples if sample is not None)
        entries = {**head.entries, "samples": Entry(key, replace(raw, items=items))}
        whole = head.replace(entries)
        return None if self._invalid(whole, "dataset.schema.json") else self._spec(name, whole)

    def _resolve(self, kind: str, use: Node) -> tuple[str, MappingNode | None]:
        """The name that a use gives, and its definition with the overrides, templates and all."""
        name = use.get("use") if isinstance(use, MappingNode) else use
        if not isinstance(name, Scalar):
            return "", None
        definition = self._definitions[kind].get(name.text)
        if definition is None and name.text in self._broken:
            return name.text, None
        if definition is None:
            message = f'there is no {kind} "{name.text}"'
            help = suggest(name.text, self._definitions[kind])
            self._error(f"unknown-{kind}", message, name.span, help, name.notes)
            return name.text, None
        node: Node = definition.node
        if isinstance(use, MappingNode):
            node = merge_nodes(node, without(use, "use"))
        return name.text, node if isinstance(node, MappingNode) else None

    def _bind(self, node: Node | None, bindings: Mapping[str, Binding]) -> MappingNode | None:
        """The node with its templates filled; None after diagnostics."""
        if node is None:
            return None
        done = substitute(node, bindings)
        self.diagnostics += done.diagnostics
        self.used |= done.used
        bound = done.node
        return bound if isinstance(bound, MappingNode) and not done.diagnostics else None

    def _invalid(self, node: MappingNode, schema: str) -> bool:
        problems = validate(node, schema, bound=True)
        self.diagnostics += problems
        return bool(problems)

    def _years(self, sample: Node, bindings: Mapping[str, Binding]) -> Iterable[MappingNode | None]:
        """The sample once for each of its years, with ``{year}`` filled."""
        years = sample.get("years") if isinstance(sample, MappingNode) else None
        if not isinstance(sample, MappingNode) or years is None:
            return [self._bind(sample, bindings)]
        done = substitute(years, bindings)
        self.used |= done.used
        if done.diagnostics or not isinstance(done.node, Sequence) or not done.node.items:
            return [self._bind(sample, bindings)]
        rest = without(sample, "years")
        entry = sample.entries["years"]
        found = []
        for item in done.node.items:
            value = item.text if isinstance(item, Scalar) else None
            bound = self._bind(rest, {**bindings, YEAR: Binding(value, item, item.span)})
            entries = {"years": Entry(entry.key, replace(done.node, items=(item,)))}
            found.append(bound and bound.replace({**bound.entries, **entries}))
        return found

    def _spec(self, name: str, node: MappingNode) -> Json:
        plain = fill_defaults(to_plain(node), "dataset.schema.json")
        self._check_expressions(node)
        base = self._base(node)
        samples = node.get("samples")
        nodes = samples.items if isinstance(samples, Sequence) else ()
        return {
            "name": name,
            "base": str(base),
            "tree": plain["tree"],
            "samples": [
                self._sample(item, {key: plain[key] for key in PER_SAMPLE} | sample, base)
                for item, sample in zip(nodes, plain["samples"], strict=True)
                if isinstance(item, MappingNode)
            ],
            "norm": plain["norm"],
        }

    def _sample(self, node: MappingNode, plain: Json, base: Path) -> Json:
        self._check_expressions(node)
        return {
            "sample": plain["sample"],
            "year": plain["years"][0],
            "label": plain["label"],
            "files": self._files(node.entries["files"].value, base),
            "friends": plain["friends"],
            "selection": plain["selection"],
            "weight": plain["weight"],
        }

    def _base(self, node: MappingNode) -> Path:
        """The folder that a dataset's relative paths start from, absolute."""
        base = node.get("base")
        if not isinstance(base, Scalar):
            return self._sources.folder(node.span)
        folder = self._sources.folder(base.span) / Path(base.text).expanduser()
        return Path(os.path.normpath(folder))

    def _files(self, node: Node, base: Path) -> list[str]:
        """Names of files, relative to the base as they are written."""
        items = node.items if isinstance(node, Sequence) else (node,)
        names: list[str] = []
        for item in items:
            if isinstance(item, Scalar) and SELECT in item.text:
                names += self._sources.select(item, item.text, base)
            elif isinstance(item, Scalar):
                names.append(item.text)
        if not items:
            self._error("bad-value", "a sample without files", node.span, notes=node.notes)
        return [name if "://" in name else os.path.normpath(name) for name in names]

    def _check_expressions(self, node: MappingNode) -> None:
        for key in ("selection", "weight"):
            value = node.get(key)
            if isinstance(value, Scalar) and isinstance(value.value, str):
                self._check_expression(value)

    def _check_expression(self, node: Scalar) -> None:
        try:
            ast.parse(node.text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = getattr(error, "msg", None) or str(error)
            start = max((getattr(error, "offset", 1) or 1) - 1, 0)
            span = span_within(node, start, start + 1)
            message = f'"{node.text}" is not an expression over branches: {reason}'
            self._error("bad-expression", message, span, notes=node.notes)

    def _check_classes(self, node: MappingNode) -> None:
        """Classes that ROCs and outputs name have to be the classifier's."""
        classes = _texts(node.get("classes"))
        allowed = [item.text for item in classes]
        rocs = node.get("rocs")
        for roc in rocs.items if isinstance(rocs, Sequence) else ():
            if isinstance(roc, MappingNode):
                self._known(_texts(roc.get("positive")) + _texts(roc.get("negative")), allowed)
        outputs = node.get("outputs")
        for name, entry in outputs.entries.items() if isinstance(outputs, MappingNode) else ():
            self._known(_texts(entry.value), allowed)
            if name in (*RESERVED_OUTPUTS, *(f"p_{item}" for item in allowed)):
                message = f'the output "{name}" is there already'
                self._error("duplicate-name", message, entry.key.span)

    def _known(self, names: list[Scalar], allowed: list[str]) -> None:
        for name in names:
            if name.text not in allowed:
                message = f'there is no class "{name.text}"'
                help = suggest(name.text, allowed)
                self._error("unknown-class", message, name.span, help, name.notes)

    def _error(
        self,
        code: str,
        message: str,
        span: Span,
        help: str | None = None,
        notes: tuple[Note, ...] = (),
    ) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, help, notes))


def _texts(node: Node | None) -> list[Scalar]:
    items = node.items if isinstance(node, Sequence) else ()
    return [item for item in items if isinstance(item, Scalar)]
