"""A trained model as a file: the named state of one network, and what it takes to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor

from ..errors import DataError
from ..spec import HCR as HCR_MODEL
from ..spec import Architecture
from .benchmark import CPU_BATCH
from .checkpoint import UNREADABLE
from .folds import FoldRule
from .hcr import HCR
from .network import Network
from .own import OwnNetwork, make_own
from .prepare import COLUMNS
from .state import export_state, import_state

# The keys of a model's file that describe its fold rule start so.
FOLD: Final = "fold_"


@dataclass(frozen=True)
class Metadata:
    """Which model it is: its classes in the order of the outputs, its fold and its seed.

    ``stage`` is ``final``, or ``training`` for a model that was fine-tuned afterwards.
    """

    classes: list[str]
    architecture: Architecture
    rule: FoldRule
    fold: int
    seed: int
    offset: int
    stage: str = "final"
    model: str = HCR_MODEL
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """One trained network, ready to score events."""

    network: Network
    metadata: Metadata

    @property
    def classes(self) -> list[str]:
        """The classes, in the order of the probabilities."""
        return self.metadata.classes

    @property
    def kfolds(self) -> int:
        """The number of folds that the events were divided into."""
        return self.rule.kfolds

    @property
    def rule(self) -> FoldRule:
        """Which fold an event belongs to."""
        return self.metadata.rule

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


def make_network(
    model: str,
    options: dict[str, Any],
    architecture: Architecture,
    classes: int,
    models: int = 1,
) -> Network:
    """A stack of models, HCR's or the user's own; raises :class:`SpecError`."""
    if model == HCR_MODEL:
        return HCR(architecture, classes, models)
    return make_own(model, options, classes, models)


def save_model(path: Path, network: Network, model: int, metadata: Metadata) -> None:
    """Write one model of a stack; nothing but tensors and plain values, so that it loads safely."""
    value = {
        "hcrc": 1,
        "state": _export(network, model),
        "kfolds": metadata.rule.kfolds,
        **{f"{FOLD}{key}": item for key, item in metadata.rule.describe().items()},
        **{key: item for key, item in asdict(metadata).items() if key != "rule"},
    }
    torch.save(value, path)


def load_model(path: Path, device: str = "cpu") -> Model:
    """The model in a file, in evaluation mode; raises :class:`DataError` if it is not one."""
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
        metadata = _read_metadata(value)
        classes = len(metadata.classes)
        network = make_network(metadata.model, metadata.options, metadata.architecture, classes)
        _import(network, value["state"])
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, *UNREADABLE) as error:
        raise DataError(f"{path}: not a model of hcrc 1: {error}".splitlines()[0]) from error
    return Model(network.to(device).eval(), metadata)


def _export(network: Network, model: int) -> dict[str, Tensor]:
    if isinstance(network, OwnNetwork):
        return network.export_state(model)
    return export_state(cast("HCR", network), model)


def _import(network: Network, state: Mapping[str, Tensor]) -> None:
    if isinstance(network, OwnNetwork):
        network.import_state(state)
    else:
        import_state(cast("HCR", network), state)


def _read_metadata(value: dict[str, Any]) -> Metadata:
    if value["hcrc"] != 1:
        raise ValueError(f"version {value['hcrc']}")
    rule = {key.removeprefix(FOLD): item for key, item in value.items() if key.startswith(FOLD)}
    return Metadata(
        classes=list(value["classes"]),
        architecture=Architecture(**value["architecture"]),
        rule=FoldRule.read(value["kfolds"], rule),
        fold=value["fold"],
        seed=value["seed"],
        offset=value["offset"],
        stage=value.get("stage", "final"),
        model=value.get("model", HCR_MODEL),
        options=value.get("options", {}),
    )
