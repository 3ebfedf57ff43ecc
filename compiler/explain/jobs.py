"""The jobs of a bundle on disk, one at a time: by number, by the id of a job or of a cell."""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..diagnostics import show, suggest
from ..values import Json

SUGGESTED: Final = 2000


class BundleError(Exception):
    """What of a bundle cannot be read or found; the message is one line."""


@dataclass(frozen=True)
class Found:
    """A job of a bundle, and which of its cells are meant."""

    job: Json
    cells: tuple[Json, ...]


class Bundle:
    """A bundle's plan, and its jobs in order; raises :class:`BundleError`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = self._read_plan()
        self._jobs = folder / "jobs.jsonl"

    def _read_plan(self) -> Json:
        path = self.folder / "plan.json"
        try:
            plan = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            text = "not a bundle, which is a folder that hcrc compile prints"
            raise BundleError(f"{self.folder}: {text}") from error
        except OSError as error:
            raise BundleError(f"{path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{path}: not JSON: {error}") from error
        if not isinstance(plan, dict) or plan.get("hcrc") != 1 or "tasks" not in plan:
            raise BundleError(f"{path}: not a plan of hcrc 1")
        return plan

    def lines(self, first: int = 0) -> Iterator[bytes]:
        """The lines of the jobs from a number on."""
        try:
            with self._jobs.open("rb") as lines:
                lines.seek(self._offset(first) if first else 0)
                yield from lines
        except OSError as error:
            raise BundleError(f"{error.filename or self._jobs}: {error.strerror}") from error

    def _offset(self, number: int) -> int:
        with self._jobs.with_suffix(".idx").open("rb") as index:
            index.seek(8 * number)
            entry = index.read(8)
        if len(entry) < 8:
            raise BundleError(f"{self._jobs}: there is no job {number}")
        offset: int = struct.unpack("<Q", entry)[0]
        return offset

    @contextmanager
    def opened(self) -> Iterator[Callable[[int], bytes]]:
        """The lines of the jobs by number, in any order, as long as it is open."""
        try:
            index = self._jobs.with_suffix(".idx").read_bytes()
            with self._jobs.open("rb") as lines:

                def line(number: int) -> bytes:
                    lines.seek(struct.unpack_from("<Q", index, 8 * number)[0])
                    return lines.readline()

                yield line
        except OSError as error:
            raise BundleError(f"{error.filename or self._jobs}: {error.strerror}") from error
        except struct.error as error:
            raise BundleError(f"{self._jobs}: its index is too short: compile again") from error

    def load(self, line: bytes) -> Json:
        """The job in a line."""
        try:
            return json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{self._jobs}: not JSON: {error}") from error

    def find(self, word: str) -> Iterator[Found]:
        """The job of a number or an id, with all its cells; a cell by its id; a task's jobs."""
        tasks = {task["name"]: task["jobs"] for task in self.plan["tasks"]}
        if word.isdecimal() and len(word) < 10:
            yield self._numbered(int(word))
        elif word in tasks:
            first, stop = tasks[word]
            for line in itertools.islice(self.lines(first), stop - first):
                job = self.load(line)
                yield Found(job, tuple(job["cells"]))
        else:
            yield self._named(word)

    def _named(self, word: str) -> Found:
        quoted = json.dumps(word, ensure_ascii=False).encode(errors="surrogatepass")
        for line in self.lines():
            if b'"id":' + quoted not in line:
                continue
            job = self.load(line)
            if job["id"] == word:
                return Found(job, tuple(job["cells"]))
            cells = tuple(cell for cell in job["cells"] if cell["id"] == word)
            if cells:
                return Found(job, cells)
        raise BundleError(self._unknown(word))

    def _numbered(self, number: int) -> Found:
        count = self.plan["jobs"]
        if number >= count:
            raise BundleError(f"{self.folder}: there is no job {number}: they are 0 to {count - 1}")
        job = self.load(next(self.lines(number)))
        return Found(job, tuple(job["cells"]))

    def _unknown(self, word: str) -> str:
        """What to say of a word that is no job: the nearest cells of the task that it names."""
        tasks = {task["name"]: task for task in self.plan["tasks"]}
        name = word.partition("[")[0]
        message = f"{self.folder}: there is no job or cell {show(word)}"
        if name not in tasks:
            return f"{message}: {suggest(word, tasks)}"
        first, stop = tasks[name]["jobs"]
        lines = itertools.islice(self.lines(first), min(stop - first, SUGGESTED))
        ids = [cell["id"] for line in lines for cell in self.load(line)["cells"]]
        return f"{message}: {suggest(word, ids)}"
