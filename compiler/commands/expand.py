"""``hcrc expand``: print every job with what it needs, its command, cells and folders."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from . import USER_ERROR
from .inputs import add_inputs, add_site, compile_inputs, print_diagnostics, read_inputs

if TYPE_CHECKING:
    from ..diagnostics import Diagnostic
    from ..plan import JobSpec, Plan

EXAMPLE: Final = 'hcrc expand workflows/demo.yml --param offset="0-2" --jobs "train*"'
RESOURCES: Final = ("cpus", "memory_mb", "gpus", "disk_mb", "walltime_s")
ENVIRONMENT: Final = "environment"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_inputs(parser, shown="jobs")
    add_site(parser)
    parser.add_argument(
        "--as-template",
        action="store_true",
        help='the first word gives values to parameters: "{norm: 6}" FILE …',
    )
    parser.add_argument(
        "--jobs",
        metavar="GLOB",
        action="append",
        default=[],
        help="the jobs of a task, or those whose id, or a cell's, matches; with * and ?",
    )


def run(options: argparse.Namespace) -> int:
    """Show the jobs of every file."""
    if options.as_template:
        if len(options.file) < 2:
            options.usage_error("--as-template takes a mapping, then a workflow file")
        options.template.insert(0, [options.file.pop(0)])
    compilations = compile_inputs(read_inputs(options), options)
    if compilations is None:
        return USER_ERROR
    expansions = [Expanded(item.plan, options.jobs) for item in compilations if item.plan]
    missing = unmatched(expansions, options.jobs) if options.jobs else []
    if missing:
        print_diagnostics(missing, options.format, alone=True)
        return USER_ERROR
    for expanded in expansions:
        for line in expanded.as_json() if options.format == "json" else expanded.as_text():
            print(line)
    return 0


class Expanded:
    """The jobs of a plan that are shown: all, each met once, or those that some globs choose.

    ``ids`` holds the ids that were met.
    """

    def __init__(self, plan: Plan, globs: list[str]) -> None:
        self.plan = plan
        self.ids: dict[int, str] = {}
        self.names: set[str] = set()
        self._patterns = [compile_glob(glob) for glob in globs]
        self._chosen = [*self._jobs()] if globs else None

    def jobs(self) -> Iterable[JobSpec]:
        """The jobs, in order."""
        return self._jobs() if self._chosen is None else self._chosen

    def as_text(self) -> Iterator[str]:
        """Lines for a reader."""
        for job in self.jobs():
            needs = ", ".join(self.ids[number] for number in job.needs)
            yield f"{job.id}: {job.task}, after {needs or 'nothing'}"
            yield from (f"  {name}: {words}" for name, words in execution_words(job))
            yield f"  command: python hcrc.pyz job jobs.jsonl {job.number}"
            yield from (f"  {cell.id}: {cell.output}" for cell in job.cells)

    def as_json(self) -> Iterator[str]:
        """Lines of one JSON object: workflow, parameters, jobs and tasks."""
        yield f'{{"workflow": {to_json(self.plan.name)},'
        yield f'"parameters": {to_json(self.plan.parameters)},'
        yield '"jobs": ['
        last = ""
        for job in self.jobs():
            yield from [f"{last},"] * bool(last)
            last = to_json(job.to_json())
        yield from [last] * bool(last)
        yield "],"
        yield f'"tasks": {to_json([task.to_json() for task in self.plan.tasks])}}}'

    def _jobs(self) -> Iterator[JobSpec]:
        for job in self.plan.jobs:
            self.ids[job.number] = job.id
            names = {job.name, job.id, *(cell.id for cell in job.cells)}
            if self._patterns:
                self.names |= names
            if not self._patterns or any(
                pattern.fullmatch(name) for pattern in self._patterns for name in names
            ):
                yield job


def compile_glob(glob: str) -> re.Pattern[str]:
    """The pattern of a glob: ``*`` and ``?``; the brackets of ids stand for themselves."""
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in glob)
    return re.compile("".join(parts), re.DOTALL)


def unmatched(expansions: list[Expanded], globs: list[str]) -> list[Diagnostic]:
    """Say which globs choose no job of any file, and what they were probably meant to be."""
    from ..diagnostics import Diagnostic, Source, Span, nearest, show

    names = {name for expanded in expansions for name in expanded.names}
    found = []
    for glob in globs:
        if not any(map(compile_glob(glob).fullmatch, names)):
            span = Span(Source("--jobs", glob), 1, 1, 1, len(glob) + 1)
            close = nearest(glob.rstrip("*"), names)
            help = f'did you mean "{close}"?' if close else None
            message = f"no job, cell or task is called {show(glob)}"
            found.append(Diagnostic("bad-argument", message, span, help))
    return found


def execution_words(job: JobSpec) -> Iterator[tuple[str, str]]:
    """How a job runs: its resources, its environment, and the settings that change no result."""
    from ..flow import write_flow

    use = job.execution
    named = [f"{use['cpus']} cpus", f"{use['memory_mb']} MB", f"{use['gpus']} gpus"]
    named += [f"{use['disk_mb']} MB of disk"] if use.get("disk_mb") else []
    named += [f"{use['walltime_s']} s"] if use.get("walltime_s") else []
    yield "resources", ", ".join(named)
    variables = use.get(ENVIRONMENT) or {}
    if variables:
        yield ENVIRONMENT, ", ".join(f"{name}={value}" for name, value in variables.items())
    rest = {name: use[name] for name in use if name not in (*RESOURCES, ENVIRONMENT)}
    yield "settings", ", ".join(f"{name} {write_flow(value)}" for name, value in rest.items())


def to_json(value: object) -> str:
    """A value on one line."""
    return json.dumps(value, ensure_ascii=False)
