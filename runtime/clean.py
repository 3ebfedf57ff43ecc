"""Remove the results of a bundle's cells, and nothing else that lies in their folders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .bundle import Bundle
from .locks import CELL_LOCK, lock_folder
from .record import CHECKPOINT, RESULT
from .result import find_attempts, find_unfinished, remove_tree
from .retire import remove_empty
from .storage import Place, find_place


def find_results(bundle: Bundle) -> Iterator[tuple[str, Place, Place]]:
    """The cells with anything to remove, last first: id, folder, and the folder of its task."""
    for task in reversed(bundle.tasks):
        for head in bundle.heads(task.first, task.end):
            for cell in head.cells:
                home = find_place(cell.output)
                if is_own(home / RESULT) or find_attempts(home) or (home / CHECKPOINT).exists():
                    yield cell.id, home, find_place(task.root)


def is_own(path: Place) -> bool:
    """Whether a file was written by hcrc, of whatever version; a name alone says nothing."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "hcrc" in value and "attempt" in value


def remove_result(home: Place, root: Place) -> None:
    """Remove a cell's result, first the file that names it, and what is empty then below a root.

    Raises :class:`StorageError` if a process works there, or :class:`OSError`.
    """
    with lock_folder(home):
        if is_own(home / RESULT):
            (home / RESULT).unlink(missing_ok=True)
        for folder in find_attempts(home):
            remove_tree(folder)
        for file in (*find_unfinished(home), home / CHECKPOINT, home / CELL_LOCK):
            file.unlink(missing_ok=True)
    remove_empty([home / RESULT], root)


def remove_root_lock(lock: Path) -> None:
    """Remove the lock of a task's folder, which is held, and the folder if it is empty then."""
    lock.unlink(missing_ok=True)
    with suppress(OSError):  # something else lies there
        lock.parent.rmdir()
