"""``hcrc clean``: let a bundle's own runtime remove its results."""

from __future__ import annotations

import argparse
from typing import Final

from . import USER_ERROR
from .bundles import OUTPUT, start_runtime
from .inputs import add_inputs, bundle_inputs

EXAMPLE: Final = "hcrc clean workflows/demo.yml --dry-run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_inputs(parser, bundle=True)
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed")


def run(options: argparse.Namespace) -> int:
    """Remove the results of every workflow."""
    bundles = bundle_inputs(options, OUTPUT)
    if bundles is None:
        return USER_ERROR
    return start_runtime(bundles, "clean", ["--dry-run"] * options.dry_run)
