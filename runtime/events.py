"""Progress and metrics of a running job, as JSON lines that a scheduler or a monitor reads.

Each line is one event of ``schemas/event.schema.json``: ``time`` (seconds since 1970),
``cell``, ``event`` and the event's own fields.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, Self

LEVELS: Final = ("debug", "info", "warning", "error")


class EventWriter:
    """Appends events to a file, line by line; without a path it writes nothing.

    Messages below ``level`` are left out. Opening and writing raise :class:`OSError`.
    """

    def __init__(self, path: str | Path | None = None, level: str = "info") -> None:
        self._stream: IO[str] | None = None
        self._kept = LEVELS[LEVELS.index(level) :]
        if path is not None:
            self._stream = open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what is said afterwards is written nowhere."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def progress(self, cell: str, step: str, done: int, total: int) -> None:
        """``done`` of ``total`` units of a step (``"read"``, ``"train fold 1"``) are through."""
        self._write("progress", cell, step=step, done=done, total=total)

    def metric(self, cell: str, name: str, value: float, **where: int) -> None:
        """One number of a running training, at ``where`` (fold, epoch); NaN becomes null."""
        number = value if math.isfinite(value) else None
        self._write("metric", cell, name=name, value=number, where=where)

    def message(self, cell: str, text: str, level: str = "info") -> None:
        """One line for the user: a warning, or what the job decided by itself."""
        if level in self._kept:
            self._write("message", cell, level=level, text=text)

    def failure(self, cell: str, code: int, text: str, traceback: str | None) -> None:
        """What ended the job; the traceback is for what nobody expected."""
        self._write("failure", cell, code=code, text=text, traceback=traceback)

    def _write(self, event: str, cell: str, **fields: Any) -> None:
        if self._stream is not None:
            line = {"time": round(time.time(), 3), "cell": cell, "event": event, **fields}
            self._stream.write(json.dumps(line, allow_nan=False) + "\n")


class EventReader:
    """Follows an event file that a job appends to, from where it ends now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def read(self) -> Iterator[dict[str, Any]]:
        """The events since the last call; a line that is not whole yet waits for the next."""
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield from _parse_event(line)


def _parse_event(line: bytes) -> list[dict[str, Any]]:
    """The event of a line; none if a killed job left something else there."""
    try:
        event = json.loads(line)
    except ValueError:
        return []
    return [event] if isinstance(event, dict) else []
