"""The commands of a bundle on HTCondor: ``submit``, ``status``, ``logs`` and ``cancel``."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ..agenda import decide, select_tasks
from ..bundle import Bundle, open_bundle
from ..capacity import count_noun
from ..errors import SpecError
from ..locks import hold_locks
from ..timestamp import note_moment
from ..why import find_cells
from . import pool
from .dagman import check_files, check_free, read_manager, read_nodes, read_submission, submit
from .nodes import State
from .status import answer_status

PAUSE_S: Final = 0.5
WATCH_S: Final = 2.0
UNFINISHED: Final = 3


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare them."""
    send = commands.add_parser("submit", help="hand the jobs that have to run to DAGMan")
    send.add_argument("--dry-run", action="store_true", help="only say what would be handed over")
    tell = commands.add_parser("status", help="say how the run on HTCondor goes")
    tell.add_argument("--format", choices=("text", "json"), default="text")
    tell.add_argument("--watch", action="store_true", help="say it again until it is over")
    show = commands.add_parser("logs", help="show what a job printed last")
    end = commands.add_parser("cancel", help="take a run, or one of its jobs, from the queue")
    for parser in (send, tell, show, end):
        parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="the folder with plan.json")
    show.add_argument("job", metavar="JOB", help="its number or id")
    show.add_argument("--follow", action="store_true", help="go on while the job runs")
    end.add_argument("job", metavar="JOB", nargs="?", help="its number or id; none: all")


def send_bundle(arguments: argparse.Namespace) -> int:
    """The ``submit`` command."""
    bundle = open_bundle(arguments.bundle)
    check_files(bundle)
    check_free(bundle)
    if not arguments.dry_run:
        bundle = bundle.at(note_moment(bundle.state))
    with hold_locks([] if arguments.dry_run else [bundle.state / "lock"]):
        agenda = decide(bundle, select_tasks(bundle.tasks, [], None, False))
        jobs = count_noun(len(agenda.todo), "job")
        if not agenda.todo:
            print(f"nothing to do: all {agenda.cells} cells are up to date")
            return 0
        if arguments.dry_run:
            print(f"{jobs} would be handed to DAGMan, {agenda.current} cells are up to date")
            return 0
        done = submit(bundle, agenda.todo)
    where = f" of {done.schedd}" if done.schedd else ""
    print(f"submitted  {bundle.name}: {jobs} to DAGMan, cluster {done.cluster}{where}")
    print(f"hcrc status {arguments.bundle}")
    print(f"hcrc cancel {arguments.bundle}")
    return 0


def tell_status(arguments: argparse.Namespace) -> int:
    """The ``status`` command."""
    while True:
        code, lines = answer_status(open_bundle(arguments.bundle), arguments.format)
        print("\n".join(lines), flush=True)
        if code != UNFINISHED or not arguments.watch:
            return code
        time.sleep(WATCH_S)


def show_log(arguments: argparse.Namespace) -> int:
    """The ``logs`` command."""
    bundle = open_bundle(arguments.bundle)
    number = _find_job(bundle, arguments.job)
    path = _newest_log(bundle, number)
    print(f"{path}:", file=sys.stderr)
    with path.open(encoding="utf-8", errors="replace") as stream:
        shutil.copyfileobj(stream, sys.stdout)
        while arguments.follow and _is_running(bundle, number):
            time.sleep(PAUSE_S)
            shutil.copyfileobj(stream, sys.stdout)
            sys.stdout.flush()
    return 0


def _find_job(bundle: Bundle, word: str) -> int:
    """The number of a job; raises :class:`SpecError`."""
    job, _ = next(find_cells(bundle, word))
    return job.number


def _newest_log(bundle: Bundle, number: int) -> Path:
    """The log of a job's last try, here or on HTCondor; raises :class:`SpecError`."""
    found = list((bundle.state / "logs").glob(f"{number}.*.log"))
    if not found:
        raise SpecError(f"job {number} has no log: it was not started yet")
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def _is_running(bundle: Bundle, number: int) -> bool:
    node = read_nodes(bundle, read_manager(bundle)[0]).known.get(number)
    return node is not None and node.state in (State.IDLE, State.RUNNING, State.RETRYING)


def cancel(arguments: argparse.Namespace) -> int:
    """The ``cancel`` command: DAGMan takes its jobs with it."""
    bundle = open_bundle(arguments.bundle)
    submission = read_submission(bundle)
    if submission is None:
        raise SpecError(f"{bundle.folder}: was not submitted")
    cluster = submission.cluster
    if arguments.job is None:
        pool.remove(f"ClusterId == {cluster}", submission.schedd)
        print(f"cancelled  {bundle.name}: cluster {cluster}; hcrc resume goes on where it stopped")
        return 0
    number = _find_job(bundle, arguments.job)
    pool.remove(f'DAGManJobId == {cluster} && DAGNodeName == "{number}"', submission.schedd)
    print(f"cancelled  job {number} of {bundle.name}")
    return 0


COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = MappingProxyType(
    {"submit": send_bundle, "status": tell_status, "logs": show_log, "cancel": cancel}
)
