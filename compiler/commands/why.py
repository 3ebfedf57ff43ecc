"""``hcrc why``: let a bundle's own runtime say why a job has to run."""

from __future__ import annotations

import argparse
from typing import Final

from .batch import add_bundle, ask_runtime

EXAMPLE: Final = "hcrc why hcrc-out/demo/HASH train[offset=0]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Say what makes a job run, each changed field, input and output; or since when it is up"
        " to date. Exit code 0: up to date, 3: it has to run."
    )
    add_bundle(parser)
    parser.add_argument(
        "job", metavar="JOB", help="a job: its number or id; the id of a cell; or a task: its cells"
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="how the reasons are printed"
    )


def run(options: argparse.Namespace) -> int:
    """Start the runtime; 1 where there is no such bundle."""
    return ask_runtime(options.bundle, "why", [f"--format={options.format}", "--", options.job])
