"""``hcrc status``: how a bundle's run on HTCondor goes."""

from __future__ import annotations

import argparse
from typing import Final

from .batch import add_bundle, ask_runtime

EXAMPLE: Final = "hcrc status hcrc-out/SvB/HASH --watch"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Say how many jobs of each task wait, run, are held, failed or are done, and why. Exit code"
        " 0: all is done, 3: it goes on, 1: it stopped."
    )
    add_bundle(parser)
    parser.add_argument("--watch", action="store_true", help="say it again until it is over")
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="how the status is printed"
    )


def run(options: argparse.Namespace) -> int:
    """Ask the runtime."""
    words = [f"--format={options.format}", *["--watch"] * options.watch]
    return ask_runtime(options.bundle, "status", words)
