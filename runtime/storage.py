"""Files at root:// addresses, read and written through XRootD's own client.

A :class:`Url` has the methods of :class:`~pathlib.Path` that the runtime needs, so that a *place*
is either. Each request is tried again, with longer and longer waits, where the server or the
network failed; what a server answers, such as that there is no file, is not. Raised are
:class:`StorageError` for storage that cannot be reached or written now, :class:`FileNotFoundError`
for what is not there, and :class:`OSError` for other answers of a server to one who reads.
"""

from __future__ import annotations

import errno
import posixpath
import secrets
import stat
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias

from .errors import DataError, SpecError, StorageError

SCHEME: Final = "root://"
DELAYS_S: Final = (1.0, 4.0)
BLOCK: Final = 8 << 20
TIMEOUT_S: Final = 120
# The client's own waits, which would add up to many minutes for a server that is gone.
CLIENT: Final = {
    "ConnectionWindow": 15,
    "ConnectionRetry": 2,
    "StreamErrorWindow": 15,
    "RequestTimeout": TIMEOUT_S,
}
# Answers of a server (kXR_…), as the system would say them; every other one is worth another try.
SERVER_ERROR: Final = 400
ANSWERS: Final = {
    3000: errno.EINVAL,
    3002: errno.ENAMETOOLONG,
    3006: errno.EINVAL,
    3010: errno.EACCES,
    3011: errno.ENOENT,
    3013: errno.EOPNOTSUPP,
    3015: errno.EISDIR,
    3016: errno.EISDIR,
    3017: errno.EINVAL,
    3018: errno.EEXIST,
}
UNSUPPORTED: Final = {errno.EOPNOTSUPP, errno.EINVAL}


class Status(NamedTuple):
    """What is known of a file: its size in bytes, when it changed, and an id of the server's."""

    st_size: int
    st_mtime_ns: int
    st_ino: int
    st_mode: int


@dataclass(frozen=True, order=True)
class Url:
    """An address ``root://HOST//PATH`` of a file or a folder."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, name: str) -> Url:
        return Url(f"{self.text.rstrip('/')}/{name}")

    @cached_property
    def _parts(self) -> tuple[str, str]:
        """The server, and the path there."""
        host, _, path = self.text.removeprefix(SCHEME).partition("/")
        return f"{SCHEME}{host}", f"/{path.lstrip('/')}"

    @property
    def path(self) -> str:
        """The absolute path at its server."""
        return self._parts[1]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(self.path)

    @property
    def parent(self) -> Url:
        """The folder that it lies in."""
        server, path = self._parts
        return Url(f"{server}/{posixpath.dirname(path)}")

    def stat(self) -> Status:
        """What its server knows of it."""
        return self._read_status(self._ask("stat", self.path))

    @staticmethod
    def _read_status(found: Any) -> Status:
        kind = stat.S_IFDIR if found.flags & _client().flags.StatInfoFlags.IS_DIR else stat.S_IFREG
        number = int(found.id) if found.id.isdecimal() else 0
        return Status(int(found.size), int(found.modtime) * 10**9, number, kind)

    def exists(self) -> bool:
        """Whether there is anything."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def read_bytes(self) -> bytes:
        """All of a file."""
        content: bytes = _again(self, lambda: b"".join(self._blocks()))
        return content

    def read_text(self, encoding: str = "utf-8") -> str:
        """All of a file, as text."""
        return self.read_bytes().decode(encoding)

    def fetch(self, path: Path) -> None:
        """Copy a file to a local path, whole."""

        def copy() -> None:
            with path.open("wb") as stream:
                for block in self._blocks():
                    stream.write(block)

        size = self.stat().st_size
        _again(self, copy)
        if path.stat().st_size != size:
            raise StorageError(f"{self}: {path.stat().st_size} bytes of {size} were read")

    def iterdir(self) -> Iterator[Url]:
        """What lies in a folder, by name."""
        for name in sorted(row.name for row in self._ask("dirlist", self.path)):
            yield self / name

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove a file."""
        self._remove("rm", missing_ok)

    def rmdir(self) -> None:
        """Remove a folder that is empty; servers do not tell apart why they cannot."""
        for child in self.iterdir():
            raise OSError(errno.ENOTEMPTY, "the folder is not empty", str(child))
        self._remove("rmdir", missing_ok=True)

    def store(self, path: Path) -> None:
        """Write the contents of a local file, whole or not at all, in place of what is there.

        They go to a temporary name beside it, are held against their size and, where the server
        can, their checksum, and are renamed then.
        """
        temporary = self.parent / f".{self.name}.{secrets.token_hex(6)}.tmp"
        try:
            _again(temporary, lambda: temporary._write(path), writing=True)
            _again(self, lambda: self._take_place(temporary), writing=True)
        except BaseException:
            temporary._forget()
            raise

    def remove_tree(self) -> None:
        """Remove a folder with all that is in it."""
        for place in self.iterdir():
            if stat.S_ISDIR(place.stat().st_mode):
                place.remove_tree()
            else:
                place.unlink(missing_ok=True)
        self.rmdir()

    def _ask(self, method: str, *words: Any) -> Any:
        """The answer of the server to a request, asked again where storage failed."""
        return _again(self, lambda: self._request(method, *words))

    def _request(self, method: str, *words: Any) -> Any:
        """The answer of the server to a request, asked once."""
        system = _client().client.FileSystem(self._parts[0])
        return _check(self, getattr(system, method)(*words, timeout=TIMEOUT_S))

    def _remove(self, method: str, missing_ok: bool) -> None:
        try:
            self._ask(method, self.path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def _forget(self) -> None:
        """Remove a file that nobody misses, if that can be done; asked once."""
        with suppress(OSError, StorageError):
            self._request("rm", self.path)

    def _blocks(self) -> Iterator[bytes]:
        with _open(self, "READ") as file:
            offset = 0
            while block := _check(self, file.read(offset, BLOCK, timeout=TIMEOUT_S)):
                yield block
                offset += len(block)

    def _write(self, path: Path) -> None:
        """Write a file under this name, and see that it arrived."""
        size, checksum = 0, 1
        with path.open("rb") as stream, _open(self, "DELETE", "MAKEPATH") as file:
            for block in _read_blocks(stream):
                _check(self, file.write(block, size, timeout=TIMEOUT_S))
                size, checksum = size + len(block), zlib.adler32(block, checksum)
        arrived = self._read_status(self._request("stat", self.path)).st_size
        if arrived != size:
            raise StorageError(f"{self}: {arrived} bytes of {size} arrived")
        found = self._checksum()
        if found is not None and found != checksum:
            raise StorageError(f"{self}: other bytes arrived than were sent")

    def _checksum(self) -> int | None:
        """The Adler-32 checksum that the server gives; None if it does not."""
        code = _client().flags.QueryCode.CHECKSUM
        try:
            answer = self._request("query", code, self.path).decode("ascii", "replace")
        except OSError as error:
            if error.errno in UNSUPPORTED:
                return None
            raise
        kind, _, value = answer.strip("\0 \n").partition(" ")
        return int(value, 16) if kind == "adler32" else None

    def _take_place(self, temporary: Url) -> None:
        """Rename; where a server does not put one file in the place of another, after removing."""
        try:
            temporary._request("mv", temporary.path, self.path)
        except FileExistsError:
            self._request("rm", self.path)
            temporary._request("mv", temporary.path, self.path)


Place: TypeAlias = Path | Url


def is_url(text: str) -> bool:
    """Whether a text is the address of a place elsewhere."""
    return "://" in text


def find_place(text: str) -> Place:
    """The place that a text names; raises :class:`SpecError` for a URL of another kind."""
    if not is_url(text):
        return Path(text)
    if not text.startswith(SCHEME):
        kind = text.partition("://")[0]
        raise SpecError(f"{text}: {kind}:// is not supported; only local files and root://")
    server, _, path = text.removeprefix(SCHEME).partition("/")
    return Url(f"{SCHEME}{server}/{posixpath.normpath('/' + path.lstrip('/'))}")


def fetch(place: Place) -> Path:
    """A local path with the bytes of a place: its own, or that of a copy, made once a process.

    Raises :class:`DataError` if there is nothing to copy.
    """
    if isinstance(place, Path):
        return place
    try:
        return _copy(place)
    except OSError as error:
        raise DataError(f"{place}: {error.strerror}") from error


@cache
def _copy(url: Url) -> Path:
    path = Path(_scratch().name) / secrets.token_hex(8) / url.name
    path.parent.mkdir()
    url.fetch(path)
    return path


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for copies, which goes with the process."""
    return tempfile.TemporaryDirectory(prefix="hcrc-")


class _Library(NamedTuple):
    """The client's modules."""

    client: Any
    flags: Any


@cache
def _client() -> _Library:
    """XRootD's client, which is imported where there is an address alone.

    Raises :class:`SpecError` where it is not installed.
    """
    try:
        from XRootD import client
        from XRootD.client import env, flags
    except ImportError as error:
        raise SpecError(f"root:// needs the package xrootd: {error}") from error
    put: Any = env.EnvPutInt
    for name, value in CLIENT.items():
        put(name, value)  # a variable XRD_… of the environment is stronger
    return _Library(client, flags)


@contextmanager
def _open(url: Url, *flags: str) -> Iterator[Any]:
    """An open file; closing it tells whether all of what was written is there."""
    library = _client()
    file = library.client.File()
    mode = sum(getattr(library.flags.OpenFlags, name) for name in flags)
    _check(url, file.open(str(url), mode, _readable(library), timeout=TIMEOUT_S))
    try:
        yield file
    except BaseException:
        file.close(timeout=TIMEOUT_S)
        raise
    _check(url, file.close(timeout=TIMEOUT_S))


def _readable(library: _Library) -> int:
    """The mode of a new file: its owner writes, all read."""
    access = library.flags.AccessMode
    return int(access.UR | access.UW | access.GR | access.OR)


def _check(url: Url, answer: tuple[Any, Any]) -> Any:
    """The value of an answer; raises OSError, or :class:`StorageError` where another try helps."""
    status, value = answer
    if status.ok:
        return value
    said = " ".join(str(status.message).split()).removeprefix("[ERROR] ")
    number = ANSWERS.get(status.errno) if status.code == SERVER_ERROR else None
    if number is None:
        raise StorageError(f"{url}: {said}")
    raise OSError(number, said.partition("] ")[2] or said, str(url))


def _again(url: Url, work: Callable[[], Any], writing: bool = False) -> Any:
    """What some work comes to, after another try or two where storage failed.

    To one who is ``writing``, whatever the server refuses cannot be done now.
    """
    for delay in (*DELAYS_S, None):
        try:
            return work()
        except StorageError:
            if delay is None:
                raise
            time.sleep(delay)
        except OSError as error:
            if not writing or not is_url(str(error.filename)):
                raise
            raise StorageError(f"{error.filename}: {error.strerror}") from error
    raise AssertionError(url)


def _read_blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block
