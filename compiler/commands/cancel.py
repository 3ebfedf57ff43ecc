"""``hcrc cancel``: take a run, or a job of it, from HTCondor's queue."""

from __future__ import annotations

import argparse
from typing import Final

from .batch import add_bundle, ask_runtime

EXAMPLE: Final = "hcrc cancel hcrc-out/SvB/HASH"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_bundle(parser)
    parser.add_argument("job", metavar="JOB", nargs="?", help="its number or id; none: all")


def run(options: argparse.Namespace) -> int:
    """Ask the runtime."""
    words = [] if options.job is None else ["--", options.job]
    return ask_runtime(options.bundle, "cancel", words)
