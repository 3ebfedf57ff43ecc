"""The journal of a bundle: which jobs were started when, and how they ended.

It is for people and monitors; what is done is only ever computed from the results.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Self

from .errors import StorageError


class Journal:
    """Appends a line for each event to ``run/journal.jsonl``.

    Opening raises :class:`OSError`, writing :class:`StorageError`.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._stream = path.open("ab", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, event: str, **fields: Any) -> None:
        """One line: the time, the event (``run``, ``start``, ``end``) and its fields."""
        line = {"time": round(time.time(), 3), "event": event, **fields}
        try:
            self._stream.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}") from error
