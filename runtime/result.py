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
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

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
    is_missing,
    load_result,
)
from .spec import Cell

__all__ = [
    "RESULT",
    "Attempt",
    "Heir",
    "InputFile",
    "Inputs",
    "OutputFile",
    "Result",
    "Upstream",
    "fingerprint",
    "load_result",
    "open_attempt",
    "replace_result",
    "write_json",
]

UNFINISHED: Final = (f".{RESULT}.*.tmp", f"{CHECKPOINT}.*.tmp")
ATTEMPT_PREFIX = "try-"
ATTEMPT: Final = re.compile(ATTEMPT_PREFIX + r"\d{8}T\d{6}Z-[0-9a-f]{6}")
LIBRARIES = ("torch", "numpy", "awkward", "uproot", "matplotlib")


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
        if not is_missing(error):
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
