"""Progress and metrics of a running job, as JSON lines that a scheduler or a monitor reads.

Each line is one event of ``schemas/event.schema.json``: ``time`` (seconds since 1970),
``cell``, ``event`` and the event's own fields.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import IO, Any


class EventWriter:
    """Appends events to a file, line by line; without a path it writes nothing."""

    def __init__(self, path: str | Path | None = None) -> None:
        self._stream: IO[str] | None = None
        if path is not None:
            self._stream = open(path, "a", buffering=1, encoding="utf-8")

    def progress(self, cell: str, step: str, done: int, total: int) -> None:
        """``done`` of ``total`` units of a step (``"read"``, ``"train fold 1"``) are through."""
        self._write("progress", cell, step=step, done=done, total=total)

    def metric(self, cell: str, name: str, value: float, **where: int) -> None:
        """One number of a running training, at ``where`` (fold, epoch)."""
        self._write("metric", cell, name=name, value=value, **where)

    def message(self, cell: str, text: str) -> None:
        """One line for the user: a warning, or what the job decided by itself."""
        self._write("message", cell, text=text)

    def _write(self, event: str, cell: str, **fields: Any) -> None:
        if self._stream is not None:
            line = {"time": round(time.time(), 3), "cell": cell, "event": event, **fields}
            self._stream.write(json.dumps(line) + "\n")
