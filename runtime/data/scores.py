"""Scores as friend trees: how their files are named and written."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import uproot
from numpy.typing import NDArray

from ..errors import SpecError
from .friend import BaseFile, Chunk, Range, name_chunk

Columns: TypeAlias = Mapping[str, NDArray[np.float32]]


@contextmanager
def write_scores(
    path: Path, tree: str, columns: list[str]
) -> Iterator[tuple[str, Callable[[Columns], None]]]:
    """A new ROOT file with one float32 branch a column: its uuid, and what appends entries."""
    own = uuid.uuid1()
    with uproot.recreate(path, compression=uproot.ZSTD(3), uuid_function=lambda: own) as file:
        handle: Any = file.mktree(tree, dict.fromkeys(columns, "float32"))

        def extend(values: Columns) -> None:
            if len(values[columns[0]]):
                handle.extend(dict(values))

        yield str(own), extend


def chunk_path(
    naming: str, name: str, base: BaseFile, start: int, stop: int, used: dict[str, str]
) -> str:
    """The name of the file for some entries of a base; ``used`` maps names to what is in them.

    Raises :class:`SpecError` if two would have the same.
    """
    chosen = name_chunk(naming, name, base, start, stop)
    if chosen in used:
        both = f"{used[chosen]} and {base.path}"
        if used[chosen] == base.path:
            both = f"entries {start} to {stop} of {base.path} and those before them"
        raise SpecError(f'naming "{naming}": {both} would both be {chosen}')
    used[chosen] = base.path
    return chosen


def file_range(address: str, tree: str, own: str, start: int, stop: int) -> Range:
    """The entries of a base file that a file of their own, at an address, goes with."""
    return Range(start, stop, Chunk(address, tree, own, stop - start))
