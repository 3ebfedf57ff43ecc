"""Friend trees: ROOT files whose entries go with ranges of entries of base files.

The JSON form is that of the analysis: ``name``, ``branches`` and ``data``, a list of pairs of a
base file {path, name, uuid} and its ranges [{start, stop, chunk {path, name, uuid, num_entries,
entry_start, entry_stop}}]. A base is known by its file's uuid and its tree's name, not its path;
``entry_start`` and ``entry_stop`` null mean the chunk's first and last entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from ..errors import DataError, SpecError
from .paths import resolve, storage_error, suggest
from .shape import Maybe, check_shape

Json: TypeAlias = Any
FILE: Final = {"path": str, "name": str, "uuid": str}
ENTRIES: Final = {
    "num_entries": int,
    "entry_start": Maybe(int, needed=False),
    "entry_stop": Maybe(int, needed=False),
}
RANGE: Final = {"start": int, "stop": int, "chunk": {**FILE, **ENTRIES}}
NAMING_FIELD: Final = re.compile(r"\{(name|uuid|tree|start|stop|path\d+)\}")


@dataclass(frozen=True)
class BaseFile:
    """A file that a friend tree goes with: its path, its tree's name, its own uuid."""

    path: str
    name: str
    uuid: str


@dataclass(frozen=True)
class Chunk:
    """A file of a friend tree, and which of its entries are meant."""

    path: str
    name: str
    uuid: str
    num_entries: int
    entry_start: int | None = None
    entry_stop: int | None = None

    @property
    def first(self) -> int:
        """The first entry that is meant."""
        return self.entry_start or 0

    @property
    def length(self) -> int:
        """The number of entries that are meant."""
        stop = self.num_entries if self.entry_stop is None else self.entry_stop
        return stop - self.first


@dataclass(frozen=True)
class Range:
    """Entries ``start`` to ``stop`` of a base file, and the chunk that goes with them."""

    start: int
    stop: int
    chunk: Chunk


@dataclass(frozen=True)
class FriendTree:
    """A friend tree; ``source`` is where it was read, ``base`` what its paths are relative to."""

    name: str
    branches: tuple[str, ...]
    data: Mapping[tuple[str, str], tuple[BaseFile, tuple[Range, ...]]]
    source: str = ""
    base: str = ""

    def find(self, file: BaseFile, entries: int) -> list[Range]:
        """The ranges that make up all entries of a base file, in order.

        Raises :class:`DataError` if the file is not among the bases, or if its entries are not
        each covered once.
        """
        if (file.uuid, file.name) not in self.data:
            raise DataError(
                f'{self.source}: friend tree "{self.name}" has no entries for '
                f"{file.path}:{file.name} (uuid {file.uuid})"
            )
        ranges = sorted(self.data[file.uuid, file.name][1], key=lambda row: (row.start, row.stop))
        for row in ranges:
            self._check_length(file, row)
        self._check_cover(file, ranges, entries)
        return ranges

    def _check_length(self, file: BaseFile, row: Range) -> None:
        chunk = row.chunk
        inside = 0 <= chunk.first <= chunk.first + chunk.length <= chunk.num_entries
        if not inside or chunk.length != row.stop - row.start:
            raise DataError(
                f'{self.source}: friend tree "{self.name}" of {file.path}:{file.name}: entries '
                f"{row.start} to {row.stop} have {chunk.length} entries in {chunk.path}"
            )

    def _check_cover(self, file: BaseFile, ranges: list[Range], entries: int) -> None:
        end = 0
        for start, stop in [*((row.start, row.stop) for row in ranges), (entries, entries)]:
            if start != end or stop > entries:
                low, high = sorted((end, start)) if start != end else (entries, stop)
                kind = "missing" if start > end else "given twice" if start < end else "too many"
                raise DataError(
                    f'{self.source}: friend tree "{self.name}" of {file.path}:{file.name} '
                    f"({entries} entries): entries {low} to {high} are {kind}"
                )
            end = stop


def read_friend(text: str, base: str) -> FriendTree:
    """The friend tree that ``file.json@@key`` selects; a key ``a.b`` goes into nested mappings.

    The file, and the paths in it, are relative to ``base``.
    """
    file, _, key = text.partition("@@")
    path = resolve(file, base)
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise storage_error(path, error) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    source = f"{path}@@{key}" if key else str(path)
    return parse_friend(_select(value, key, source), source, base)


def _select(value: Json, key: str, source: str) -> Json:
    if not key:
        _refuse_several(value, source)
        return value
    if isinstance(value, dict) and key in value:
        return value[key]
    for part in key.split("."):
        items = value
        if isinstance(value, list):
            items = {str(index): item for index, item in enumerate(value)}
        if not isinstance(items, dict) or part not in items:
            near = suggest(part, items) if isinstance(items, dict) else ""
            raise DataError(f'{source}: there is no "{part}"{near}')
        value = items[part]
    return value


def _refuse_several(value: Json, source: str) -> None:
    """Raises :class:`DataError` for friend trees by key, where one is needed."""
    keys = [
        key
        for key, item in (value.items() if isinstance(value, dict) else ())
        if isinstance(item, dict) and {"branches", "data"} <= item.keys()
    ]
    if keys:
        name = Path(source).name
        named = ", ".join(f"{name}@@{key}" for key in keys)
        raise DataError(f"{source}: holds friend trees by key; write which one: {named}")


def parse_friend(value: Json, source: str, base: str = "") -> FriendTree:
    """A friend tree from its JSON; raises :class:`DataError` that names the place."""
    check_shape(value, {"name": str, "branches": [str], "data": [list]}, f"{source}: friend tree")
    data: dict[tuple[str, str], tuple[BaseFile, tuple[Range, ...]]] = {}
    for index, pair in enumerate(value["data"]):
        where = f"{source}: data[{index}]"
        if len(pair) != 2:
            raise DataError(f"{where}: expected a pair of a base file and a list of ranges")
        check_shape(pair[0], FILE, f"{where}[0]")
        check_shape(pair[1], [RANGE], f"{where}[1]")
        file = BaseFile(**{key: pair[0][key] for key in FILE})
        _, earlier = data.get((file.uuid, file.name), (file, ()))
        data[file.uuid, file.name] = (file, earlier + tuple(map(_range, pair[1])))
    return FriendTree(value["name"], tuple(value["branches"]), data, source, base)


def _range(row: Json) -> Range:
    chunk = Chunk(**{key: row["chunk"].get(key) for key in (*FILE, *ENTRIES)})
    return Range(row["start"], row["stop"], chunk)


def to_json(name: str, branches: list[str], data: list[tuple[BaseFile, list[Range]]]) -> Json:
    """The JSON of a friend tree; the paths in it should be absolute."""
    pairs = [[asdict(file), [asdict(row) for row in ranges]] for file, ranges in data]
    return {"name": name, "branches": branches, "data": pairs}


def name_chunk(naming: str, name: str, base: BaseFile, start: int, stop: int) -> str:
    """The file name of a chunk for entries ``start`` to ``stop`` of a base file.

    ``naming`` may use {name} of the friend tree, {uuid} and {tree} of the base, {start}, {stop},
    and {path0}, {path1}, … : the base's file name without ``.root``, the name of its folder, that
    of the folder above, and so on. Raises :class:`SpecError` for anything else in braces, and for
    a name that would leave the folder.
    """
    parts = Path(base.path).with_suffix("").parts[::-1]
    known = {f"path{index}": part for index, part in enumerate(parts) if part != "/"}
    known |= {"name": name, "uuid": base.uuid, "tree": base.name}
    known |= {"start": str(start), "stop": str(stop)}
    rest = NAMING_FIELD.sub("", naming)
    if "{" in rest or "}" in rest:
        allowed = "name, uuid, tree, start, stop, path0, path1, ..."
        raise SpecError(f'naming "{naming}": unknown field in braces; known: {allowed}')
    try:
        chosen = NAMING_FIELD.sub(lambda match: known[match.group(1)], naming)
    except KeyError as error:
        raise SpecError(f'naming "{naming}": {base.path} has no {error.args[0]}') from error
    if chosen.startswith("/") or ".." in chosen.split("/") or not chosen.endswith(".root"):
        raise SpecError(f'naming "{naming}": not the name of a .root file: {chosen}')
    return chosen
