"""A part of a path in, the files and folders that it may become out."""

from __future__ import annotations

import os

Found = list[tuple[str, str]]
WORKFLOWS = (".yml", ".yaml")
BUNDLES = "hcrc-out"
MAX_BUNDLES = 50
PLAN = "plan.json"


def list_files(text: str, *, bundles: bool = False) -> Found:
    """Workflows and folders first; other files only where there is neither.

    With ``bundles``, the folders of bundles too: those below ``hcrc-out`` before a name is typed.
    """
    entries = _entries(text)
    found = [(name, "") for name, path in entries if path.endswith(WORKFLOWS)]
    found += _bundles(text, entries) if bundles else []
    found += [(f"{name}/", "a folder") for name, path in entries if os.path.isdir(path)]
    return found or [(name, "") for name, _ in entries]


def list_folders(text: str) -> Found:
    """The folders that a text may become."""
    return [(f"{name}/", "a folder") for name, path in _entries(text) if os.path.isdir(path)]


def list_any(text: str) -> Found:
    """The files and folders that a text may become."""
    entries = _entries(text)
    files = [(name, "") for name, path in entries if not os.path.isdir(path)]
    return files + list_folders(text)


def _entries(text: str) -> list[tuple[str, str]]:
    """What a text may become, as it is typed, and its path; hidden ones for a dot."""
    folder, name = os.path.split(text)
    typed = text[: len(text) - len(name)]
    try:
        names = sorted(os.listdir(os.path.expanduser(folder) or "."))
    except (OSError, ValueError):
        return []
    base = os.path.expanduser(folder)
    return [
        (typed + each, os.path.join(base, each))
        for each in names
        if each.startswith(name) and each[0] not in "." * (not name) and each.isprintable()
    ]


def _bundles(text: str, entries: list[tuple[str, str]]) -> Found:
    found = [name for name, path in entries if os.path.isfile(os.path.join(path, PLAN))]
    if not text:
        names = [name for name, path in _entries(f"{BUNDLES}/") if os.path.isdir(path)]
        inner = [name for outer in names for name, _ in _entries(f"{outer}/")]
        found += [name for name in inner if os.path.isfile(os.path.join(name, PLAN))][:MAX_BUNDLES]
    return [(name, "a bundle") for name in found]
