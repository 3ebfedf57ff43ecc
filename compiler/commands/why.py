"""``hcrc why``: let a bundle's own runtime say why a job has to run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from . import USER_ERROR
from .bundles import start_runtime

EXAMPLE: Final = "hcrc why hcrc-out/demo/HASH train[offset=0]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Say what makes a job run, each changed field, input and output; or since when it is up"
        " to date. Exit code 0: up to date, 3: it has to run."
    )
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="the folder of a bundle")
    parser.add_argument(
        "job", metavar="JOB", help="a job: its number or id; the id of a cell; or a task: its cells"
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="how the reasons are printed"
    )


def run(options: argparse.Namespace) -> int:
    """Start the runtime; 1 where there is no such bundle."""
    from ..files import is_bundle

    if not is_bundle(options.bundle):
        text = "not a bundle, which is a folder that hcrc compile prints"
        print(f"hcrc: error: {options.bundle}: {text}", file=sys.stderr)
        return USER_ERROR
    words = [f"--format={options.format}", "--", options.job]
    return start_runtime([options.bundle], "why", words)
