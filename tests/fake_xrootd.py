"""A stand-in for XRootD's client, on a local folder, that fails when it is told to."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

GOOD = SimpleNamespace(ok=True, code=0, errno=0, message="[SUCCESS] ")
GONE = SimpleNamespace(ok=False, code=108, errno=0, message="[FATAL] Connection error")


def refusal(number: int, said: str) -> SimpleNamespace:
    """The answer of a server that refuses."""
    message = f"[ERROR] Server responded with an error: [{number}] {said}\n"
    return SimpleNamespace(ok=False, code=400, errno=number, message=message)


NOT_THERE = refusal(3011, "Unable to locate it; no such file or directory")


@dataclass
class Server:
    """A server's folder, what it was asked, and what it answers instead of the truth, in order.

    ``replaces``: whether a file may be renamed to the name of another one.
    """

    folder: Path
    asked: list[str] = field(default_factory=list)
    failures: dict[str, list[Any]] = field(default_factory=dict)
    replaces: bool = True
    spoil: Callable[[bytes], bytes] = lambda content: content
    checksums: bool = True

    def library(self) -> SimpleNamespace:
        """What ``hcrc.runtime.storage`` takes for the client's modules."""
        client = SimpleNamespace(FileSystem=lambda host: _System(self), File=lambda: _File(self))
        flags = SimpleNamespace(
            OpenFlags=SimpleNamespace(READ=1, DELETE=2, MAKEPATH=4),
            StatInfoFlags=SimpleNamespace(IS_DIR=2),
            AccessMode=SimpleNamespace(UR=0o400, UW=0o200, GR=0o040, OR=0o004),
            QueryCode=SimpleNamespace(CHECKSUM=1),
        )
        return SimpleNamespace(client=client, flags=flags)

    def local(self, path: str) -> Path:
        """Where a path of the server lies."""
        return self.folder / path.lstrip("/")

    def failure(self, request: str) -> Any:
        """The answer to a request that has to fail; None otherwise."""
        self.asked.append(request)
        left = self.failures.get(request)
        return left.pop(0) if left else None


@dataclass
class _System:
    server: Server

    def stat(self, path: str, timeout: int) -> tuple[Any, Any]:
        local = self.server.local(path)
        if failed := self.server.failure("stat"):
            return failed, None
        if not local.exists():
            return NOT_THERE, None
        status = local.stat()
        row = {"size": status.st_size, "modtime": int(status.st_mtime), "id": str(status.st_ino)}
        return GOOD, SimpleNamespace(flags=2 if local.is_dir() else 0, **row)

    def dirlist(self, path: str, timeout: int) -> tuple[Any, Any]:
        local = self.server.local(path)
        if not local.is_dir():
            return NOT_THERE, None
        return GOOD, [SimpleNamespace(name=each.name) for each in local.iterdir()]

    def rm(self, path: str, timeout: int) -> tuple[Any, Any]:
        if failed := self.server.failure("rm"):
            return failed, None
        if not self.server.local(path).exists():
            return NOT_THERE, None
        self.server.local(path).unlink()
        return GOOD, None

    def rmdir(self, path: str, timeout: int) -> tuple[Any, Any]:
        try:
            self.server.local(path).rmdir()
        except OSError:
            return refusal(3005, "Directory not empty"), None
        return GOOD, None

    def mv(self, path: str, target: str, timeout: int) -> tuple[Any, Any]:
        if failed := self.server.failure("mv"):
            return failed, None
        if self.server.local(target).exists() and not self.server.replaces:
            return refusal(3018, "file exists"), None
        self.server.local(path).rename(self.server.local(target))
        return GOOD, None

    def query(self, code: int, path: str, timeout: int) -> tuple[Any, Any]:
        if not self.server.checksums:
            return refusal(3013, "checksum is not supported"), None
        checksum = zlib.adler32(self.server.local(path).read_bytes())
        return GOOD, f"adler32 {checksum:08x}\0".encode()


class _File:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.path = Path()

    def open(self, url: str, flags: int, mode: int, timeout: int) -> tuple[Any, Any]:
        self.path = self.server.local(url.removeprefix("root://").partition("/")[2])
        if failed := self.server.failure("open"):
            return failed, None
        if flags & 4:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        if flags & 2:
            self.path.write_bytes(b"")
            self.path.chmod(mode)
        return (GOOD if self.path.is_file() else NOT_THERE), None

    def read(self, offset: int, size: int, timeout: int) -> tuple[Any, Any]:
        if failed := self.server.failure("read"):
            return failed, None
        return GOOD, self.path.read_bytes()[offset : offset + size]

    def write(self, block: bytes, offset: int, timeout: int) -> tuple[Any, Any]:
        if failed := self.server.failure("write"):
            return failed, None
        content = self.path.read_bytes()[:offset] + self.server.spoil(block)
        self.path.write_bytes(content)
        return GOOD, None

    def close(self, timeout: int) -> tuple[Any, Any]:
        return self.server.failure("close") or GOOD, None
