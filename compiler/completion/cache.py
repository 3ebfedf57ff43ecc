"""Rows of text that took long to make, kept in the user's cache folder.

An entry names the files it was made from with their modification times and sizes, and counts only
while these hold. The folder is the user's alone (mode 700); where there is none, nothing is kept.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

Rows = list[list[str]]
FORMAT = "hcrc completion 1"
MISSING = "-"
MAX_ENTRIES = 200
MAX_NAME = 120
PREFIXES = ("completion-", ".completion-")


def stamp(path: str) -> str:
    """The state of a file: its modification time and size, or that it is missing."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return MISSING
    return f"{found.st_mtime_ns} {found.st_size}"


def recall(key: str) -> Rows | None:
    """The rows kept for a key; None if there are none, or the files they came from changed."""
    folder = _folder()
    if folder is None:
        return None
    try:
        with open(os.path.join(folder, _name(key)), "rb") as file:
            head, count, *lines = file.read().decode("utf-8", "surrogateescape").split("\n")
        if head != f"{FORMAT} {key}":
            return None
        files = int(count)
    except (OSError, ValueError):
        return None
    for line in lines[:files]:
        state, _, path = line.partition("\t")
        if stamp(path) != state:
            return None
    return [line.split("\t") for line in lines[files:] if line]


def remember(key: str, stamps: Mapping[str, str], rows: Rows) -> None:
    """Keep rows made from files of these states; silently not, where that cannot be."""
    folder = _folder()
    if folder is None or "\n" in key + "".join(stamps):
        return
    lines = [f"{FORMAT} {key}", str(len(stamps))]
    lines += [f"{state}\t{path}" for path, state in stamps.items()]
    lines += ["\t".join(row) for row in rows]
    temporary = os.path.join(folder, f"{PREFIXES[1]}{os.getpid()}.tmp")
    try:
        _make_room(folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            file.write("\n".join(lines).encode("utf-8", "surrogateescape"))
        os.replace(temporary, os.path.join(folder, _name(key)))
    except OSError:
        return


def row(*texts: str) -> list[str]:
    """Texts as a row: what would end a field or a line becomes a space."""
    return [" ".join(text.split()) for text in texts]


def clear() -> list[str]:
    """Remove all entries and their folder, if nothing else is in it; returns what was removed."""
    folder = _path()
    if folder is None or _look(folder) is None or _folder() is None:
        return []
    for name in os.listdir(folder):
        if name.startswith(PREFIXES):
            os.unlink(os.path.join(folder, name))
    if os.listdir(folder):
        return []
    os.rmdir(folder)
    return [folder]


def _name(key: str) -> str:
    """The name of a key's file; two keys that share one drive each other out."""
    safe = [character if character.isalnum() and character.isascii() else "-" for character in key]
    return PREFIXES[0] + "".join(safe)[-MAX_NAME:]


def _path() -> str | None:
    """The path of the folder; None for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(base, "hcrc")
    return folder if os.path.isabs(folder) else None


def _folder() -> str | None:
    """The folder of the entries, made if need be; None if it cannot be the user's alone."""
    folder = _path()
    if folder is None:
        return None
    found = _look(folder) or _make(folder)
    if found is None or not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return None
    return folder if stat.S_IMODE(found.st_mode) == 0o700 else _close(folder)


def _look(folder: str) -> os.stat_result | None:
    try:
        return os.lstat(folder)
    except OSError:
        return None


def _make(folder: str) -> os.stat_result | None:
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        os.mkdir(folder, 0o700)
    except OSError:
        return None
    return _look(folder)


def _close(folder: str) -> str | None:
    try:
        os.chmod(folder, 0o700)
    except OSError:
        return None
    return folder


def _make_room(folder: str) -> None:
    """Remove the older half of too many entries."""
    names = [name for name in os.listdir(folder) if name.startswith(PREFIXES)]
    paths = [os.path.join(folder, name) for name in names]
    if len(paths) > MAX_ENTRIES:
        for path in sorted(paths, key=lambda path: os.lstat(path).st_mtime)[: len(paths) // 2]:
            os.unlink(path)
