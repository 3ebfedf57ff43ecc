"""Whether a result holds: made from what the plan asks for, with files and inputs as they were."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from .errors import DataError
from .record import RESULT, InputFile, Result, fingerprint, is_missing, load_result, read_status


class PlannedCell(Protocol):
    """The part of a cell that says whether its result holds."""

    @property
    def output(self) -> str:
        """The cell's folder."""

    @property
    def hash(self) -> str:
        """The hash of what the result has to be made from."""


@dataclass(frozen=True, slots=True)
class Change:
    """Why a result does not hold, in a few words, and what changed: as it was, as it is."""

    reason: str
    before: int | str | None = None
    after: int | str | None = None


class KnownResults:
    """Which result lies at a path; a file is read again only when it was replaced.

    A result is only ever replaced by a new file, so inode, time and size tell.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[tuple[int, int, int], str, str]] = {}

    def identify(self, path: str) -> tuple[str, str]:
        """The uuid and the cell of the result at a path; raises :class:`DataError`."""
        try:
            status = read_status(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path!r}: {getattr(error, 'strerror', None) or error}") from error
        mark = (status.st_ino, status.st_mtime_ns, status.st_size)
        seen = self._seen.get(path)
        if seen is None or seen[0] != mark:
            result = load_result(path)
            seen = self._seen[path] = (mark, result.uuid, result.cell)
        return seen[1], seen[2]


def stale_reason(cell: PlannedCell, known: KnownResults | None = None) -> str | None:
    """Why the cell has to run, in a few words; None if its result holds.

    ``known`` saves reading an upstream result again for each cell that depends on it.
    """
    try:
        result = load_result(f"{cell.output}/{RESULT}")
    except DataError as error:
        return "no result yet" if is_missing(error) else str(error)
    if result.hash != cell.hash:
        return "its definition changed"
    changes = find_changes(result, known or KnownResults())
    return next((change.reason for change in changes), None)


def find_changes(result: Result, known: KnownResults) -> Iterator[Change]:
    """What is no longer as the result has it: its own files, its inputs, results it was made of."""
    yield from _changed_outputs(result)
    yield from _changed_heir(result)
    yield from _changed_inputs(result)
    yield from _changed_upstream(result, known)


def _changed_outputs(result: Result) -> Iterator[Change]:
    folder = str(result.folder)
    for row in result.files.values():
        try:
            status = read_status(f"{folder}/{row.path}")
        except FileNotFoundError:
            yield Change(f"output {row.path} is gone")
        except (OSError, ValueError) as error:
            yield Change(f"output {row.path!r}: {getattr(error, 'strerror', None) or error}")
        else:
            if status.st_size != row.size or not stat.S_ISREG(status.st_mode):
                yield Change(f"output {row.path} changed", row.size, status.st_size)


def _changed_heir(result: Result) -> Iterator[Change]:
    """Whether what was made of removed files is still there, and whole."""
    heir = result.heir
    if heir is None:
        return
    gone = f"outputs were removed when {heir.cell} was made of them"
    try:
        now = load_result(heir.result)
    except DataError as error:
        yield Change(f"{gone}, and its result is gone: {error}")
        return
    if now.uuid != heir.uuid:
        yield Change(f"{gone}, and it was made again", heir.uuid, now.uuid)
    for change in _changed_outputs(now):
        yield Change(f"{gone}, and its {change.reason}", change.before, change.after)


def _changed_inputs(result: Result) -> Iterator[Change]:
    for seen in result.inputs:
        try:
            now = fingerprint(seen.path)
        except DataError as error:
            yield Change(f"input {error}")
            continue
        if (now.size, now.mtime_ns) != (seen.size, seen.mtime_ns):
            yield Change(f"input {seen.path} changed", _show_input(seen), _show_input(now))


def _show_input(file: InputFile) -> str:
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(file.mtime_ns // 10**9))
    return f"{file.size} bytes of {moment}"


def _changed_upstream(result: Result, known: KnownResults) -> Iterator[Change]:
    for seen in result.upstream:
        try:
            now, cell = known.identify(seen.result)
        except DataError as error:
            yield Change(f"upstream {error}")
            continue
        if now != seen.uuid:
            yield Change(f"{cell} was made again", seen.uuid, now)
