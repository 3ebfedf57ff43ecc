"""What is known of every event of a base file beside its scores: id, label, weight, selection."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .ids import Ids
from .paths import first_line

NO_LABEL: Final = -1
ID_TYPES: Final = {"sample": np.int32, "run": np.int64, "lumi": np.int64, "event": np.int64}
TRUTH_TYPES: Final = {
    **ID_TYPES,
    "label": np.int32,
    "weight": np.float64,
    "selected": np.bool_,
    "scored_by": np.int32,
}
# What NumPy and zipfile raise for a file that something else wrote.
UNREADABLE: Final = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Truth:
    """One row an entry, all (n): ids; ``label`` is -1 and ``weight`` 0 where not ``selected``.

    ``scored_by`` is the fold of the model that scored the event.
    """

    sample: NDArray[np.int32]
    run: NDArray[np.int64]
    lumi: NDArray[np.int64]
    event: NDArray[np.int64]
    label: NDArray[np.int32]
    weight: NDArray[np.float64]
    selected: NDArray[np.bool_]
    scored_by: NDArray[np.int32]

    def ids(self) -> Ids:
        """The ids of the entries."""
        return Ids(self.sample.astype(np.int64), self.run, self.lumi, self.event)


def write_truth(path: Path, truth: Truth) -> None:
    """Write a truth file: a compressed ``.npz`` without pickles."""
    with path.open("wb") as stream:
        np.savez_compressed(stream, **asdict(truth))


def load_truth(path: Path, entries: int, labels: int, samples: int) -> Truth:
    """A truth file of so many entries, labels and samples; raises :class:`DataError`."""
    truth = Truth(**_load(path, TRUTH_TYPES))
    if len(truth.event) != entries:
        raise DataError(f"{path}: {len(truth.event)} entries where {entries} are needed")
    _check_index(path, "sample", truth.sample, 0, samples)
    _check_index(path, "label", truth.label, NO_LABEL, labels)
    if not np.isfinite(truth.weight).all():
        raise DataError(f"{path}: a weight is not a finite number")
    return truth


def load_ids(path: Path, samples: int) -> Ids:
    """A file with the columns of ids of so many samples; raises :class:`DataError`."""
    columns = _load(path, ID_TYPES)
    _check_index(path, "sample", columns["sample"], 0, samples)
    return Ids(**{name: column.astype(np.int64) for name, column in columns.items()})


def _load(path: Path, types: Mapping[str, type]) -> dict[str, NDArray[Any]]:
    """Columns (n) of these types; an archive with pickles is refused."""
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            columns = {name: file[name] for name in types}
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read: {first_line(error)}") from error
    for name, column in columns.items():
        if not isinstance(column, np.ndarray) or column.ndim != 1 or column.dtype != types[name]:
            raise DataError(f"{path}: {name} is not a column of {types[name].__name__}")
    if len({len(column) for column in columns.values()}) > 1:
        raise DataError(f"{path}: columns of unequal length")
    return columns


def _check_index(path: Path, name: str, column: NDArray[Any], least: int, end: int) -> None:
    wrong = np.flatnonzero((column < least) | (column >= end))
    if len(wrong):
        entry = int(wrong[0])
        raise DataError(f"{path}: {name} entry {entry}: {column[entry]} of {end}")
