"""What a training leaves: the models and ids of each cell, and what its result says of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch

from ..data.cache import Events
from ..data.histograms import FILE, SCORE, Histograms, InputHistogram
from ..errors import SpecError
from ..nn.folds import FoldRule, random_folds
from ..nn.model import Metadata, save_model
from ..nn.network import Network
from ..nn.roc import Curve
from ..nn.training import Training
from ..result import Attempt, Result
from ..spec import TrainSpec

ROC_POINTS: Final = 250


def make_rule(spec: TrainSpec) -> FoldRule:
    """Which fold an event belongs to."""
    if spec.folds == "event":
        return FoldRule(spec.kfolds)
    return random_folds(spec.kfolds, spec.fold_seed, spec.offset)


def list_folds(spec: TrainSpec) -> list[int]:
    """The folds to train; raises SpecError for none, one that there is not, or one twice."""
    if spec.fold_offsets is None:
        return list(range(spec.kfolds))
    folds = sorted(set(spec.fold_offsets))
    if not folds or len(folds) < len(spec.fold_offsets) or folds[-1] >= spec.kfolds or folds[0] < 0:
        raise SpecError(
            f"fold_offsets: {spec.fold_offsets} are not some of the folds 0 to {spec.kfolds - 1}"
        )
    return folds


@dataclass(frozen=True)
class Read:
    """What the cells of a group train on, the sha256 of each chunk of it, and how it is made up."""

    events: Events
    source: Result
    checksums: dict[str, str]
    inputs: list[InputHistogram]


def commit(
    attempt: Attempt,
    number: int,
    networks: list[Network],
    trainings: list[Training],
    read: Read,
    device: torch.device,
) -> None:
    """Write the models, ids and histograms of one cell, and its result."""
    spec, events = cast(TrainSpec, attempt.cell.spec), read.events
    files: dict[str, Path] = {}
    models, scores = [], {}
    for place, training in enumerate(trainings):
        if training.trainee.cell == number:
            stages = write_models(attempt, networks, place, training)
            ids = write_ids(attempt, training, events)
            files |= stages | ids
            models.append(describe_model(training, len(events), list(stages)))
            if training.scores is not None:
                scores[training.trainee.fold] = training.scores
    histograms = Histograms(SCORE, scores, read.inputs)
    files[FILE] = attempt.path(f"{FILE}.npz")
    histograms.write(files[FILE])
    attempt.commit(
        files,
        {
            "classifier": attempt.cell.raw["classifier"],
            "kfolds": spec.kfolds,
            "fold": make_rule(spec).describe(),
            "fold_offsets": list_folds(spec),
            "labels": events.labels,
            "samples": events.samples,
            "sources": read.source.data.get("sources"),
            "read": [{"name": name, "sha256": value} for name, value in read.checksums.items()],
            FILE: histograms.describe(),
            "models": models,
        },
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        torch_threads=torch.get_num_threads(),
    )


def write_models(
    attempt: Attempt, networks: list[Network], place: int, training: Training
) -> dict[str, Path]:
    """Write one model as it is at the end, and before a fine-tuning; gives the files by name."""
    spec, fold = cast(TrainSpec, attempt.cell.spec), training.trainee.fold
    stages = {"final": f"model-{fold}", "training": f"model-{fold}-training"}
    files = {}
    for (stage, name), network in zip(stages.items(), reversed(networks), strict=False):
        metadata = Metadata(
            classes=spec.classifier.classes,
            architecture=spec.classifier.architecture,
            rule=training.trainee.rule,
            fold=fold,
            seed=spec.seed,
            offset=spec.offset,
            stage=stage,
            model=spec.classifier.model,
            options=spec.classifier.options,
        )
        files[name] = attempt.path(f"{name}.pt")
        save_model(files[name], network, place, metadata)
    return files


def write_ids(attempt: Attempt, training: Training, events: Events) -> dict[str, Path]:
    """Write the ids of the events a model trained on; gives the file by name."""
    name = f"ids-{training.trainee.fold}"
    path = attempt.path(f"{name}.npz")
    columns = {key: getattr(events, key) for key in ("sample", "run", "lumi", "event")}
    np.savez_compressed(path, **{n: column[training.part].numpy() for n, column in columns.items()})
    return {name: path}


def describe_model(training: Training, events: int, files: list[str]) -> dict[str, Any]:
    """What the result says of one model: its parts, its history and its last ROC curves.

    ``files`` are the model at the end, and before a fine-tuning if there was one.
    """
    fold, trained = training.trainee.fold, len(training.part)
    curves = training.last.curves if training.last is not None else {}
    return {
        "fold": fold,
        "file": files[0],
        "stages": {"final": files[0], "training": files[-1]},
        "ids": f"ids-{fold}",
        "events_training": trained,
        "events_validation": events - trained,
        "steps_per_epoch": [row["steps"] for row in training.history],
        "history": training.history,
        "best_epoch": training.best_epoch if training.best_loss < math.inf else None,
        "rocs": {name: describe_curve(curve.thin(ROC_POINTS)) for name, curve in curves.items()},
    }


def describe_curve(curve: Curve) -> dict[str, Any]:
    """A ROC curve as plain values."""
    value = asdict(curve)
    return {
        key: v.round(6).tolist() if isinstance(v, np.ndarray) else v for key, v in value.items()
    }
