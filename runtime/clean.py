"""Remove the results of a bundle's cells, and nothing else that lies in their folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .bundle import Bundle
from .record import RESULT
from .result import find_attempts


def find_results(bundle: Bundle) -> Iterator[tuple[str, Path]]:
    """The cells with anything to remove, by id and folder, last first."""
    for task in reversed(bundle.tasks):
        for head in bundle.heads(task.first, task.end):
            for cell in head.cells:
                home = Path(cell.output)
                if is_own(home / RESULT) or find_attempts(home):
                    yield cell.id, home


def is_own(path: Path) -> bool:
    """Whether a file was written by hcrc, of whatever version; a name alone says nothing."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "hcrc" in value and "attempt" in value


def remove_result(home: Path) -> None:
    """Remove a cell's result, first the file that names it; raises :class:`OSError`."""
    if is_own(home / RESULT):
        (home / RESULT).unlink(missing_ok=True)
    for folder in find_attempts(home):
        shutil.rmtree(folder)
    for file in (*home.glob(f".{RESULT}.*.tmp"), home / ".lock"):
        file.unlink(missing_ok=True)
    with suppress(OSError):  # something else lies there
        home.rmdir()
