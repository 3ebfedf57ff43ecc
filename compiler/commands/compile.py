"""``hcrc compile``: write bundles and print their folders."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from . import USER_ERROR
from .bundles import OUTPUT
from .inputs import add_inputs, add_site, bundle_inputs

EXAMPLE: Final = "hcrc compile workflows/demo.yml -o bundles"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_inputs(parser)
    add_site(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        default=OUTPUT,
        help="where bundles go, as NAME/HASH (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the bundle of every file."""
    bundles = bundle_inputs(options, options.output)
    if bundles is None:
        return USER_ERROR
    for bundle in bundles:
        print(bundle)
    return 0
