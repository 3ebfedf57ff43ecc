"""The phases of compiling, each a method: what one makes is what the next one takes.

In comes a Request, out come the parsed documents, the bindings, the Workflow and the Plan. What is
wrong gathers as Diagnostics; those that only follow from another mistake are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .check import check_for_tasks, check_plan, check_task_settings
from .codes import MISSING, PLACEHOLDERS, UNREAD, WRONG_TYPES
from .defaults import task_kinds
from .definitions import Definer
from .diagnostics import Diagnostic, Span, errors_of, sort_diagnostics
from .expand import expand
from .files import Files, UsedEnvironment
from .given import parse_param, parse_template
from .habits import find_habits
from .lower import Lowering
from .nodes import Entry, Node, Scalar
from .nodes import Mapping as MappingNode
from .parameters import Binding, bind, unused_parameters
from .parse import Document
from .plan import Plan
from .schema import validate
from .scope import Given, Scope
from .settings import read_given, unused_settings
from .sources import Sources
from .template import is_encodable, names_in
from .uses import collect_definitions
from .workflow import Task, Workflow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .sites import Site

WORKFLOW: Final = "workflow.schema.json"
DEFINITIONS: Final = "definitions.schema.json"
INCLUDED: Final = ("datasets", "classifiers")
SECTIONS: Final = ("tasks", *INCLUDED)


class Request(NamedTuple):
    """What the command line asks for: a file, and the values that go with it, as typed.

    ``strict`` makes errors of warnings; no job may ask for more than one gets at the ``site``.
    """

    path: Path
    templates: tuple[str, ...]
    parameters: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    environment: Mapping[str, str]
    current: Path
    strict: bool = False
    site: Site | None = None


def check_encoding(request: Request) -> list[Diagnostic]:
    """What of the command line is no UTF-8 text, and could not be written into a plan."""
    settings = [text for pair in request.settings for text in pair]
    texts = {
        "the workflow's path": [str(request.path)],
        "the current folder": [str(request.current)],
        "--template": request.templates,
        "--param": request.parameters,
        "--setting": settings,
    }
    return [
        Diagnostic("not-utf8", f"{name} is not UTF-8 text: {text!a}")
        for name, values in texts.items()
        for text in values
        if not is_encodable(text)
    ]


class Phases:
    """One run of the compiler: the request, the files read, and the diagnostics so far."""

    def __init__(self, request: Request, files: Files) -> None:
        self.request = request
        self.files = files
        self.environment = UsedEnvironment(request.environment)
        self.sources = Sources(request.current, files)
        self.diagnostics: list[Diagnostic] = []
        self.used: set[str] = set()
        self.outputs: dict[str, Node | None] = {}

    def findings(self) -> list[Diagnostic]:
        """All that is wrong, in file order, each mistake once."""
        said = {item.span for item in self.sources.diagnostics if item.span}
        found = [item for item in self.diagnostics if item.span not in said]
        found = [*self.sources.diagnostics, *found]
        if self.is_incomplete():
            found = [item for item in found if item.code not in MISSING]
        files = [document.source.name for document in self.sources.documents]
        # Two tasks with one definition find one mistake, and may know different names for help.
        once = {(item.code, item.message, item.span): item for item in reversed(found)}
        ordered = sort_diagnostics(reversed(once.values()), files)
        return [item._replace(strict=self.request.strict) for item in ordered]

    def is_incomplete(self) -> bool:
        """Whether a file or a whole section could not be read: what it declares is not known."""
        entries = [
            entry
            for document in self.sources.documents
            if isinstance(document.root, MappingNode)
            for entry in document.root.entries.values()
        ]
        heads = {entry.key.span for entry in entries} | {entry.value.span for entry in entries}
        wrong = {
            item.span
            for item in self.diagnostics
            if item.code == "unknown-key" or item.code in WRONG_TYPES
        }
        return self.sources.is_incomplete or bool(heads & wrong)

    def parse(self) -> MappingNode | None:
        """Read the workflow and what it includes; its root, if it is a mapping."""
        document = self.sources.read(self.request.path)
        if document is None or document.root is None:
            return None
        if not isinstance(document.root, MappingNode):
            self.diagnostics += validate(document.root, WORKFLOW, bound=False)
            return None
        return document.root

    def validate(self, first: str | None = None) -> set[tuple[str, str]]:
        """Check every document against its schema; returns the sections' names that are wrong.

        ``first`` is the schema of the first one, where that is no workflow.
        """
        first = first or WORKFLOW
        broken: set[tuple[str, str]] = set()
        for index, document in enumerate(self.sources.documents):
            if document.root is not None:
                problems = validate(document.root, DEFINITIONS if index else first, bound=False)
                self.diagnostics += problems
                broken |= {
                    (section, name)
                    for section, name, entry in _entries(document, INCLUDED if index else SECTIONS)
                    if _holds_error(entry, problems)
                }
        return broken

    def bind(self, root: MappingNode) -> dict[str, Binding]:
        """Give every declared parameter its value."""
        layers = []
        current = self.request.current
        parsed = [parse_template(text, current, self.files) for text in self.request.templates]
        parsed += [parse_param(text) for text in self.request.parameters]
        for layer, problems in parsed:
            self.diagnostics += problems
            layers += [layer] if layer is not None else []
        bindings, problems = bind(root.get("parameters"), layers, self.environment, current)
        self.diagnostics += problems
        return bindings

    def unbound(self, root: MappingNode, bindings: dict[str, Binding]) -> set[tuple[str, str]]:
        """What draws on a parameter that has no value, and cannot be judged before it has one."""
        names = _declared(root) - bindings.keys()
        return {
            (section, name)
            for index, document in enumerate(self.sources.documents)
            for section, name, entry in _entries(document, INCLUDED if index else SECTIONS)
            if names & names_in(entry.value)
        }

    def lower(
        self, root: MappingNode, bindings: dict[str, Binding], broken: set[tuple[str, str]]
    ) -> Workflow:
        """Resolve the definitions and the references between tasks."""
        documents = self.sources.documents
        datasets, twice = collect_definitions(documents, "datasets")
        classifiers, also_twice = collect_definitions(documents, "classifiers")
        self.diagnostics += [*twice, *also_twice]
        lowering = Lowering(bindings, _declared(root) - bindings.keys(), self.sources)
        lowered: tuple[Task, ...] = ()
        tasks = root.get("tasks")
        if isinstance(tasks, MappingNode):
            entries = {name: tasks.entries[name] for key, name in broken if key == "tasks"}
            right = {name: _right_keys(each, self.diagnostics) for name, each in entries.items()}
            lowered = lowering.tasks(tasks, right)
        self.diagnostics += lowering.diagnostics
        self.used |= lowering.used
        name = root.get("name")
        return Workflow(
            name.text if isinstance(name, Scalar) else "",
            bindings,
            {key: item for key, item in datasets.items() if ("datasets", key) not in broken},
            {key: item for key, item in classifiers.items() if ("classifiers", key) not in broken},
            lowered,
            frozenset(key for section, key in broken if section != "tasks"),
            lowering.unfinished,
            frozenset(lowering.unknown),
        )

    def expand(self, root: MappingNode, workflow: Workflow) -> Plan:
        """Expand the tasks to cells and jobs; the plan counts only if nothing is wrong."""
        given, problems = read_given(self.request.settings)
        kinds = _task_kinds(root.get("tasks"))
        settings = root.get("settings")
        for node in (settings, *given):
            problems += unused_settings(node, kinds)
        definer = Definer(self.sources, workflow, self.environment)
        request = self.request
        scope = Scope(workflow, definer, Given(settings, given, request.current, request.site))
        plan = expand(scope)
        self.diagnostics += problems
        self.diagnostics += check_task_settings([*workflow.tasks, *workflow.unfinished])
        self.diagnostics += [*definer.diagnostics, *scope.diagnostics]
        self.used |= definer.used | scope.used
        self.outputs = scope.outputs
        return plan

    def check(self, root: MappingNode, workflow: Workflow, plan: Plan) -> None:
        """Check the parameters for use, the habits, and the tasks of a plan together."""
        self.diagnostics += self.unused(root)
        known = {item.span for item in self.diagnostics}
        bindings = workflow.bindings.values()
        self.diagnostics += find_habits(
            self.sources.documents, bindings, self.outputs.values(), known
        )
        if not errors_of([*self.diagnostics, *self.sources.diagnostics]):
            self.diagnostics += check_for_tasks(root, plan)
            self.diagnostics += check_plan(workflow, plan, self.outputs)

    def unused(self, root: MappingNode) -> list[Diagnostic]:
        """Parameters that nothing uses; where something is wrong, only those in no string at all.

        A placeholder that is wrong may have been meant for any of them.
        """
        used = set(self.used)
        found = [*self.sources.diagnostics, *self.diagnostics]
        if any(item.code in MISSING | UNREAD | PLACEHOLDERS for item in found):
            return []
        if errors_of(found):
            documents = [document.root for document in self.sources.documents if document.root]
            used = used.union(*(names_in(document) for document in documents))
        node = root.get("parameters")
        entries = node.entries if isinstance(node, MappingNode) else {}
        broken = {name for name, entry in entries.items() if _holds_error(entry, found)}
        return unused_parameters(node, used | broken)


def _declared(root: MappingNode) -> set[str]:
    """The names of the parameters that a workflow declares."""
    node = root.get("parameters")
    return set(node.entries) if isinstance(node, MappingNode) else set()


def _task_kinds(tasks: Node | None) -> set[str]:
    """The kinds of task that the workflow has; all, if one cannot be told."""
    nodes = (
        [entry.value for entry in tasks.entries.values()] if isinstance(tasks, MappingNode) else []
    )
    kinds = [node.get("task") if isinstance(node, MappingNode) else None for node in nodes]
    known = set(task_kinds())
    found = {kind.text if isinstance(kind, Scalar) else "" for kind in kinds}
    return found if found <= known else known


def _right_keys(entry: Entry, problems: list[Diagnostic]) -> MappingNode:
    """What is right of a task: its keys but for those that errors lie in."""
    node = entry.value
    entries = node.entries if isinstance(node, MappingNode) else {}
    right = {key: item for key, item in entries.items() if not _holds_error(item, problems)}
    return MappingNode(right, node.span)


def _holds_error(entry: Entry, problems: list[Diagnostic]) -> bool:
    """Whether any error lies in an entry: in its key, or in its value, which may be an alias."""
    spans = [item.span for item in errors_of(problems) if item.span is not None]
    return any(_begins_in(span, node) for span in spans for node in (entry.key, entry.value))


def _begins_in(span: Span, node: Node) -> bool:
    around = node.span
    begin, end = (around.line, around.column), (around.end_line, around.end_column)
    return span.source is around.source and begin <= (span.line, span.column) <= end


def _entries(document: Document, sections: Sequence[str]) -> Iterator[tuple[str, str, Entry]]:
    """What stands in some sections of a document: section, name and entry."""
    for section in sections:
        node = document.root.get(section) if isinstance(document.root, MappingNode) else None
        for name, entry in node.entries.items() if isinstance(node, MappingNode) else ():
            yield section, name, entry
