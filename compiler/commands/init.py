"""``hcrc init``: write a commented workflow to start from."""

from __future__ import annotations

import argparse
import re
from importlib import resources
from pathlib import Path
from typing import Final

from . import USER_ERROR
from .new_file import write_new

EXAMPLE: Final = "hcrc init svb.yml --name SvB"
STARTER: Final = "starter"
FILE: Final = "workflow.yml"
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        default=FILE,
        help="the file to write, which must not be there yet; - prints it (default: %(default)s)",
    )
    parser.add_argument(
        "--name",
        metavar="NAME",
        type=name,
        help="name of the workflow, by default that of the file",
    )


def run(options: argparse.Namespace) -> int:
    """Write or print the workflow."""
    printed = options.file == "-"
    path = Path(FILE if printed else options.file)
    text = starter(path.name, options.name or name_of(path))
    if printed:
        print(text, end="")
        return 0
    if not write_new(path, text):
        return USER_ERROR
    print(f"{path}: written; hcrc check {path} says what is wrong with it")
    return 0


def starter(file: str, name: str) -> str:
    """The text of the starter workflow for a file of this name."""
    text = resources.files("hcrc.workflows").joinpath(f"{STARTER}.yml").read_text("utf-8")
    text = text.replace(f"\nname: {STARTER}\n", f"\nname: {name}\n")
    return text.replace(FILE, file) if file.isprintable() else text


def name_of(path: Path) -> str:
    """The name that a workflow takes from its file: letters, digits and underscores."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", path.stem).strip("_")
    return f"{'_' * words[:1].isdigit()}{words}" or STARTER


def name(text: str) -> str:
    """The name of a workflow, of an option."""
    if not NAME.fullmatch(text):
        message = f"{text!r} is no name: letters, digits and underscores, and no digit first"
        raise argparse.ArgumentTypeError(message)
    return text
