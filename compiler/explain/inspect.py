"""What the datasets of a file would read: a request in, each dataset's spec and columns out.

Definitions are made concrete whether a task uses them or not; no data file is read.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from typing import Final, NamedTuple

from ..definitions import Definer
from ..diagnostics import Diagnostic, Span, errors_of
from ..expressions import read_grammar
from ..files import Disk
from ..nodes import Mapping as MappingNode
from ..nodes import Scalar
from ..parameters import Binding
from ..phases import DEFINITIONS, Phases, Request, check_encoding
from ..rebinding import reach, rebind
from ..shipped import read_schema
from ..uses import Use
from ..values import Json
from ..workflow import Definition, Workflow

YEAR: Final = "year"
HEAD: Final = ("hcrc", "tasks", "parameters")


class Inspected(NamedTuple):
    """A dataset: its spec, or in ``needs`` the parameters that a use has to give it.

    ``point`` says at which values of axes it is shown.
    """

    name: str
    span: Span
    spec: Json
    needs: tuple[str, ...] = ()
    point: str = ""


class Inspection(NamedTuple):
    """The datasets of a file, or what is wrong with it; beside datasets, warnings."""

    datasets: list[Inspected]
    diagnostics: list[Diagnostic]


def inspect_file(request: Request) -> Inspection:
    """The datasets of a workflow, or of a file of definitions, with those that it includes."""
    undecoded = check_encoding(request)
    if undecoded:
        return Inspection([], undecoded)
    phases = Phases(request, Disk())
    root = phases.parse()
    if root is None:
        return Inspection([], phases.findings())
    is_workflow = any(key in root.entries for key in HEAD)
    broken = phases.validate(None if is_workflow else DEFINITIONS)
    bindings = phases.bind(root)
    broken |= phases.unbound(root, bindings)
    workflow = phases.lower(root, bindings, broken)
    definer = Definer(phases.sources, workflow, phases.environment)
    found = [_inspect(name, definer, workflow) for name in workflow.datasets]
    phases.diagnostics += definer.diagnostics
    diagnostics = phases.findings()
    datasets = [each for each in found if each is not None]
    return Inspection([] if errors_of(diagnostics) else datasets, diagnostics)


def _inspect(name: str, definer: Definer, workflow: Workflow) -> Inspected | None:
    """One definition; None after diagnostics."""
    definition = workflow.datasets[name]
    missing = _without_value(name, workflow)
    if missing:
        return Inspected(name, definition.span, None, missing)
    use = definer.resolve("dataset", Scalar(name, name, False, definition.span))
    if use is None:
        return None
    axes = {axis.name: axis for task in workflow.tasks for axis in task.axes.values()}
    names = reach(workflow.bindings, use.names() - {YEAR})
    unknown = tuple(sorted(names - axes.keys() - workflow.bindings.keys()))
    if unknown:
        return Inspected(name, definition.span, None, unknown)
    point = {
        each: axes[each].values[0] for each in sorted(names & axes.keys()) if axes[each].values
    }
    bound = {each: axes[each].bind(value) for each, value in point.items()}
    spec = _make(use, definer, rebind(workflow.bindings, bound))
    shown = ", ".join(f"{each} = {value}" for each, value in point.items())
    return None if spec is None else Inspected(name, definition.span, spec, (), shown)


def _make(use: Use, definer: Definer, bindings: dict[str, Binding]) -> Json:
    specs = definer.datasets([use], bindings)
    return specs[0] if specs else None


def _without_value(name: str, workflow: Workflow) -> tuple[str, ...]:
    """The parameters of a definition, and of what it extends, that have no default."""
    chain: list[Definition] = []
    definition = workflow.datasets.get(name)
    while definition is not None and definition not in chain:
        chain.append(definition)
        base = definition.node.get("extends")
        definition = workflow.datasets.get(base.text) if isinstance(base, Scalar) else None
    has_default: dict[str, bool] = {}
    for each in reversed(chain):
        declared = each.node.get("parameters")
        for key, entry in declared.items() if isinstance(declared, MappingNode) else ():
            given = isinstance(entry.value, MappingNode) and entry.value.get("default") is not None
            has_default[key] = given or has_default.get(key, False)
    return tuple(key for key, given in has_default.items() if not given)


def read_inputs() -> dict[str, list[str]]:
    """The branches that every dataset is read for: of the network, and of the event."""
    table = json.loads(read_schema("inputs.json"))
    return {key: table[key] for key in ("network", "event")}


def columns_of(spec: Json) -> dict[str, list[str]]:
    """The branches that a dataset reads, by what names them; each where it is named first."""
    samples = spec["samples"]
    wanted = {
        "selection": _branches(each["selection"] for each in samples),
        "weight": _branches(each["weight"] for each in samples),
        **read_inputs(),
    }
    seen: set[str] = set()
    found = {}
    for key, names in wanted.items():
        found[key] = [name for name in names if name not in seen]
        seen |= set(names)
    return found


def _branches(texts: Iterable[str | None]) -> list[str]:
    functions = read_grammar()["functions"]
    names: dict[str, None] = {}
    for text in dict.fromkeys(text for text in texts if text):
        tree = ast.walk(ast.parse(text.strip().replace("\n", " "), mode="eval"))
        found = [node for node in tree if isinstance(node, ast.Name)]
        for node in sorted(found, key=lambda node: node.col_offset):
            if node.id not in functions:
                names[node.id] = None
    return list(names)
