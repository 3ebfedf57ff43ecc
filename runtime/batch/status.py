"""How a bundle's run on HTCondor goes: a row a task, and what is held or failed, with a remedy.

It is told from files alone: results, DAGMan's logs, the jobs' events. The schedd is asked as a
courtesy, since what the files say may be old.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from ..agenda import Selection, decide, select_tasks
from ..bundle import Bundle, Task
from ..capacity import count_noun
from ..console import format_seconds, printable
from ..errors import StorageError
from ..process import describe_code, last_error
from .dagman import Manager, read_manager, read_nodes, read_submission
from .nodes import Node, Nodes, State
from .pool import PoolError, read_queue

SHOWN: Final = 10
TAIL: Final = 1 << 16
UNREACHABLE: Final = "what is done is told by DAGMan's logs alone"
RULE: Final = "it was held by the pool's own rule: the words are the pool's"
# By the codes of HTCondor's table of HoldReasonCode.
REMEDIES: Final = {
    34: "it took more memory than it asked for: raise resources: {memory: …} of the task",
    12: "its files did not get back: look for space and rights in the bundle's folder",
    13: "its files did not get there: look for the files that it names",
    6: "its program could not be started: is the bundle on a file system that the jobs see?",
    1: "somebody held it: condor_release lets it go on",
    21: RULE,
    26: RULE,
}


@dataclass(frozen=True)
class Trouble:
    """A job that is held or failed: what is known of it, and what may help."""

    job: int
    id: str
    state: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class Row:
    """A task: how many of its jobs are in which state, how many were started again, what runs."""

    task: str
    jobs: int
    states: dict[str, int]
    retried: int
    running: list[str] = field(default_factory=list)
    left_s: float | None = None


@dataclass(frozen=True)
class Status:
    """All of it; ``age_s`` is how old the newest word of DAGMan's is, ``queue`` the schedd's."""

    bundle: str
    cluster: int | None
    manager: str
    rows: list[Row]
    troubles: list[Trouble]
    age_s: float | None
    queue: str

    @property
    def state(self) -> str:
        """The whole in a word: done, running, held, failed, stopped or waiting."""
        states = Counter[str]()
        for row in self.rows:
            states.update(row.states)
        if set(states) <= {State.DONE}:
            return "done"
        if self.manager == Manager.ENDED:
            return "failed" if states[State.FAILED] else "stopped"
        if self.manager == Manager.HELD:
            return "held"
        return "running" if self.cluster is not None else "waiting"


def read_status(bundle: Bundle, ask: bool = True) -> Status:
    """How the run goes now; raises :class:`JobError`."""
    submission = read_submission(bundle)
    manager, moment, why = Manager.ENDED, 0.0, ""
    nodes = Nodes()
    if submission is not None:
        manager, moment, why = read_manager(bundle)
        nodes = read_nodes(bundle, manager)
    troubles = list(_troubles(bundle, nodes))
    try:
        stale: set[int] | None = _stale_jobs(bundle)
    except StorageError as error:
        stale = None
        troubles.insert(0, Trouble(-1, "results", "unknown", str(error), UNREACHABLE))
    rows = [_row(bundle, task, nodes, stale) for task in bundle.tasks]
    if manager is Manager.HELD:
        troubles.insert(0, Trouble(-1, "DAGMan", State.HELD, why, "condor_release lets it go on"))
    newest = max(moment, nodes.moment)
    queue = ""
    if submission is not None and manager is not Manager.ENDED and ask:
        queue = _ask_queue(submission.cluster, submission.schedd)
    return Status(
        str(bundle.folder),
        None if submission is None else submission.cluster,
        str(manager) if submission is not None else "not submitted",
        rows,
        troubles,
        time.time() - newest if newest else None,
        queue,
    )


def _stale_jobs(bundle: Bundle) -> set[int]:
    """The jobs whose results do not hold: what is done is computed from results, not from logs."""
    selection: Selection = select_tasks(bundle.tasks, [], None, False)
    return set(decide(bundle, selection).todo)


def _row(bundle: Bundle, task: Task, nodes: Nodes, stale: set[int] | None) -> Row:
    states: Counter[str] = Counter()
    running, seconds, retried = [], [], 0
    for number in range(task.first, task.end):
        node = nodes.known.get(number, Node())
        states[node.state if stale is None else _state(node, number in stale)] += 1
        retried += max(0, node.tries - 1)
        if node.state is State.RUNNING:
            running.append(number)
        if node.state is State.DONE and node.seconds:
            seconds.append(node.seconds)
    left = sum(states.values()) - states[State.DONE] - states[State.FAILED]
    mean = sum(seconds) / len(seconds) if seconds else None
    left_s = mean * left / max(1, len(running)) if mean is not None and left else None
    told = [text for number in running[:SHOWN] if (text := _tell_progress(bundle, number))]
    return Row(task.name, task.end - task.first, dict(states), retried, told, left_s)


def _state(node: Node, stale: bool) -> State:
    """A node's state, where its job's results have the last word."""
    if not stale:
        return State.DONE
    return State.WAITING if node.state is State.DONE else node.state


def _tell_progress(bundle: Bundle, number: int) -> str:
    """What a running job said last of how far it is."""
    step, metrics = "", {}
    for event in _tail_events(bundle.state / "events" / f"{number}.jsonl"):
        if event.get("event") == "progress":
            step = f"{event['cell']}: {event['step']} {event['done']}/{event['total']}"
        elif event.get("event") == "metric" and event.get("value") is not None:
            metrics[str(event["name"])] = event["value"]
    loss = metrics.get("validation loss", metrics.get("training loss"))
    return step + (f", loss {loss:.4g}" if step and isinstance(loss, float) else "")


def _tail_events(path: Path) -> Iterator[dict[str, Any]]:
    """The last events of a job; a line that is not whole is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - TAIL))
            lines = stream.read().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _troubles(bundle: Bundle, nodes: Nodes) -> Iterator[Trouble]:
    for number, node in sorted(nodes.known.items()):
        if node.state is State.HELD and node.hold is not None:
            code, reason = node.hold
            job = bundle.head(number).id
            yield Trouble(number, job, node.state, reason, REMEDIES.get(code, ""))
        elif node.state is State.FAILED:
            yield Trouble(
                number, bundle.head(number).id, node.state, *_why_failed(bundle, number, node)
            )


def _why_failed(bundle: Bundle, number: int, node: Node) -> tuple[str, str]:
    """Why a job failed for good: its own last error, or what it was held for."""
    if node.code is None:
        code, reason = node.hold or (0, "it was removed from the queue")
        return reason, REMEDIES.get(code, "")
    log = bundle.state / "logs" / f"{number}.{node.cluster}.log"
    said = last_error(log) if log.exists() else "its log is not there"
    return f"{describe_code(node.code)}: {said}", f"hcrc logs shows all of it: {log}"


def _ask_queue(cluster: int, schedd: str) -> str:
    """What the schedd has of the run, in words; also that it does not answer."""
    try:
        queue = read_queue(cluster, schedd)
    except PoolError as error:
        return f"the schedd does not answer: {error}"
    if not queue.has_manager:
        return "DAGMan is not in the queue, though its log has no end: hcrc resume goes on"
    return f"{count_noun(queue.jobs, 'job')} in the queue"


def render(status: Status) -> Iterator[str]:
    """The lines that a reader sees."""
    head = f"{status.bundle}: {status.state}"
    if status.cluster is not None:
        age = f", as of {format_seconds(status.age_s)} ago" if status.age_s is not None else ""
        head += f"  (DAGMan: cluster {status.cluster}, {status.manager}{age})"
    yield head
    for row in status.rows:
        shown = [f"{count} {state}" for state in State if (count := row.states.get(state))]
        again = f", {row.retried} tried again" if row.retried else ""
        left = f", about {format_seconds(row.left_s)} left" if row.left_s is not None else ""
        yield f"  {row.task:<12} {row.jobs:>6}  {', '.join(shown) or 'no job'}{again}{left}"
        yield from (f"      {text}" for text in row.running)
    yield from (f"  {line}" for line in _render_troubles(status.troubles))
    if status.queue:
        yield f"  {status.queue}"


def _render_troubles(troubles: list[Trouble]) -> Iterator[str]:
    for trouble in troubles[:SHOWN]:
        yield f"{trouble.state}: {trouble.id}: {trouble.reason}"
        if trouble.remedy:
            yield f"    {trouble.remedy}"
    if len(troubles) > SHOWN:
        yield f"and {len(troubles) - SHOWN} more: --format json has all"


def to_json(status: Status) -> dict[str, Any]:
    """The status for programs."""
    return {"state": status.state, **asdict(status)}


def answer_status(bundle: Bundle, format: str) -> tuple[int, list[str]]:
    """The answer of the ``status`` command: its exit code and lines.

    The code is 0 when all is done, 3 while it goes on, 1 where it stopped. Raises
    :class:`JobError`.
    """
    status = read_status(bundle)
    code = {"done": 0, "running": 3, "waiting": 3}.get(status.state, 1)
    if format == "json":
        return code, [json.dumps(to_json(status), indent=1, ensure_ascii=False)]
    return code, [printable(line) for line in render(status)]
