"""ROOT files: a base tree and its friends, joined entry by entry, as NumPy columns.

On equal branch names a friend beats its base, and a later friend an earlier. Files are opened
only for branches that are asked for. Errors are one line that names file, tree, branch and, where
there is one, the entry: ``data.root:Events: branch "xbW" entry 17: nan``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import awkward
import numpy as np
import uproot
from numpy.typing import NDArray

from ..errors import DataError, JobError, StorageError
from ..storage import Place, Url
from .friend import BaseFile, FriendTree, Range
from .paths import first_line, resolve, storage_error, suggest

Values: TypeAlias = NDArray[Any]
Record: TypeAlias = Callable[[Place, str], None]
NUMBERS: Final = "biuf"
HEADER: Final = 403  # bytes, the least that a ROOT file can have


@dataclass(frozen=True)
class Jagged:
    """A branch with a list per event: the lists' lengths (n), and all their values in a row."""

    counts: NDArray[np.int64]
    content: Values

    def pad(self, width: int, value: float) -> NDArray[np.float64]:
        """(n, width) float64: each list's first values, and ``value`` where it is shorter."""
        padded = np.full((len(self.counts), width), value)
        row = np.repeat(np.arange(len(self.counts)), self.counts)
        first = np.cumsum(self.counts) - self.counts
        column = np.arange(len(self.content)) - np.repeat(first, self.counts)
        inside = column < width
        padded[row[inside], column[inside]] = self.content[inside]
        return padded


@dataclass(frozen=True)
class Tree:
    """A TTree of an open file that was found whole."""

    path: Place
    name: str
    uuid: str
    entries: int
    handle: Any

    def __str__(self) -> str:
        return f"{self.path}:{self.name}"

    def read(self, branch: str, start: int, stop: int) -> Values | Jagged:
        """The entries ``start`` to ``stop`` of a branch; raises :class:`DataError`."""
        try:
            array = self.handle[branch].array(entry_start=start, entry_stop=stop, library="ak")
            column = _to_column(array)
        except OSError as error:
            where = f'{self}: branch "{branch}"'
            if isinstance(self.path, Url):
                raise StorageError(f"{where}: {first_line(error)}") from error
            raise storage_error(where, error) from error
        except Exception as error:
            reason = first_line(error)
            raise DataError(f'{self}: branch "{branch}": cannot be read: {reason}') from error
        if column is None:
            raise DataError(f'{self}: branch "{branch}": neither numbers nor lists of numbers')
        return column


def _to_column(array: Any) -> Values | Jagged | None:
    flat = awkward.flatten(array, axis=1) if array.ndim == 2 else array
    if flat.ndim != 1 or not isinstance(flat.type.content, awkward.types.NumpyType):
        return None
    values: Values = awkward.to_numpy(flat)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind not in NUMBERS:
        return None
    if array.ndim == 1:
        return values
    return Jagged(awkward.to_numpy(awkward.num(array, axis=1)).astype(np.int64), values)


@contextmanager
def open_tree(path: Place, name: str) -> Iterator[Tree]:
    """A tree of a ROOT file; raises :class:`DataError` if the file or the tree is not whole."""
    with ExitStack() as stack:
        try:
            size = path.stat().st_size
            directory = stack.enter_context(_open_file(path))
            end = int(directory.file.fEND)
        except OSError as error:
            if error.errno is not None:
                raise storage_error(path, error) from error
            if isinstance(path, Url) and size >= HEADER:
                raise StorageError(f"{path}: {first_line(error)}") from error
            raise DataError(f"{path}: {size} bytes are no ROOT file") from error
        except JobError:
            raise
        except Exception as error:
            raise DataError(f"{path}: not a readable ROOT file: {first_line(error)}") from error
        if end > size:
            raise DataError(f"{path}: truncated: {size} bytes of {end}")
        yield _get_tree(path, name, directory)


def _open_file(path: Place) -> Any:
    """An open ROOT file: the bytes that are asked for come from its server, many at a time."""
    if isinstance(path, Path):
        return uproot.open(path, object_cache=None, array_cache=None)
    handler = uproot.source.xrootd.XRootDSource
    return uproot.open({str(path): None}, handler=handler, object_cache=None, array_cache=None)


def _get_tree(path: Place, name: str, directory: Any) -> Tree:
    known = list(directory.keys(cycle=False, recursive=True))
    if name not in known:
        raise DataError(f'{path}: there is no tree "{name}"{suggest(name, known)}')
    if "RNTuple" in directory.classname_of(name):
        raise DataError(f'{path}: "{name}" is an RNTuple, and a TTree is needed')
    try:
        handle = directory[name]
        entries = int(handle.num_entries)
        return Tree(path, name, str(directory.file.uuid), entries, handle)
    except Exception as error:
        reason = first_line(error)
        raise DataError(f'{path}: tree "{name}" cannot be read: {reason}') from error


@dataclass(frozen=True)
class Piece:
    """Entries of a joined tree, from ``start`` on, and where in a file they lie."""

    start: int
    length: int
    tree: Tree
    first: int


@dataclass(frozen=True)
class JoinedTree:
    """A base file with its friends, opened for some branches."""

    file: BaseFile
    entries: int
    pieces: dict[str, list[Piece]]

    def __str__(self) -> str:
        return f"{self.file.path}:{self.file.name}"

    def read(self, branch: str, start: int, stop: int) -> Values | Jagged:
        """Base entries ``start`` to ``stop`` of a branch; raises :class:`DataError`."""
        parts = []
        for piece in self.pieces[branch]:
            low = max(start, piece.start)
            high = min(stop, piece.start + piece.length)
            if low < high or len(self.pieces[branch]) == 1:
                shift = piece.first - piece.start
                parts.append(piece.tree.read(branch, low + shift, high + shift))
        if len(parts) == 1:
            return parts[0]
        lists = [part for part in parts if isinstance(part, Jagged)]
        flats = [part for part in parts if not isinstance(part, Jagged)]
        if lists and flats:
            raise DataError(f'{self}: branch "{branch}": lists in one friend file, not in another')
        if flats:
            return np.concatenate(flats)
        counts = np.concatenate([part.counts for part in lists])
        return Jagged(counts, np.concatenate([part.content for part in lists]))

    def read_flat(self, branch: str, start: int, stop: int) -> Values:
        """The same, of a branch that must hold one number per event."""
        column = self.read(branch, start, stop)
        if isinstance(column, Jagged):
            raise self.error(branch, "lists of numbers, where one per event is needed")
        return column

    def read_lists(self, branch: str, start: int, stop: int) -> Jagged:
        """The same, of a branch that must hold a list per event."""
        column = self.read(branch, start, stop)
        if not isinstance(column, Jagged):
            raise self.error(branch, "one number per event, where lists are needed")
        return column

    def error(self, branch: str, reason: str, entry: int | None = None) -> DataError:
        """An error in a branch, or in an entry of it, that names the file it lies in."""
        if entry is None:
            return DataError(f'{self.pieces[branch][0].tree}: branch "{branch}": {reason}')
        for piece in self.pieces[branch]:
            if piece.start <= entry < piece.start + piece.length:
                place = entry - piece.start + piece.first
                return DataError(f'{piece.tree}: branch "{branch}" entry {place}: {reason}')
        raise AssertionError(entry)

    def origin(self, branch: str) -> list[tuple[str, int, int]]:
        """Which file's uuid and entries a branch is read from."""
        return [(row.tree.uuid, row.first, row.length) for row in self.pieces[branch]]


@contextmanager
def open_joined(
    path: Place, name: str, friends: list[FriendTree], branches: Iterable[str], record: Record
) -> Iterator[JoinedTree]:
    """A base tree and its friends, opened for ``branches``.

    ``record`` is told the path and uuid of each file that is opened. Raises :class:`DataError`
    for a missing file, tree or branch, and for a friend tree that does not cover its base, even
    if none of its branches is asked for.
    """
    with ExitStack() as stack:
        opener = _Opener(stack, record)
        tree = opener.open(path, name)
        base = BaseFile(str(path), name, tree.uuid)
        ranges = {friend.source: friend.find(base, tree.entries) for friend in friends}
        opened: dict[str, list[Piece]] = {}
        pieces: dict[str, list[Piece]] = {}
        for branch in dict.fromkeys(branches):
            friend = next((row for row in reversed(friends) if branch in row.branches), None)
            if friend is None:
                pieces[branch] = [Piece(0, tree.entries, tree, 0)]
                _check_branch(tree, branch, friends)
                continue
            if friend.source not in opened:
                opened[friend.source] = opener.open_ranges(friend, ranges[friend.source])
            pieces[branch] = opened[friend.source] or [Piece(0, 0, tree, 0)]
            for piece in opened[friend.source]:
                _check_branch(piece.tree, branch, [])
        yield JoinedTree(base, tree.entries, pieces)


@contextmanager
def open_friend(
    friend: FriendTree, base: BaseFile, entries: int, branches: Iterable[str]
) -> Iterator[JoinedTree]:
    """The entries of a friend tree that go with a base file, which itself is not opened."""
    with ExitStack() as stack:
        opener = _Opener(stack, lambda path, uuid: None)
        pieces = opener.open_ranges(friend, friend.find(base, entries))
        for piece in pieces:
            for branch in branches:
                _check_branch(piece.tree, branch, [])
        yield JoinedTree(base, entries, dict.fromkeys(branches, pieces))


def _check_branch(tree: Tree, branch: str, friends: list[FriendTree]) -> None:
    known = list(tree.handle.keys(recursive=False))
    if branch not in known:
        known += [name for friend in friends for name in friend.branches]
        raise DataError(f'{tree}: there is no branch "{branch}"{suggest(branch, known)}')


@dataclass(frozen=True)
class _Opener:
    """Opens trees that stay open as long as the stack."""

    stack: ExitStack
    record: Record

    def open(self, path: Place, name: str) -> Tree:
        tree = self.stack.enter_context(open_tree(path, name))
        self.record(path, tree.uuid)
        return tree

    def open_ranges(self, friend: FriendTree, ranges: list[Range]) -> list[Piece]:
        pieces = []
        for row in ranges:
            chunk = row.chunk
            tree = self.open(resolve(chunk.path, friend.base), chunk.name)
            if tree.uuid != chunk.uuid:
                raise DataError(f"{tree}: uuid {tree.uuid} where {friend.source} has {chunk.uuid}")
            if tree.entries != chunk.num_entries:
                raise DataError(
                    f"{tree}: {tree.entries} entries where {friend.source} has {chunk.num_entries}"
                )
            pieces.append(Piece(row.start, chunk.length, tree, chunk.first))
        return pieces
