"""``hcrc help``: a command's help, or the reference of everything, searched, in three formats."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import COMMANDS, USAGE_ERROR, USER_ERROR
from .inputs import find_workflow, print_diagnostics

if TYPE_CHECKING:
    from ..reference.model import Chapter

EXAMPLE: Final = "hcrc help --all kfolds"
NARROWEST: Final = 40
WIDEST: Final = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "words",
        metavar="COMMAND|PATTERN",
        nargs="*",
        help="a command; with --all or --file, words to search for, or a name with * and ?",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="every command, task, key and setting; with a PATTERN, those that match",
    )
    parser.add_argument(
        "--file",
        metavar="FILE",
        action="append",
        default=[],
        help="the parameters, datasets, classifiers and tasks of this workflow",
    )
    parser.add_argument(
        "--format",
        choices=("text", "markdown", "html"),
        default="text",
        help="how the reference is printed (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the help of a command, or the reference."""
    if not options.all and not options.file:
        return _show_command(options.words)
    chapters = _read_files(options.file)
    if chapters is None:
        return USER_ERROR
    if options.all:
        chapters += build_reference()
    pattern = " ".join(options.words)
    found = _search(chapters, pattern) if pattern else chapters
    if not found:
        print(
            f'hcrc: error: nothing matches "{pattern}"{_hint(chapters, pattern)}', file=sys.stderr
        )
        return USER_ERROR
    sys.stdout.write(_render(found, options.format))
    return 0


def build_reference() -> list[Chapter]:
    """All chapters but those of files."""
    from ..cli import build_parser
    from ..reference.chapters import all_chapters

    return all_chapters({name: build_parser(name) for name in COMMANDS})


def _show_command(words: list[str]) -> int:
    from ..cli import build_parser, overview
    from ..diagnostics import suggest

    if not words:
        print(overview(), end="")
        return 0
    if len(words) == 1 and words[0] in COMMANDS:
        build_parser(words[0]).print_help()
        return 0
    pattern = " ".join(words)
    help = f"{suggest(pattern, COMMANDS)} (to search everything: hcrc help --all {pattern})"
    print(f'hcrc: error: there is no command "{pattern}": {help}', file=sys.stderr)
    return USAGE_ERROR


def _read_files(names: list[str]) -> list[Chapter] | None:
    """A chapter for each workflow; None, after diagnostics, if one is wrong."""
    if not names:
        return []
    from ..diagnostics import errors_of
    from ..files import Disk
    from ..phases import Phases, Request
    from ..reference.file import file_chapter

    chapters, diagnostics = [], []
    for name in names:
        path = find_workflow(Path(name))
        phases = Phases(Request(path, (), (), (), dict(os.environ), Path.cwd()), Disk())
        if phases.parse() is not None:
            phases.validate()
            chapters.append(file_chapter(phases.sources.documents))
        diagnostics += phases.findings()
    if diagnostics:
        print_diagnostics(diagnostics, "text", alone=False)
    return None if errors_of(diagnostics) else chapters


def _search(chapters: list[Chapter], pattern: str) -> list[Chapter]:
    from ..reference.model import search

    return search(chapters, pattern)


def _hint(chapters: list[Chapter], pattern: str) -> str:
    """The nearest name, if there is one."""
    from ..diagnostics import nearest
    from ..reference.model import names

    close = nearest(pattern, names(chapters))
    return f': did you mean "{close}"?' if close else ""


def _render(chapters: list[Chapter], format: str) -> str:
    from ..reference import render

    if format == "html":
        return render.render_html(chapters)
    if format == "markdown":
        return render.render_markdown(chapters)
    columns = shutil.get_terminal_size().columns
    return render.render_text(chapters, min(max(columns, NARROWEST), WIDEST))
