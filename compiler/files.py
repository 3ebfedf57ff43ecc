"""Where the texts of a compilation come from: paths in, bytes out.

The disk remembers what was read of it, so that a bundle can carry it; a record gives it again,
after the files changed or on another machine.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from .away import read_away

MAX_BYTES: Final = 64 * 1024 * 1024
RESULT: Final = "result.json"


class Files(Protocol):
    """What compiling needs of a disk."""

    def read(self, path: Path) -> bytes:
        """All of a file; raises :class:`OSError`, :class:`ValueError` for no path at all."""

    def is_file(self, path: Path) -> bool:
        """Whether there is a file to read."""

    def list_names(self, folder: Path) -> list[str]:
        """The names in a folder, sorted; none where it cannot be read."""

    def find_results(self, folder: Path) -> list[Path]:
        """The result.json of a folder, or those of the cells' folders below it: ``axis=value``.

        Raises :class:`OSError`.
        """

    def read_result(self, path: Path, keys: Sequence[str]) -> bytes:
        """Some keys of a result; raises :class:`OSError`, :class:`ValueError`."""

    def read_away(self, url: str, keys: Sequence[str]) -> Mapping[str, bytes | None]:
        """Some keys of the results at an address, as :func:`.away.read_away` reads them."""


class Disk:
    """The files of this machine; ``read_files`` holds what was read, by path, in that order."""

    def __init__(self) -> None:
        self.read_files: dict[str, bytes] = {}

    def read(self, path: Path) -> bytes:
        """All of a file; one of more than 64 MiB is an :class:`OSError`."""
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            limit = f"it is larger than {MAX_BYTES // 1024**2} MiB"
            raise OSError(errno.EFBIG, limit, str(path))
        self.read_files[str(path)] = data
        return data

    def is_file(self, path: Path) -> bool:
        """Whether there is a file to read."""
        try:
            return path.is_file()
        except OSError:
            return False

    def list_names(self, folder: Path) -> list[str]:
        """The names in a folder, sorted; none where it cannot be read."""
        try:
            return sorted(item.name for item in folder.iterdir())
        except (OSError, ValueError):
            return []

    def find_results(self, folder: Path) -> list[Path]:
        """The result.json of a folder, or those of the cells' folders below it, in order.

        A cell's folder that has none, since its job failed or has not ended, is named all the same.
        """
        if self.is_file(folder / RESULT):
            return [folder / RESULT]
        below = sorted(item for item in folder.iterdir() if "=" in item.name and item.is_dir())
        if not below and "=" in folder.name:
            return [folder / RESULT]
        return [path for item in below for path in self.find_results(item)]

    def read_result(self, path: Path, keys: Sequence[str]) -> bytes:
        """Some keys of a result: what a training recorded besides would fill a bundle."""
        with path.open("rb") as file:
            value = json.load(file)
        if not isinstance(value, dict):
            raise ValueError("it is not a mapping")
        kept = {key: value[key] for key in ("hcrc", *keys) if key in value}
        self.read_files[str(path)] = json.dumps(kept, sort_keys=True).encode()
        return self.read_files[str(path)]

    def read_away(self, url: str, keys: Sequence[str]) -> Mapping[str, bytes | None]:
        """Some keys of the results at an address."""
        found = read_away(url, keys)
        self.read_files |= {each: text for each, text in found.items() if text is not None}
        return found


class OverlaidDisk(Disk):
    """The files of this machine, and one text that is none of them, at a path of its own."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__()
        self._path = path
        self._text = text

    def read(self, path: Path) -> bytes:
        """All of a file, or the text."""
        if path != self._path:
            return super().read(path)
        data = self._text.encode()
        self.read_files[str(path)] = data
        return data


class RecordedFiles:
    """Files that were read at another time: texts by path.

    ``moved`` are pairs of folders, as they are called here and as they were called there.
    """

    def __init__(self, texts: Mapping[str, str], moved: Sequence[tuple[str, str]]) -> None:
        self._texts = texts
        self._moved = moved

    def read(self, path: Path) -> bytes:
        """All of a file; raises :class:`OSError` for one that was not read."""
        name = self._find(path)
        if name is None:
            raise FileNotFoundError(errno.ENOENT, "it is not part of the record", str(path))
        return self._texts[name].encode()

    def is_file(self, path: Path) -> bool:
        """Whether the file was read."""
        return self._find(path) is not None

    def list_names(self, folder: Path) -> list[str]:
        """The names of the files that were read in a folder."""
        paths = [Path(name) for name in self._texts]
        return sorted(path.name for path in paths if path.parent == folder)

    def find_results(self, folder: Path) -> list[Path]:
        """The results that were read below a folder."""
        found = [Path(name) for name in self._texts if Path(name).name == RESULT]
        return [path for path in found if path.is_relative_to(folder)]

    def read_result(self, path: Path, keys: Sequence[str]) -> bytes:
        """What was kept of a result."""
        return self.read(path)

    def read_away(self, url: str, keys: Sequence[str]) -> Mapping[str, bytes | None]:
        """The results that were read at an address, or below it."""
        folder = f"{url.rstrip('/')}/"
        names = [name for name in self._texts if name == url or name.startswith(folder)]
        return {name: self._texts[name].encode() for name in names}

    def _find(self, path: Path) -> str | None:
        names = [str(path)]
        for here, there in self._moved:
            if path.is_relative_to(here):
                names.append(str(Path(there, path.relative_to(here))))
        return next((name for name in names if name in self._texts), None)


class UsedEnvironment(Mapping[str, str]):
    """Environment variables; ``used`` holds those that were asked for, and nothing else."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.used: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        value = self._variables[name]
        self.used[name] = value
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._variables

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def is_bundle(folder: Path) -> bool:
    """Whether a path is that of a bundle."""
    try:
        return (folder / "plan.json").is_file()
    except OSError:
        return False
