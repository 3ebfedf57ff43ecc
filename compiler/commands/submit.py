"""``hcrc submit``: compile, and let the bundle's own runtime hand it to HTCondor's DAGMan."""

from __future__ import annotations

import argparse
from typing import Final

from . import USER_ERROR
from .bundles import OUTPUT, start_runtime
from .inputs import add_inputs, add_site, bundle_inputs

EXAMPLE: Final = "hcrc submit svb --param store=/data/SvB"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Compile a workflow and hand the jobs that have to run to DAGMan, which goes on when you"
        " log out. The bundle and the results lie on a file system that the jobs see."
    )
    add_inputs(parser, bundle=True)
    add_site(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be handed over")


def run(options: argparse.Namespace) -> int:
    """Compile what is no bundle yet, and submit."""
    bundles = bundle_inputs(options, OUTPUT)
    if bundles is None:
        return USER_ERROR
    return start_runtime(bundles, "submit", ["--dry-run"] * options.dry_run)
