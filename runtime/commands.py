"""The runtime's command line.

``job`` runs one job of a bundle, ``run`` all that have to, ``clean`` removes their results, ``why``
says what makes a job run, ``inspect`` opens the files of datasets.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .agenda import Agenda, UsageError, decide, select_tasks
from .batch.commands import COMMANDS as BATCH
from .batch.commands import add_commands
from .batch.dagman import check_free
from .bundle import Bundle, CellHead, Request, Task, open_bundle
from .capacity import Capacity, count_noun, fit_requests, pick_gpus, wanted_gpus
from .clean import find_results, remove_result, remove_root_lock
from .console import (
    fall_silent,
    format_seconds,
    open_closed_streams,
    printable,
    standard_console,
)
from .errors import JobError
from .job import JobOptions, as_storage_error
from .job import main as run_one_job
from .journal import Journal
from .locks import ROOT_LOCK, hold_locks
from .machine import Pool, count_cores, list_gpus, measure_memory_mb
from .process import Launch, runtime_command
from .results import read_results
from .schedule import Outcome, Policy, Schedule
from .summary import count_run, report_failures, summarise
from .timestamp import forget_moment, note_moment
from .why import answer_why

DEVICE: Final = re.compile(r"auto|cpu|cuda(:\d{1,3})?")


@dataclass(frozen=True)
class Runner:
    """What ``run`` starts a job's process with, before the word ``job``, and how patient it is."""

    command: Sequence[str] = field(default_factory=runtime_command)
    policy: Policy = field(default_factory=Policy)


def main(argv: Sequence[str] | None = None, runner: Runner | None = None) -> int:
    """Run a command line and return its exit code."""
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    arguments = build_parser().parse_args(argv)
    if arguments.command == "job":
        return run_one_job(arguments.jobs, arguments.number, _job_options(arguments))
    try:
        if arguments.command == "clean":
            return clean(open_bundle(arguments.bundle), arguments.dry_run)
        if arguments.command == "why":
            return why(arguments)
        if arguments.command == "inspect":
            return inspect()
        if arguments.command == "results":
            found = read_results(arguments.address, arguments.key)
            print(json.dumps(found, ensure_ascii=False))
            return 0
        if arguments.command in BATCH:
            return BATCH[arguments.command](arguments)
        return run(arguments, runner or Runner())
    except JobError as error:
        print(f"hcrc: error: {printable(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:
        fall_silent(sys.stdout)
        return 1
    except OSError as error:
        print(f"hcrc: error: {printable(str(as_storage_error(error)))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="hcrc.pyz", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_job(commands.add_parser("job", help="run one job"))
    _add_run(commands.add_parser("run", help="run the jobs whose results do not hold, here"))
    remove = commands.add_parser("clean", help="remove the results of all of a bundle's cells")
    remove.add_argument("bundle", metavar="BUNDLE", type=Path, help="the folder with plan.json")
    remove.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    look = commands.add_parser("inspect", help="read the headers of the files of datasets")
    look.add_argument("specs", metavar="-", choices=("-",), help='{"datasets": […]} on stdin')
    add_commands(commands)
    results = commands.add_parser("results", help="tell what results at an address hold")
    results.add_argument("address", metavar="URL", help="a result.json, or a folder of some")
    results.add_argument("key", metavar="KEY", nargs="*", help="which of its keys")
    why = commands.add_parser("why", help="say why a job has to run, or that it has not")
    why.add_argument("bundle", metavar="BUNDLE", type=Path, help="the folder with plan.json")
    why.add_argument("job", metavar="JOB", help="its number or id; or a cell's id; or a task")
    why.add_argument("--format", choices=("text", "json"), default="text")
    return parser


def _add_job(job: argparse.ArgumentParser) -> None:
    job.add_argument("jobs", metavar="JOBS.jsonl", type=Path, help="the job specs, one a line")
    job.add_argument("number", metavar="N", type=int, help="the job's line, from 0")
    job.add_argument("--cell", metavar="INDEX", type=int, action="append", default=[])
    job.add_argument("--events", metavar="PATH", type=Path, help="append progress as JSON lines")
    job.add_argument("--force", action="store_true", help="also run cells whose results hold")
    job.add_argument("--device", type=_device, help="auto, cpu, cuda or cuda:N")
    job.add_argument("--lifeline", action="store_true", help="end when standard input does")


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("bundle", metavar="BUNDLE", type=Path, help="the folder with plan.json")
    run.add_argument("-j", "--jobs", metavar="N", type=_positive, help="cores to use")
    run.add_argument("--memory", metavar="MB", type=_positive, help="memory to use, in MB")
    run.add_argument("--only", metavar="TASK", action="append", default=[], help="only this task")
    run.add_argument("--from", metavar="TASK", dest="start", help="again from this task on")
    run.add_argument("--force", action="store_true", help="run again what is up to date")
    run.add_argument("--dry-run", action="store_true", help="only say what would run, and why")
    run.add_argument("--device", type=_device, help="auto, cpu, cuda or cuda:N")
    run.add_argument("--plain", action="store_true", help="lines instead of bars")


def _device(text: str) -> str:
    if not DEVICE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is none of auto, cpu, cuda, cuda:N")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _job_options(arguments: argparse.Namespace) -> JobOptions:
    return JobOptions(
        device=arguments.device,
        events=arguments.events,
        cells=arguments.cell,
        force=arguments.force,
        lifeline=arguments.lifeline,
    )


def run(arguments: argparse.Namespace, runner: Runner) -> int:
    """The ``run`` command; raises :class:`JobError` where nothing can be started."""
    if arguments.only and arguments.start:
        raise UsageError("--only and --from cannot be given together")
    bundle = open_bundle(arguments.bundle)
    if not arguments.dry_run:
        check_free(bundle)
        bundle = bundle.at(note_moment(bundle.state))
    selection = select_tasks(bundle.tasks, arguments.only, arguments.start, arguments.force)
    locks = lock_files(bundle, selection.chosen)
    with nullcontext() if arguments.dry_run else hold_locks(locks):
        agenda = decide(bundle, selection, _report_cell if arguments.dry_run else None)
        if not agenda.todo:
            print(f"nothing to do: {_tell_current(agenda.cells)}")
            _print_summary(bundle, agenda, Outcome())
            return 0
        if arguments.dry_run:
            print(f"{agenda.cells - agenda.current} of {agenda.cells} cells would run")
            fit(agenda, arguments)
            return 0
        return execute(bundle, agenda, arguments, runner)


def _tell_current(cells: int) -> str:
    if not cells:
        return "there is no task"
    return f"all {cells} cells are up to date" if cells > 1 else "the cell is up to date"


def lock_files(bundle: Bundle, tasks: Collection[str]) -> list[Path]:
    """The locks of a bundle and of the output folders of these tasks."""
    chosen = [task for task in bundle.tasks if task.name in tasks]
    return [bundle.state / "lock", *root_locks(chosen)]


def root_locks(tasks: Iterable[Task]) -> list[Path]:
    """The locks of the output folders of tasks, each once, those above others first."""
    return sorted({Path(task.root) / ROOT_LOCK for task in tasks if "://" not in task.root})


def clean(bundle: Bundle, dry_run: bool) -> int:
    """The ``clean`` command; raises :class:`JobError` if a run goes on there."""
    found = 0
    roots = [path for path in root_locks(bundle.tasks) if path.parent.is_dir()]
    with nullcontext() if dry_run else hold_locks([bundle.state / "lock", *roots]):
        for cell, home, root in find_results(bundle):
            found += 1
            if not dry_run:
                remove_result(home, root)
            print(f"{'would remove' if dry_run else 'removed'}  {cell}  {home}")
        if not dry_run:
            forget_moment(bundle.state)
            for lock in reversed(roots):
                remove_root_lock(lock)
    print(f"{count_noun(found, 'result')} {'would be ' if dry_run else ''}removed")
    return 0


def why(arguments: argparse.Namespace) -> int:
    """The ``why`` command; raises :class:`JobError` if there is no such job."""
    code, lines = answer_why(open_bundle(arguments.bundle), arguments.job, arguments.format)
    print("\n".join(lines))
    return code


def inspect() -> int:
    """The ``inspect`` command; raises :class:`JobError` if it is not asked rightly."""
    from .inspect import inspect_datasets, read_request  # opening files loads libraries

    found = inspect_datasets(read_request(sys.stdin.read()))
    print(json.dumps(found, ensure_ascii=False))
    return 0


def _report_cell(cell: CellHead, reason: str | None) -> None:
    print(f"up to date  {cell.id}" if reason is None else f"would run   {cell.id}: {reason}")


def execute(bundle: Bundle, agenda: Agenda, arguments: argparse.Namespace, runner: Runner) -> int:
    """Run an agenda's jobs and say what came of it; returns the exit code."""
    began = time.monotonic()
    capacity, requests = fit(agenda, arguments)
    device = "cuda" if (arguments.device or "").startswith("cuda") else arguments.device
    launch = Launch(runner.command, bundle.jobs, bundle.state, device, agenda.force)
    pool = Pool(capacity.cpus, capacity.memory_mb, capacity.gpus)
    with Journal(bundle.state / "journal.jsonl") as journal:
        journal.write("run", plan=bundle.hash, cells=agenda.cells, current=agenda.current)
        console = standard_console(arguments.plain)
        outcome = Schedule(
            bundle, agenda, requests, pool, launch, console, journal, runner.policy
        ).run()
    return conclude(bundle, agenda, outcome, time.monotonic() - began)


def fit(agenda: Agenda, arguments: argparse.Namespace) -> tuple[Capacity, dict[int, Request]]:
    """What this run may use, and what each job is given; prints who gets fewer GPUs.

    Raises :class:`CapacityError` if a job can never run here.
    """
    capacity = measure(agenda, arguments)
    requests, notes = fit_requests(agenda.todo.values(), capacity, arguments.device)
    for note in notes:
        print(f"note: {note}")
    sys.stdout.flush()
    return capacity, requests


def measure(agenda: Agenda, arguments: argparse.Namespace) -> Capacity:
    """What this run may use; GPUs are only looked for where a job wants one."""
    wanted = any(wanted_gpus(todo, arguments.device) for todo in agenda.todo.values())
    gpus = pick_gpus(list_gpus(os.environ), arguments.device) if wanted else ()
    memory_mb = arguments.memory or measure_memory_mb()
    return Capacity(arguments.jobs or count_cores(), memory_mb, gpus)


def conclude(bundle: Bundle, agenda: Agenda, outcome: Outcome, seconds: float) -> int:
    """Print the summary and what went wrong; returns the exit code."""
    _print_summary(bundle, agenda, outcome)
    again = f"{count_noun(outcome.missing, 'job')} not done: run again to go on"
    if outcome.signal is not None and outcome.missing:
        print(f"stopped by {signal.Signals(outcome.signal).name}: {again}")
        return 128 + outcome.signal
    sys.stdout.flush()
    for line in report_failures(outcome):
        print(f"hcrc: error: {line}", file=sys.stderr)
    if outcome.failures:
        print(again)
        return 1
    ran = count_noun(count_run(outcome.tasks), "cell")
    print(f"done: {ran} in {format_seconds(seconds)}")
    return 0


def _print_summary(bundle: Bundle, agenda: Agenda, outcome: Outcome) -> None:
    for line in summarise(bundle, agenda, outcome):
        print(printable(line))
