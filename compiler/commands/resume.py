"""``hcrc resume``: hand to DAGMan what a run that stopped left to do."""

from __future__ import annotations

import argparse
from typing import Final

from .batch import add_bundle, ask_runtime

EXAMPLE: Final = "hcrc resume hcrc-out/SvB/HASH"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Submit a bundle again: what is done, by its results, is left alone; what failed or was"
        " removed is tried anew."
    )
    add_bundle(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be handed over")


def run(options: argparse.Namespace) -> int:
    """Ask the runtime."""
    return ask_runtime(options.bundle, "submit", ["--dry-run"] * options.dry_run)
