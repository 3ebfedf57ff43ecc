"""Results: a cell's outputs appear whole or not at all.

A cell's folder holds ``result.json`` and one folder for each attempt that is not yet cleaned up.
Everything an attempt writes lies in its own folder; ``result.json`` is replaced last and names
the files that count, so whatever dies earlier leaves the earlier result as it was.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import secrets
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from .errors import DataError, SpecError, StorageError
from .spec import Cell

RESULT = "result.json"
ATTEMPT_PREFIX = "try-"
LIBRARIES = ("torch", "numpy", "awkward", "uproot", "matplotlib")


@dataclass(frozen=True)
class InputFile:
    """What was known of an input when it was read; ``uuid`` is a ROOT file's own."""

    path: str
    size: int
    mtime_ns: int
    uuid: str | None = None


@dataclass(frozen=True)
class OutputFile:
    """A file that counts; ``path`` is relative to the cell's folder, sha256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Upstream:
    """A result of another cell that was read, as it was then."""

    result: str
    uuid: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one attempt made of a cell, and what made it.

    ``files`` are by a name that the task gives; ``data`` is the task's own.
    """

    uuid: str
    cell: str
    task: str
    hash: str
    attempt: str
    files: dict[str, OutputFile]
    inputs: list[InputFile]
    upstream: list[Upstream]
    spec: dict[str, Any]
    provenance: dict[str, Any]
    data: dict[str, Any]
    folder: Path

    def path(self, name: str) -> Path:
        """Where the file of that name lies; raises :class:`DataError` if there is none."""
        if name not in self.files:
            raise DataError(f"{self.folder / RESULT}: names no file {name!r}")
        return self.folder / self.files[name].path


def fingerprint(path: str | Path, root_uuid: str | None = None) -> InputFile:
    """Size and modification time of a local file; raises :class:`DataError`."""
    try:
        stat = os.stat(path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    return InputFile(str(path), stat.st_size, stat.st_mtime_ns, root_uuid)


def load_result(path: str | Path) -> Result:
    """The result in a ``result.json``; raises :class:`DataError` if it is not one."""
    try:
        value = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict) or value.pop("hcrc", None) != 1:
        raise DataError(f"{path}: not a result of hcrc 1")
    try:
        value["files"] = {name: OutputFile(**row) for name, row in value["files"].items()}
        value["inputs"] = [InputFile(**row) for row in value["inputs"]]
        value["upstream"] = [Upstream(**row) for row in value["upstream"]]
        return Result(**value, folder=Path(path).absolute().parent)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a result of hcrc 1: {error}") from error


def stale_reason(cell: Cell) -> str | None:
    """Why the cell has to run, in a few words; None if its result holds."""
    path = Path(cell.output) / RESULT
    if not path.exists():
        return "no result yet"
    try:
        result = load_result(path)
    except DataError as error:
        return str(error)
    if result.hash != cell.hash:
        return "its definition changed"
    return _changed_file(result) or _changed_upstream(result)


def _changed_file(result: Result) -> str | None:
    for row in result.files.values():
        path = result.folder / row.path
        if not path.is_file():
            return f"output {row.path} is gone"
        if path.stat().st_size != row.size:
            return f"output {row.path} changed"
    for seen in result.inputs:
        try:
            now = fingerprint(seen.path)
        except DataError as error:
            return f"input {error}"
        if (now.size, now.mtime_ns) != (seen.size, seen.mtime_ns):
            return f"input {seen.path} changed"
    return None


def _changed_upstream(result: Result) -> str | None:
    for seen in result.upstream:
        try:
            now = load_result(seen.result)
        except DataError as error:
            return str(error)
        if now.uuid != seen.uuid:
            return f"{now.cell} was made again"
    return None


@dataclass
class Attempt:
    """One try at a cell: a private folder to write in, and the record of what was read."""

    cell: Cell
    folder: Path
    started: float = field(default_factory=time.time)
    inputs: dict[str, InputFile] = field(default_factory=dict)
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
        self.inputs[str(path)] = fingerprint(path, root_uuid)

    def read_result(self, path: str | Path, cell_hash: str | None = None) -> Result:
        """Load and record a result of another cell; its hash must be the one planned."""
        result = load_result(path)
        if cell_hash is not None and result.hash != cell_hash:
            raise DataError(f"{path}: made from another definition of {result.cell}")
        self.upstream[str(path)] = Upstream(str(path), result.uuid)
        return result

    def commit(self, files: dict[str, Path], data: dict[str, Any], **provenance: Any) -> Result:
        """Make this attempt the cell's result: files by name, and the task's own data."""
        home = Path(self.cell.output)
        result = Result(
            uuid=str(uuid.uuid4()),
            cell=self.cell.id,
            task=self.cell.task,
            hash=self.cell.hash,
            attempt=self.name,
            files={name: _describe(path, home) for name, path in files.items()},
            inputs=list(self.inputs.values()),
            upstream=list(self.upstream.values()),
            spec=self.cell.raw,
            provenance=_provenance(self.started) | provenance,
            data=data,
            folder=home,
        )
        write_json(home / RESULT, _to_json(result))
        return result


@contextmanager
def open_attempt(cell: Cell) -> Iterator[Attempt]:
    """An attempt at the cell, alone in its folder.

    What earlier attempts left behind is removed, and so is this one's folder if it fails.
    Raises :class:`StorageError` if another process works in the folder.
    """
    home = Path(cell.output)
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / ".lock").open("w")
    except OSError as error:
        raise StorageError(f"{home}: {error.strerror}") from error
    with lock:
        _lock(lock, home)
        _sweep(home)
        attempt = Attempt(cell, home / _attempt_name())
        attempt.folder.mkdir()
        try:
            yield attempt
        finally:
            _sweep(home)


def _lock(lock: TextIO, home: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StorageError(f"{home}: another process is working in this folder") from error


def _attempt_name() -> str:
    return (
        f"{ATTEMPT_PREFIX}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
    )


def _sweep(home: Path) -> None:
    """Remove the folders of all attempts but the one that counts."""
    try:
        kept = load_result(home / RESULT).attempt
    except DataError:
        kept = ""
    for folder in home.glob(f"{ATTEMPT_PREFIX}*"):
        if folder.name != kept:
            shutil.rmtree(folder, ignore_errors=True)


def _describe(path: Path, home: Path) -> OutputFile:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return OutputFile(path.relative_to(home).as_posix(), path.stat().st_size, digest)


def _to_json(result: Result) -> dict[str, Any]:
    value = asdict(result)
    del value["folder"]
    return {"hcrc": 1, **value}


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
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one step; NaN is refused, as JSON has none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise SpecError(f"{path}: {error}") from error
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
