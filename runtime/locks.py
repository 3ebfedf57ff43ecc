"""One runner at a time on a bundle and on an output folder."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .errors import StorageError

ROOT_LOCK = ".hcrc.lock"


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
def _hold(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{error.filename or path}: {error.strerror}") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read(200).strip() or "another process"
            raise StorageError(f"{path.parent}: {holder} is running here") from error
        except OSError as error:
            raise StorageError(f"{path}: cannot be locked: {error.strerror}") from error
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        stream.flush()
        yield
