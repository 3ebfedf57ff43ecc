"""The tensor cache, read back: the chunks of a cache result as the events of a training."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from ..errors import DataError
from ..result import Result

INPUTS: Final = "inputs"
COLUMN_TYPES: Final = {
    "label": torch.int64,
    "weight": torch.float32,
    "sample": torch.int32,
    "run": torch.int64,
    "lumi": torch.int64,
    "event": torch.int64,
}


@dataclass(frozen=True)
class Events:
    """Prepared events, one row each, and the words that their indices stand for.

    ``inputs`` is (n, C) float32; ``label`` (n) int64 indexes ``labels``; ``weight`` (n) float32;
    ``sample`` (n) int32 indexes ``samples`` (``ZZ4b/UL18``); with it ``run``, ``lumi`` and
    ``event`` (n) int64 are an event's id.
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

    def __len__(self) -> int:
        return len(self.inputs)


def chunk_name(index: int) -> str:
    """The name of a chunk among a cache result's files."""
    return f"chunk-{index:04d}"


def load_events(result: Result) -> Events:
    """All chunks of a cache result, in order; raises :class:`DataError`."""
    names = [name for name in map(chunk_name, range(len(result.files))) if name in result.files]
    if not names:
        raise DataError(f"{result.folder}: holds no cached events")
    chunks = [_load_chunk(result.path(name)) for name in names]
    columns = {key: torch.cat([chunk[key] for chunk in chunks]) for key in (INPUTS, *COLUMN_TYPES)}
    return Events(**columns, labels=result.data["labels"], samples=result.data["samples"])


def _load_chunk(path: Path) -> dict[str, Tensor]:
    try:
        chunk = torch.load(path, mmap=True, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: not a chunk of a cache: {_first_line(error)}") from error
    if not isinstance(chunk, dict) or any(
        not isinstance(chunk.get(name), Tensor) for name in (INPUTS, *COLUMN_TYPES)
    ):
        raise DataError(f"{path}: not a chunk of a cache: columns are missing")
    if len({len(chunk[name]) for name in (INPUTS, *COLUMN_TYPES)}) != 1:
        raise DataError(f"{path}: not a chunk of a cache: columns of unequal length")
    return chunk


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
