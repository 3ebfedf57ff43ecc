"""Remove files of a result that another one was made of, so that nobody takes them for lost.

The result goes on to count, without the files, as long as its heir holds: the plan need not make
it again. Whoever has to read the files finds that they are gone, and after whom.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import replace

from .errors import DataError
from .locks import lock_folder
from .record import RESULT, Heir, Result, load_result
from .result import replace_result
from .storage import Place


def retire_files(result: Result, names: Collection[str], heir: Result) -> int:
    """Remove files of a result by their names; gives the number of bytes.

    The result says so before they go. Raises :class:`DataError` if it was made again since it was
    read, :class:`StorageError` or :class:`OSError` where its folder cannot be changed.
    """
    with lock_folder(result.folder):
        path = result.folder / RESULT
        if load_result(path).uuid != result.uuid:
            raise DataError(f"{path}: made again since it was read")
        kept = {name: row for name, row in result.files.items() if name not in names}
        place = Heir(str(heir.folder / RESULT), heir.cell, heir.uuid)
        replace_result(replace(result, files=kept, heir=place))
        gone = [row for name, row in result.files.items() if name in names]
        for row in gone:
            (result.folder / row.path).unlink(missing_ok=True)
        remove_empty({result.folder / row.path for row in gone}, result.folder)
    return sum(row.size for row in gone)


def remove_empty(files: Iterable[Place], home: Place) -> None:
    """Remove the folders below one that held nothing but these files, deepest first."""
    folders = {folder for file in files for folder in folders_below(file, home)}
    for folder in sorted(folders, key=str, reverse=True):
        with suppress(OSError):  # something else lies there
            folder.rmdir()


def folders_below(place: Place, home: Place) -> list[Place]:
    """The folders between a place and one that it lies below, deepest first; none otherwise."""
    folders, folder = [], place.parent
    while folder != home:
        if folder == folder.parent:
            return []
        folders.append(folder)
        folder = folder.parent
    return folders


def is_retired(path: str) -> bool:
    """Whether files of the result at a path were removed so."""
    try:
        return load_result(path).heir is not None
    except DataError:
        return False
