"""A workflow or the folder of a bundle in, rows of the names in it out.

The file is read and parsed, nothing of it is executed; what is wrong with it is not said here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from ..files import Disk
from ..nodes import Mapping, Node, Scalar, Sequence
from ..sources import Sources
from .cache import Rows, row, stamp
from .grammar import LIST

LONE = re.compile(r"\{([A-Za-z_]\w*)\}")
MAX_JOBS = 1000


class WatchedDisk(Disk):
    """A disk that remembers the states of what it was asked for, missing files too."""

    def __init__(self) -> None:
        super().__init__()
        self.stamps: dict[str, str] = {}

    def read(self, path: Path) -> bytes:
        """All of a file."""
        self.stamps.setdefault(str(path), stamp(str(path)))
        return super().read(path)

    def is_file(self, path: Path) -> bool:
        """Whether there is a file to read."""
        self.stamps.setdefault(str(path), stamp(str(path)))
        return super().is_file(path)


def read_facts(path: str) -> tuple[Rows, dict[str, str]]:
    """The rows of a workflow or a bundle, and the states of the files that they come from."""
    plan = Path(path, "plan.json")
    stamps = {str(plan): stamp(str(plan))}
    if plan.is_file():
        return list(_bundle(Path(path))), stamps
    disk = WatchedDisk()
    sources = Sources(Path("/"), disk)
    sources.read(Path(path))
    roots = [item.root for item in sources.documents if isinstance(item.root, Mapping)]
    rows = [*_definitions(roots), *_workflow(roots[0])] if roots else []
    return rows, {**stamps, **disk.stamps, path: disk.stamps.get(path, stamp(path))}


def _bundle(folder: Path) -> Iterator[list[str]]:
    """The tasks and cells of a bundle."""
    try:
        plan = json.loads((folder / "plan.json").read_bytes())
        for task in plan["tasks"]:
            yield row("task", task["name"], f"{task['task']} task")
        with (folder / "jobs.jsonl").open("rb") as file:
            for _, line in zip(range(MAX_JOBS), file, strict=False):
                for cell in json.loads(line)["cells"]:
                    yield row("job", cell["id"], "a cell")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return


def _definitions(roots: list[Mapping]) -> Iterator[list[str]]:
    for root in roots:
        for section in ("datasets", "classifiers"):
            for name, node in _entries(root, section):
                yield row(section.removesuffix("s"), name, _text(node, "help"))


def _workflow(root: Mapping) -> Iterator[list[str]]:
    for name, node in _entries(root, "parameters"):
        choices = node.get("choices") if isinstance(node, Mapping) else None
        items = choices.items if isinstance(choices, Sequence) else ()
        texts = [item.text for item in items if isinstance(item, Scalar)]
        listed = LIST.join(" ".join(text.split()) for text in texts)
        head = row("parameter", name, _text(node, "type"), _text(node, "default"))
        yield [*head, listed, *row(_text(node, "help"))]
    for name, node in _entries(root, "tasks"):
        kind = f"{_text(node, 'task')} task"
        yield row("task", name, _text(node, "help") or kind)
        yield from _names_drawn_on(node)
    for name, node in _entries(root, "settings"):
        for key, value in node.items() if isinstance(node, Mapping) else ():
            if isinstance(value.value, Scalar):
                yield row("value", name, key, value.value.text)


def _names_drawn_on(task: Node) -> Iterator[list[str]]:
    """The parameters that name a dataset or a classifier of a task."""
    for key in ("classifier", "datasets"):
        node = task.get(key) if isinstance(task, Mapping) else None
        for item in node.items if isinstance(node, Sequence) else (node,):
            used = item.get("use") if isinstance(item, Mapping) else item
            found = LONE.fullmatch(used.text) if isinstance(used, Scalar) else None
            if found:
                yield row("names", found[1], key.removesuffix("s"))


def _entries(root: Mapping, section: str) -> Iterator[tuple[str, Node]]:
    node = root.get(section)
    if isinstance(node, Mapping):
        for name, entry in node.items():
            yield name, entry.value


def _text(node: Node, key: str) -> str:
    value = node.get(key) if isinstance(node, Mapping) else None
    return value.text if isinstance(value, Scalar) else ""
