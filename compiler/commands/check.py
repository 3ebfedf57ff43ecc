"""``hcrc check``: print diagnostics, or say that there are none."""

from __future__ import annotations

import argparse
from typing import Final

from . import USER_ERROR
from .inputs import add_inputs, add_site, compile_inputs, read_inputs

EXAMPLE: Final = "hcrc check workflows/demo.yml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_inputs(parser)
    add_site(parser)


def run(options: argparse.Namespace) -> int:
    """Check every file."""
    inputs = read_inputs(options)
    compilations = compile_inputs(inputs, options, alone=True)
    if compilations is None:
        return USER_ERROR
    for item, compilation in zip(inputs, compilations, strict=True):
        plan = compilation.plan
        if plan is not None and options.format == "text":
            cells = sum(task.cells for task in plan.tasks)
            print(f"{item.path}: no errors; {cells} cells in {len(plan.jobs)} jobs")
    return 0
