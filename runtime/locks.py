"""One runner at a time on a bundle and on an output folder, one process in a cell's folder.

A lock file is removed only by who holds it; whoever waited at the removed file takes the new one.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Final, TextIO

from .errors import StorageError
from .storage import Place, Url

ROOT_LOCK: Final = ".hcrc.lock"
CELL_LOCK: Final = ".lock"


@contextmanager
def hold_locks(paths: Iterable[Path]) -> Iterator[None]:
    """Hold all of these lock files, or raise :class:`StorageError` that names who holds one.

    The kernel lets go of them however the process ends; the files stay.
    """
    with ExitStack() as held:
        for path in sorted(set(paths)):
            held.enter_context(_hold(path))
        yield


@contextmanager
def lock_folder(home: Place) -> Iterator[None]:
    """Work in a cell's folder, alone; raises :class:`StorageError` that names who does.

    At an address there are no locks: nobody is kept out.
    """
    with nullcontext() if isinstance(home, Url) else _hold(home / CELL_LOCK):
        yield


@contextmanager
def _hold(path: Path) -> Iterator[None]:
    stream = _open(path)
    _lock(path, stream)
    while not _is_there(path, stream):
        stream.close()
        stream = _open(path)
        _lock(path, stream)
    with stream:
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        stream.flush()
        yield


def _open(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{error.filename or path}: {error.strerror}") from error


def _lock(path: Path, stream: TextIO) -> None:
    """Lock an open file, or close it and raise :class:`StorageError`."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.seek(0)
        holder = stream.read(200).strip() or "another process"
        stream.close()
        raise StorageError(f"{path.parent}: {holder} is running here") from error
    except OSError as error:
        stream.close()
        raise StorageError(f"{path}: cannot be locked: {error.strerror}") from error


def _is_there(path: Path, stream: TextIO) -> bool:
    """Whether a path still leads to the open file: another process may have removed it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False
