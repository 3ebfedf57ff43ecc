"""The steps of an import: expand by the old rules, convert, write, compare.

In come file names or a command line, out come the workflow's text, the rows of the comparison and
what was found on the way. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..diagnostics import Diagnostic, Source, Span, errors_of, sort_diagnostics
from ..files import Files
from ..nodes import Mapping as MappingNode
from ..parse import read_document
from ..shipped import workflows_folder
from .compare import Row, compare
from .convert import Converter
from .draft import Draft
from .expand import Expander, Group, show_name
from .symbols import Symbols, parameter_name
from .text import LegacyError, Text
from .write import write_workflow

FOLDER = "hcr"


class Request(NamedTuple):
    """What is imported: files by name, or a command line; and the name of the workflow."""

    names: tuple[str, ...]
    command: Source | None
    name: str | None
    environment: Mapping[str, str]
    current: Path


class Import(NamedTuple):
    """The text of a workflow, None after errors, with the comparison that was made of it."""

    text: str | None
    rows: list[Row]
    diagnostics: list[Diagnostic]


def run_import(request: Request, files: Files) -> Import:
    """All steps; never raises for what a user can get wrong."""
    expander = Expander(files, request.current, Symbols(request.environment))
    draft = Draft(expander)
    try:
        text = _convert(request, draft)
        rows, problems = compare(draft, text, request.current)
        draft.diagnostics += problems
    except LegacyError as error:
        draft.diagnostics.append(error.diagnostic)
        text, rows = "", []
    found = sort_diagnostics([*expander.diagnostics, *draft.diagnostics])
    return Import(None if errors_of(found) else text, rows, found)


def find_command(text: str, name: str, line: int) -> Source | None:
    """One line of a file of command lines, at its place; None if there is none."""
    lines = text.split("\n")
    if not 1 <= line <= len(lines) or not lines[line - 1].strip():
        return None
    return Source(name, "\n" * (line - 1) + lines[line - 1])


def _convert(request: Request, draft: Draft) -> str:
    """The text of the workflow; raises LegacyError."""
    expander = draft.expander
    if request.command is not None:
        expander.expand_command(Text.whole(request.command))
    else:
        expander.expand_files(request.names)
    expansion = expander.expansion()
    Converter(draft, expansion).run()
    _dead_keys(draft)
    name = request.name or parameter_name(expansion.name)
    return write_workflow(draft, name, list(_includes(draft, expander.files)))


def _dead_keys(draft: Draft) -> None:
    """Say which template keys change nothing."""
    steps = [step for step in draft.expander.steps if isinstance(step, Group)]
    codes = {item.code for item in draft.expander.diagnostics}
    written_out = "template-written-out" in codes
    for template in [step.template for step in steps if step.template is not None]:
        for key, data in template.entries.items():
            stem = parameter_name(key)
            live = [each for each in draft.symbols.parameters.values() if each.used]
            if key in template.values and written_out:
                continue
            if not any(each.name.startswith(stem) for each in live):
                message = f'the template key "{key}" changes nothing here'
                draft.ignored(message, data.span)


def _includes(draft: Draft, files: Files) -> Iterator[str]:
    """The files that come with hcrc and define what the workflow uses."""
    wanted: dict[str, Span | None] = {}
    for entries in (task.entries for task in draft.tasks):
        for entry in entries:
            uses = entry.value if entry.key == "datasets" else [entry.value]
            if entry.key in ("datasets", "classifier"):
                names = [each["use"] if isinstance(each, dict) else each for each in uses]
                wanted |= dict.fromkeys(names, entry.span)
    defined = dict(_definitions(files))
    found = [defined[name] for name in wanted if name in defined]
    yield from dict.fromkeys(found)
    for name, span in wanted.items():
        if name not in defined:
            message = f"there is no definition {show_name(name)}: write one, and include it"
            draft.diagnostics.append(Diagnostic("no-counterpart", message, span))


def _definitions(files: Files) -> Iterator[tuple[str, str]]:
    """The datasets and classifiers that come with hcrc, each with its file."""
    folder = workflows_folder()
    for path in sorted(folder.glob(f"{FOLDER}/*.yml")):
        name = path.relative_to(folder).as_posix()
        root = read_document(path, name, files)[0].root
        for section in ("datasets", "classifiers"):
            node = root.get(section) if isinstance(root, MappingNode) else None
            for key in node.entries if isinstance(node, MappingNode) else ():
                yield key, name
