"""Paths as specs and friend trees write them, and what makes an error of them one line."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..errors import DataError, JobError, SpecError, StorageError
from ..storage import Place, find_place, is_url

TRANSIENT: Final = {
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EAGAIN,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
}


def resolve(path: str, base: str) -> Place:
    """An absolute path or an address; a relative one lies beside ``base``.

    Raises :class:`SpecError` for an address that is not root://, and for a path that no line can
    show.
    """
    if not path.isprintable():
        raise SpecError(f"{path!r}: not a path of printable characters")
    joined = path if is_url(path) else os.path.join(base, path)  # noqa: PTH118
    if is_url(joined):
        return find_place(joined)
    return Path(os.path.normpath(Path(joined).absolute()))


def storage_error(where: object, error: OSError) -> JobError:
    """What an operating system's refusal means: worth another try, or wrong data."""
    kind = StorageError if error.errno in TRANSIENT else DataError
    return kind(f"{where}: {error.strerror or first_line(error)}")


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type where there is none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def suggest(word: str, known: Iterable[str]) -> str:
    """``; did you mean "xbW"?``, or nothing if no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""
