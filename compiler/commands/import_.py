"""``hcrc import``: make a workflow of the older tool's files and command lines, and prove it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from . import USAGE_ERROR, USER_ERROR
from .init import name
from .inputs import add_format, print_diagnostics
from .new_file import write_new

if TYPE_CHECKING:
    from ..diagnostics import Source
    from ..legacy.importing import Import, Request

EXAMPLE: Final = "hcrc import 'template \"{tag: a}\" train.yml' -o svb.yml"
WORKFLOWS: Final = (".yml", ".yaml", ".json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "file",
        metavar="FILE|COMMAND",
        nargs="+",
        help="workflow files of the older tool, or one of its command lines in quotes; a file of"
        " command lines with --line",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the file to write, which must not be there yet; without it the workflow is printed",
    )
    parser.add_argument(
        "--line", metavar="N", type=int, help="the line of a file of command lines to import"
    )
    parser.add_argument(
        "--name",
        metavar="NAME",
        type=name,
        help="name of the workflow, by default that of the first file, or of the task",
    )
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Import, print or write the workflow, and print the comparison."""
    from ..diagnostics import errors_of
    from ..files import Disk
    from ..legacy.importing import run_import

    request = _request(options)
    if request is None:
        return USAGE_ERROR
    found = run_import(request, Disk())
    diagnostics = [item._replace(strict=options.strict) for item in found.diagnostics]
    stopped = found.text is None or bool(errors_of(diagnostics))
    listed = stopped or (options.output is not None and options.format != "text")
    if diagnostics or listed:
        print_diagnostics(diagnostics, options.format, alone=listed)
    if found.text is None or stopped:
        return USER_ERROR
    if options.output is None:
        print(found.text, end="")
    elif not write_new(Path(options.output), found.text):
        return USER_ERROR
    free = options.output is not None and not listed
    return _report(found, sys.stdout if free else sys.stderr)


def _report(found: Import, stream: TextIO) -> int:
    """Print the comparison: to where neither the workflow nor a list of diagnostics goes."""
    from ..legacy.compare import DIFFERS, render, summarize

    print(f"{render(found.rows)}\n{summarize(found.rows)}", file=stream)
    return USER_ERROR if any(row.result == DIFFERS for row in found.rows) else 0


def _request(options: argparse.Namespace) -> Request | None:
    """What is to be imported; None after an error on the command line."""
    from ..legacy.importing import Request

    names = tuple(options.file)
    command = None
    if len(names) > 1 and any(_is_command(each) for each in names):
        _refuse("import files, or one command line, not both")
        return None
    if _is_command(names[0]) or options.line is not None:
        command = _command(names[0], options.line)
        if command is None:
            return None
    elif not all(each.endswith(WORKFLOWS) for each in names):
        odd = next(each for each in names if not each.endswith(WORKFLOWS))
        _refuse(f"{odd}: a workflow ends with {', '.join(WORKFLOWS)}; name a --line of it")
        return None
    found = () if command else names
    return Request(found, command, options.name, dict(os.environ), Path.cwd())


def _is_command(text: str) -> bool:
    return any(map(str.isspace, text)) and not os.path.lexists(text)


def _command(text: str, line: int | None) -> Source | None:
    """A command line: what was typed, or a line of a file."""
    from ..diagnostics import Source
    from ..legacy.importing import find_command

    if line is None:
        return Source("COMMAND", text)
    try:
        content = Path(text).read_text("utf-8")
    except UnicodeDecodeError:
        content = ""
    found = find_command(content, text, line)
    if found is None:
        _refuse(f"{text} has no command in line {line}")
    return found


def _refuse(message: str) -> None:
    print(f"hcrc: error: {message}", file=sys.stderr)
