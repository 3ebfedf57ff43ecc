"""Results: a cell's outputs appear whole or not at all.

A cell's folder holds ``result.json`` and one folder for each attempt that is not yet cleaned up.
Everything an attempt writes lies in its own folder; ``result.json`` is replaced last, after all it
names is on disk, and names the files that count, so whatever dies earlier leaves the earlier
result as it was.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import socket
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from .errors import DataError, SpecError, StorageError
from .locks import lock_folder
from .record import (
    CHECKPOINT,
    RESULT,
    Heir,
    InputFile,
    Inputs,
    OutputFile,
    Result,
    Upstream,
    fingerprint,
    load_result,
    read_status,
)
from .spec import Cell

__all__ = [
    "RESULT",
    "Attempt",
    "Change",
    "Heir",
    "InputFile",
    "Inputs",
    "KnownResults",
    "OutputFile",
    "PlannedCell",
    "Result",
    "Upstream",
    "find_changes",
    "fingerprint",
    "load_result",
    "open_attempt",
    "replace_result",
    "stale_reason",
    "write_json",
]

UNFINISHED: Final = (f".{RESULT}.*.tmp", f"{CHECKPOINT}.*.tmp")
ATTEMPT_PREFIX = "try-"
ATTEMPT: Final = re.compile(ATTEMPT_PREFIX + r"\d{8}T\d{6}Z-[0-9a-f]{6}")
LIBRARIES = ("torch", "numpy", "awkward", "uproot", "matplotlib")


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
        return "no result yet" if _is_missing(error) else str(error)
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


def _is_missing(error: DataError) -> bool:
    return isinstance(error.__cause__, FileNotFoundError)


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


@dataclass
class Attempt:
    """One try at a cell: a private folder to write in, and the record of what was read."""

    cell: Cell
    folder: Path
    started: float = field(default_factory=time.time)
    inputs: Inputs = field(default_factory=Inputs)
    upstream: dict[str, Upstream] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The attempt's name, unique among all attempts at the cell."""
        return self.folder.name

    def path(self, name: str) -> Path:
        """Where to write a file of the attempt; the folders above it are made."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def read(self, path: str | Path, root_uuid: str | None = None) -> None:
        """Record an input, so that a change of it makes the result stale."""
        self.inputs.read(path, root_uuid)

    def read_result(self, path: str | Path, cell_hash: str | None = None) -> Result:
        """Load and record a result of another cell; its hash must be the one planned."""
        result = load_result(path)
        if cell_hash is not None and result.hash != cell_hash:
            raise DataError(f"{path}: made from another definition of {result.cell}")
        self.upstream[str(path)] = Upstream(str(path), result.uuid)
        return result

    def commit(self, files: dict[str, Path], data: dict[str, Any], **provenance: Any) -> Result:
        """Make this attempt the cell's result: files by name, and the task's own data.

        The files lie in the attempt's folder; they and their folders are on disk before
        ``result.json`` names them. Raises :class:`OSError` where that cannot be done.
        """
        home = Path(self.cell.output)
        outputs = {name: _describe(path, self.folder) for name, path in files.items()}
        for folder in {parent for path in files.values() for parent in _folders(path, home)}:
            _sync_folder(folder)
        result = Result(
            uuid=str(uuid.uuid4()),
            cell=self.cell.id,
            axes=dict(self.cell.axes),
            task=self.cell.task,
            hash=self.cell.hash,
            attempt=self.name,
            files=outputs,
            inputs=list(self.inputs.values()),
            upstream=list(self.upstream.values()),
            spec=self.cell.raw,
            provenance=_provenance(self.started) | provenance,
            data=data,
            folder=home,
        )
        replace_result(result)
        return result


@contextmanager
def open_attempt(cell: Cell) -> Iterator[Attempt]:
    """An attempt at the cell, alone in its folder.

    What earlier attempts left behind is removed, and so is this one's folder if it fails.
    Raises :class:`StorageError` if another process works in the folder.
    """
    if "://" in cell.output:
        raise SpecError(f"{cell.output}: results are written to local folders only")
    home = Path(cell.output)
    with lock_folder(home):
        try:
            _sweep(home)
            attempt = Attempt(cell, home / _attempt_name())
            attempt.folder.mkdir()
            yield attempt
        except OSError as error:
            if error.filename is not None or error.strerror is None:
                raise
            raise StorageError(f"{home}: {error.strerror}") from error
        finally:
            _sweep(home)


def _attempt_name() -> str:
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return f"{ATTEMPT_PREFIX}{moment}-{secrets.token_hex(3)}"


def _sweep(home: Path) -> None:
    """Remove the folders of all attempts but the one that counts, and unfinished files.

    Where ``result.json`` cannot be read now, any of them may be the one that counts.
    """
    for pattern in UNFINISHED:
        for file in home.glob(pattern):
            file.unlink(missing_ok=True)
    try:
        kept = load_result(home / RESULT).attempt
    except DataError as error:
        if not _is_missing(error):
            return
        kept = ""
    for folder in find_attempts(home):
        if folder.name != kept:
            shutil.rmtree(folder, ignore_errors=True)


def find_attempts(home: Path) -> list[Path]:
    """The folders of attempts at a cell; whatever else lies there is somebody's own."""
    found = home.glob(f"{ATTEMPT_PREFIX}*")
    return [path for path in found if ATTEMPT.fullmatch(path.name) and not path.is_symlink()]


def _folders(path: Path, home: Path) -> list[Path]:
    return [parent for parent in path.parents if parent.is_relative_to(home)]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise
    finally:
        os.close(descriptor)


def _describe(path: Path, folder: Path) -> OutputFile:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
    return OutputFile(name, path.stat().st_size, digest)


def replace_result(result: Result) -> None:
    """Write a result in place of the one in its folder; raises :class:`OSError`."""
    value = asdict(result)
    del value["folder"]
    if result.heir is None:
        del value["heir"]
    write_json(result.folder / RESULT, {"hcrc": 1, **value})


def _provenance(started: float) -> dict[str, Any]:
    return {
        "started": started,
        "seconds": round(time.time() - started, 3),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str | None:
    from importlib import metadata  # slow to import, and only a job needs it

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one step, on disk on return; NaN is refused, as JSON has none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise SpecError(f"{path}: {error}") from error
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)
