"""A trained model as a file: the named state of one network, and what it takes to use it."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from ..errors import DataError
from ..spec import Architecture
from . import folds
from .benchmark import CPU_BATCH
from .hcr import HCR
from .prepare import COLUMNS
from .state import export_state, import_state

# What torch.load and a look into its value raise for a file that something else wrote.
UNREADABLE: Final = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RuntimeError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True)
class Metadata:
    """Which model it is: its classes in the order of the outputs, its fold and its seed."""

    classes: list[str]
    architecture: Architecture
    kfolds: int
    fold: int
    seed: int
    offset: int


@dataclass(frozen=True)
class Model:
    """One trained network, ready to score events."""

    network: HCR
    metadata: Metadata

    @property
    def classes(self) -> list[str]:
        """The classes, in the order of the probabilities."""
        return self.metadata.classes

    @property
    def kfolds(self) -> int:
        """The number of folds that the events were divided into."""
        return self.metadata.kfolds

    @property
    def fold(self) -> int:
        """The fold that the model has not seen in training."""
        return self.metadata.fold

    @torch.inference_mode()
    def predict(self, matrix: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Class probabilities (N, classes) and view probabilities (N, 3), float32 on the CPU.

        ``matrix`` is (N, COLUMNS) of prepared events, scored at most ``batch`` at a time.
        """
        if self.network.weights.device.type == "cpu":
            batch = min(batch, CPU_BATCH)
        if matrix.shape[1] != COLUMNS:
            raise DataError(f"prepared events have {COLUMNS} columns, these {matrix.shape[1]}")
        classes = torch.empty(len(matrix), len(self.classes))
        views = torch.empty(len(matrix), 3)
        for start in range(0, len(matrix), batch):
            rows = slice(start, start + batch)
            logits = self.network(matrix[rows].to(self.network.weights))
            classes[rows], views[rows] = (part[0].softmax(dim=1).cpu() for part in logits)
        return classes, views


def save_model(path: Path, network: HCR, model: int, metadata: Metadata) -> None:
    """Write one model of a stack; nothing but tensors and plain values, so that it loads safely."""
    value = {
        "hcrc": 1,
        "state": export_state(network, model),
        "fold_algorithm": folds.ALGORITHM,
        "fold_version": folds.VERSION,
        **asdict(metadata),
    }
    torch.save(value, path)


def load_model(path: Path, device: str = "cpu") -> Model:
    """The model in a file, in evaluation mode; raises :class:`DataError` if it is not one."""
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
        metadata = _read_metadata(value)
        network = HCR(metadata.architecture, len(metadata.classes))
        import_state(network, value["state"])
    except UNREADABLE as error:
        raise DataError(f"{path}: not a model of hcrc 1: {error}".splitlines()[0]) from error
    rule = (value.get("fold_algorithm"), value.get("fold_version"))
    if rule != (folds.ALGORITHM, folds.VERSION):
        raise DataError(f"{path}: folds by {rule[0]} version {rule[1]} are not known here")
    return Model(network.to(device).eval(), metadata)


def _read_metadata(value: dict[str, Any]) -> Metadata:
    if value["hcrc"] != 1:
        raise ValueError(f"version {value['hcrc']}")
    return Metadata(
        classes=list(value["classes"]),
        architecture=Architecture(**value["architecture"]),
        kfolds=value["kfolds"],
        fold=value["fold"],
        seed=value["seed"],
        offset=value["offset"],
    )
