"""Remove the results of a bundle's cells, and nothing else that lies in their folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .bundle import Bundle
from .locks import CELL_LOCK, lock_folder
from .record import CHECKPOINT, RESULT
from .result import UNFINISHED, find_attempts


def find_results(bundle: Bundle) -> Iterator[tuple[str, Path, Path]]:
    """The cells with anything to remove, last first: id, folder, and the folder of its task."""
    for task in reversed(bundle.tasks):
        for head in bundle.heads(task.first, task.end):
            for cell in head.cells:
                home = Path(cell.output)
                if is_own(home / RESULT) or find_attempts(home) or (home / CHECKPOINT).exists():
                    yield cell.id, home, Path(task.root)


def is_own(path: Path) -> bool:
    """Whether a file was written by hcrc, of whatever version; a name alone says nothing."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "hcrc" in value and "attempt" in value


def remove_result(home: Path, root: Path) -> None:
    """Remove a cell's result, first the file that names it, and what is empty then below a root.

    Raises :class:`StorageError` if a process works there, or :class:`OSError`.
    """
    with lock_folder(home):
        if is_own(home / RESULT):
            (home / RESULT).unlink(missing_ok=True)
        for folder in find_attempts(home):
            shutil.rmtree(folder)
        unfinished = [file for pattern in UNFINISHED for file in home.glob(pattern)]
        for file in (*unfinished, home / CHECKPOINT, home / CELL_LOCK):
            file.unlink(missing_ok=True)
    below = [home, *home.parents] if home.is_relative_to(root) else []
    with suppress(OSError):  # something else lies there
        for folder in below[: below.index(root)] if root in below else ():
            folder.rmdir()


def remove_root_lock(lock: Path) -> None:
    """Remove the lock of a task's folder, which is held, and the folder if it is empty then."""
    lock.unlink(missing_ok=True)
    with suppress(OSError):  # something else lies there
        lock.parent.rmdir()
