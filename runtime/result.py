"""Results: a cell's outputs appear whole or not at all.

A cell's folder holds ``result.json`` and one folder for each attempt that is not yet cleaned up.
Everything an attempt writes lies in its own folder; ``result.json`` is replaced last, after all it
names is on disk, and names the files that count, so whatever dies earlier leaves the earlier
result as it was. A cell's folder may be a root:// address: the attempt is made in a local folder
then, and its files are copied, ``result.json`` last.
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
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
from .storage import Place, Url, find_place

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

UNFINISHED: Final = re.compile(
    rf"\.{re.escape(RESULT)}\..*\.tmp|\.?{re.escape(CHECKPOINT)}\..*\.tmp"
)
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
    outputs: dict[str, OutputFile] = field(default_factory=dict)
    counts: bool = False

    @property
    def home(self) -> Place:
        """The cell's folder."""
        return find_place(self.cell.output)

    @property
    def name(self) -> str:
        """The attempt's name, unique among all attempts at the cell."""
        return self.folder.name

    def path(self, name: str) -> Path:
        """Where to write a file of the attempt; the folders above it are made."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def address(self, path: Path) -> str:
        """Where a file of the attempt will lie when it counts: its absolute path, or its URL."""
        return str(self.home / self.name / path.relative_to(self.folder).as_posix())

    def read(self, path: str | Place, root_uuid: str | None = None) -> None:
        """Record an input, so that a change of it makes the result stale."""
        self.inputs.read(path, root_uuid)

    def read_result(self, path: str | Place, cell_hash: str | None = None) -> Result:
        """Load and record a result of another cell; its hash must be the one planned."""
        result = load_result(path)
        if cell_hash is not None and result.hash != cell_hash:
            raise DataError(f"{path}: made from another definition of {result.cell}")
        self.upstream[str(path)] = Upstream(str(path), result.uuid)
        return result

    def publish(self, files: dict[str, Path]) -> None:
        """Put files, by name, where they will count: on disk with their folders, or copied.

        They lie in the attempt's folder. Raises :class:`StorageError`, :class:`OSError`.
        """
        fresh = {name: path for name, path in files.items() if name not in self.outputs}
        self.outputs |= {name: _describe(path, self.folder) for name, path in fresh.items()}
        if isinstance(self.home, Url):
            for name, path in fresh.items():
                (self.home / self.outputs[name].path).store(path)
            return
        for folder in {parent for path in fresh.values() for parent in _folders(path, self.home)}:
            _sync_folder(folder)

    def commit(self, files: dict[str, Path], data: dict[str, Any], **provenance: Any) -> Result:
        """Make this attempt the cell's result: files by name, and the task's own data.

        The files are published before ``result.json`` names them. Raises :class:`StorageError`,
        :class:`OSError` where that cannot be done.
        """
        self.publish(files)
        result = Result(
            uuid=str(uuid.uuid4()),
            cell=self.cell.id,
            axes=dict(self.cell.axes),
            task=self.cell.task,
            hash=self.cell.hash,
            attempt=self.name,
            files=self.outputs,
            inputs=list(self.inputs.values()),
            upstream=list(self.upstream.values()),
            spec=self.cell.raw,
            provenance=_provenance(self.started) | provenance,
            data=data,
            folder=self.home,
        )
        replace_result(result)
        self.counts = True
        return result


@contextmanager
def open_attempt(cell: Cell) -> Iterator[Attempt]:
    """An attempt at the cell, alone in its folder.

    What earlier attempts left behind is removed, and so is this one's folder if it fails.
    Raises :class:`StorageError` if another process works in the folder. At an address nobody can
    be kept out: only the attempt that counted before is removed there, and this one if it fails.
    """
    home = find_place(cell.output)
    with _open_away(cell, home) if isinstance(home, Url) else _open_here(cell, home) as attempt:
        yield attempt


@contextmanager
def _open_away(cell: Cell, home: Url) -> Iterator[Attempt]:
    """An attempt in a local folder, whose files go to an address."""
    before = _find_counting(home)
    with tempfile.TemporaryDirectory(prefix="hcrc-") as scratch:
        attempt = Attempt(cell, Path(scratch) / _attempt_name())
        attempt.folder.mkdir()
        try:
            yield attempt
        finally:
            gone = before if attempt.counts else attempt.name if attempt.outputs else None
            if gone is not None:
                with suppress(OSError, StorageError):  # nobody counts on it
                    remove_tree(home / gone)


def _find_counting(home: Url) -> str | None:
    """The name of the attempt that counts; None if none does."""
    try:
        return load_result(home / RESULT).attempt
    except DataError:
        return None


@contextmanager
def _open_here(cell: Cell, home: Path) -> Iterator[Attempt]:
    """An attempt in a folder of its own in the cell's folder."""
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
    for file in find_unfinished(home):
        file.unlink(missing_ok=True)
    try:
        kept = load_result(home / RESULT).attempt
    except DataError as error:
        if not is_missing(error):
            return
        kept = ""
    for folder in find_attempts(home):
        if folder.name != kept:
            shutil.rmtree(str(folder), ignore_errors=True)


def find_attempts(home: Place) -> list[Place]:
    """The folders of attempts at a cell; whatever else lies there is somebody's own."""
    found = [path for path in _list_folder(home) if ATTEMPT.fullmatch(path.name)]
    return [path for path in found if isinstance(path, Url) or not path.is_symlink()]


def find_unfinished(home: Place) -> list[Place]:
    """The files in a cell's folder that were not finished under their own names."""
    return [path for path in _list_folder(home) if UNFINISHED.fullmatch(path.name)]


def _list_folder(home: Place) -> list[Place]:
    try:
        return list(home.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove_tree(folder: Place) -> None:
    """Remove a folder with all that is in it."""
    if isinstance(folder, Url):
        folder.remove_tree()
    else:
        shutil.rmtree(folder)


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
    """Write a result in place of the one in its folder.

    Raises :class:`StorageError`, :class:`OSError`.
    """
    value = asdict(result)
    del value["folder"]
    if result.heir is None:
        del value["heir"]
    value = {"hcrc": 1, **value}
    if isinstance(result.folder, Path):
        write_json(result.folder / RESULT, value)
        return
    with tempfile.TemporaryDirectory(prefix="hcrc-") as scratch:
        path = Path(scratch) / RESULT
        write_json(path, value)
        (result.folder / RESULT).store(path)


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
