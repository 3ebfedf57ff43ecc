"""``hcrc expand``: print every job with its command, cells and folders."""

from __future__ import annotations

import argparse
from typing import Final

from . import USER_ERROR
from .inputs import add_inputs, compile_inputs, read_inputs

EXAMPLE: Final = 'hcrc expand workflows/demo.yml --param offset="0-2"'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_inputs(parser)


def run(options: argparse.Namespace) -> int:
    """Show the jobs of every file."""
    compilations = compile_inputs(read_inputs(options), options)
    if compilations is None:
        return USER_ERROR
    for compilation in compilations:
        plan = compilation.plan
        for job in plan.jobs if plan is not None else ():
            needs = ", ".join(plan.jobs[number].id for number in job.needs) if plan else ""
            use = job.execution
            print(f"{job.id}: {job.task}, after {needs or 'nothing'}")
            print(f"  resources: {use['cpus']} cpus, {use['memory_mb']} MB, {use['gpus']} gpus")
            print(f"  command: python hcrc.pyz job jobs.jsonl {job.number}")
            for cell in job.cells:
                print(f"  {cell.id}: {cell.output}")
    return 0
