"""What is known of every event of a base file beside its scores: id, label, weight, selection."""

from __future__ import annotations

import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .ids import Ids
from .paths import first_line

NO_LABEL: Final = -1


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


def load_truth(path: Path) -> Truth:
    """Read a truth file; raises :class:`DataError`."""
    return Truth(**_load(path, list(Truth.__dataclass_fields__)))


def load_ids(path: Path) -> Ids:
    """Read a file with the columns sample, run, lumi and event; raises :class:`DataError`."""
    columns = _load(path, ["sample", "run", "lumi", "event"])
    return Ids(**{name: column.astype(np.int64) for name, column in columns.items()})


def _load(path: Path, names: list[str]) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read: {first_line(error)}") from error
