"""Remove files of a result that another one was made of, so that nobody takes them for lost.

The result goes on to count, without the files, as long as its heir holds: the plan need not make
it again. Whoever has to read the files finds that they are gone, and after whom.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from .errors import DataError
from .locks import lock_folder
from .record import RESULT, Heir, Result, load_result
from .result import replace_result


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
        _remove_empty({result.folder / row.path for row in gone}, result.folder)
    return sum(row.size for row in gone)


def _remove_empty(files: Collection[Path], home: Path) -> None:
    """Remove folders that held nothing else, deepest first."""
    folders = {parent for file in files for parent in file.parents if home in parent.parents}
    for folder in sorted(folders, reverse=True):
        with suppress(OSError):  # something else lies there
            folder.rmdir()


def is_retired(path: str) -> bool:
    """Whether files of the result at a path were removed so."""
    try:
        return load_result(path).heir is not None
    except DataError:
        return False
