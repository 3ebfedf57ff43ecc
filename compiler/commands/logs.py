"""``hcrc logs``: what a job printed."""

from __future__ import annotations

import argparse
from typing import Final

from .batch import add_bundle, ask_runtime

EXAMPLE: Final = "hcrc logs hcrc-out/SvB/HASH train[offset=0] --follow"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_bundle(parser)
    parser.add_argument("job", metavar="JOB", help="a job: its number or id; the id of a cell")
    parser.add_argument("--follow", action="store_true", help="go on while the job runs")


def run(options: argparse.Namespace) -> int:
    """Ask the runtime."""
    words = ["--follow"] * options.follow
    return ask_runtime(options.bundle, "logs", [*words, "--", options.job])
