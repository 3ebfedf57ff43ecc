"""The tensor cache: events as the chunks of a cache result, and read back for a training.

A chunk is a mapping of columns that torch saved, compressed as a whole or not, as the end of its
file's name says.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, TypeAlias

import cramjam
import torch
from torch import Tensor

from ..crew import Crew
from ..errors import DataError
from ..nn.checkpoint import UNREADABLE
from ..result import RESULT, Result
from .paths import first_line
from .shape import check_data

INPUTS: Final = "inputs"
# The names of a dataset's own columns in a chunk start so.
OWN: Final = "column:"
OWN_TYPES: Final = (torch.bool, torch.float64)
COLUMN_TYPES: Final = {
    "label": torch.int64,
    "weight": torch.float32,
    "sample": torch.int32,
    "run": torch.int64,
    "lumi": torch.int64,
    "event": torch.int64,
}


Codec: TypeAlias = Callable[[bytes], Any]
SUFFIXES: Final = {"none": ".pt", "zstd": ".pt.zst", "lz4": ".pt.lz4", "gzip": ".pt.gz"}
COMPRESS: Final[Mapping[str, Codec]] = {
    "zstd": cramjam.zstd.compress,
    "lz4": cramjam.lz4.compress,
    "gzip": cramjam.gzip.compress,
}
DECOMPRESS: Final[Mapping[str, Codec]] = {
    ".zst": cramjam.zstd.decompress,
    ".lz4": cramjam.lz4.decompress,
    ".gz": cramjam.gzip.decompress,
}


@dataclass(frozen=True)
class Events:
    """Prepared events, one row each, and the words that their indices stand for.

    ``inputs`` is (n, C) float32; ``label`` (n) int64 indexes ``labels``; ``weight`` (n) float32;
    ``sample`` (n) int32 indexes ``samples`` (``ZZ4b/UL18``); with it ``run``, ``lumi`` and
    ``event`` (n) int64 are an event's id. ``columns`` (n) are bool, or float64 that is NaN where
    an event has none.
    """

    inputs: Tensor
    label: Tensor
    weight: Tensor
    sample: Tensor
    run: Tensor
    lumi: Tensor
    event: Tensor
    labels: list[str]
    samples: list[str]
    columns: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.inputs)


def chunk_name(index: int) -> str:
    """The name of a chunk among a cache result's files."""
    return f"chunk-{index:04d}"


def chunk_names(result: Result, only: Sequence[int] | None = None) -> list[str]:
    """The names of a cache result's chunks, or of some; raises :class:`DataError`."""
    numbers = range(len(result.files)) if only is None else only
    for number in numbers:
        if number >= len(result.files):
            raise DataError(
                f"{result.folder / RESULT}: there is no chunk {number}, of {len(result.files)}"
            )
    return [chunk_name(number) for number in numbers]


def load_events(
    result: Result, crew: Crew | None = None, only: Sequence[int] | None = None
) -> Events:
    """All chunks of a cache result, or some, in order; raises :class:`DataError`.

    The workers of a crew read several of them at the same time.
    """
    check_data(result, {"labels": [str], "samples": [str]})
    if not result.files:
        raise DataError(f"{result.folder / RESULT}: holds no cached events")
    paths = [result.path(name) for name in chunk_names(result, only)]
    columns = _read_columns(paths, crew or Crew(1))
    own = {name: columns.pop(name) for name in list(columns) if name.startswith(OWN)}
    events = Events(
        **columns,
        labels=result.data["labels"],
        samples=result.data["samples"],
        columns={name.removeprefix(OWN): column for name, column in own.items()},
    )
    for name, words in (("label", events.labels), ("sample", events.samples)):
        index = columns[name]
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(words):
            raise DataError(f"{result.folder / RESULT}: a {name} is not one of its {len(words)}")
    return events


def _read_columns(paths: list[Path], crew: Crew) -> dict[str, Tensor]:
    """The columns of all chunks, one chunk after the other."""
    chunks: list[dict[str, Tensor]] = []
    crew.work(paths, _load_chunk, chunks.append)
    for path, chunk in zip(paths, chunks, strict=True):
        if _layout(chunk) != _layout(chunks[0]):
            raise DataError(f"{path}: has other columns than {paths[0]}")
    ends = list(accumulate((len(chunk[INPUTS]) for chunk in chunks), initial=0))
    columns = {
        name: torch.empty((ends[-1], *column.shape[1:]), dtype=column.dtype)
        for name, column in chunks[0].items()
        if name in (INPUTS, *COLUMN_TYPES) or name.startswith(OWN)
    }

    def copy(index: int) -> None:
        # Chunks are mapped into memory: they are read from the disk only here.
        for name, column in columns.items():
            column[ends[index] : ends[index + 1]] = chunks[index][name]

    crew.work(range(len(chunks)), copy, lambda _: None)
    return columns


def _layout(chunk: Mapping[str, Tensor]) -> tuple[int, dict[str, torch.dtype]]:
    """What all chunks of a cache have in common: inputs, and the dataset's own columns."""
    own = {name: column.dtype for name, column in chunk.items() if name.startswith(OWN)}
    return chunk[INPUTS].shape[1], own


def write_chunk(path: Path, columns: Mapping[str, Tensor], compression: str) -> None:
    """Write a chunk; the path ends as :data:`SUFFIXES` has it for the compression."""
    if compression == "none":
        torch.save(columns, path)
        return
    stream = io.BytesIO()
    torch.save(columns, stream)
    path.write_bytes(COMPRESS[compression](stream.getvalue()))


def _load_chunk(path: Path) -> dict[str, Tensor]:
    try:
        chunk: dict[str, Tensor] = _load(path)
    except (OSError, *UNREADABLE, cramjam.DecompressionError) as error:
        raise DataError(f"{path}: not a chunk of a cache: {first_line(error)}") from error
    types = {INPUTS: torch.float32, **COLUMN_TYPES}
    for name, kind in types.items():
        column = chunk.get(name) if isinstance(chunk, dict) else None
        shape = 2 if name == INPUTS else 1
        if not isinstance(column, Tensor) or (column.dtype, column.ndim) != (kind, shape):
            raise DataError(f"{path}: not a chunk of a cache: {name} is not a column of {kind}")
    own = [name for name in chunk if str(name).startswith(OWN)]
    for name in own:
        column = chunk[name]
        if not isinstance(column, Tensor) or column.dtype not in OWN_TYPES or column.ndim != 1:
            raise DataError(f"{path}: not a chunk of a cache: {name} is not a column")
    if len({len(chunk[name]) for name in (*types, *own)}) != 1:
        raise DataError(f"{path}: not a chunk of a cache: columns of unequal length")
    return chunk


def _load(path: Path) -> Any:
    """The value in a file, of plain tensors alone."""
    decompress = DECOMPRESS.get(path.suffix)
    if decompress is None:
        return torch.load(path, mmap=True, weights_only=True)
    return torch.load(io.BytesIO(decompress(path.read_bytes())), weights_only=True)
