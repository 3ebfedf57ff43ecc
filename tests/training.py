"""A small training for tests: events whose jets tell the signal, specs, a cache, a context."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from hcrc.runtime.events import EventWriter
from hcrc.runtime.job import Context
from hcrc.runtime.nn.benchmark import Data
from hcrc.runtime.nn.folds import FoldRule
from hcrc.runtime.nn.prepare import prepare
from hcrc.runtime.nn.schedule import Schedule
from hcrc.runtime.nn.train import (
    Settings,
)
from hcrc.runtime.nn.training import Trainee
from hcrc.runtime.result import open_attempt
from hcrc.runtime.spec import (
    Architecture,
    CacheSpec,
    Cell,
    Classifier,
    Execution,
    Ghost,
    Roc,
    Training,
    read_job,
)

CLASSES = ["signal", "ttbar", "multijet"]
CLASSIFIER = Classifier(
    name="toy",
    classes=CLASSES,
    architecture=Architecture(features=4, attention=True, slip=False),
    rocs=[Roc(name="signal", positive=["signal"], negative=["ttbar", "multijet"])],
    outputs={},
)
TRAINING = Training(
    schedule="FixedStep",
    epochs=3,
    batch=32,
    batch_scale=2,
    batch_milestones=[1],
    learning_rate=0.01,
    learning_rate_scale=0.5,
    learning_rate_milestones=[2],
)
GHOST = Ghost(batches=4, scale=0.5, milestones=[1])
SETTINGS = Settings(
    classifier=CLASSIFIER,
    stages=(Schedule(TRAINING, GHOST),),
    benchmark=True,
    batch_eval=50,
    stack_events=1000,
)
RULE = FoldRule(3)
TRAINEES = [Trainee(0, 7, offset, fold, RULE) for offset in range(2) for fold in range(3)]


def make_data(events: int = 250) -> tuple[Data, torch.Tensor]:
    """Random events whose jets are harder for the signal."""
    random = np.random.default_rng(3)
    label = random.integers(0, 3, events)
    pt = random.exponential(40, (events, 1, 12)) + 40 + 60 * (label == 0)[:, None, None]
    jets = np.concatenate(
        [
            pt,
            random.normal(0, 1.2, (events, 1, 12)),
            random.uniform(-np.pi, np.pi, (events, 1, 12)),
            random.uniform(5, 20, (events, 1, 12)),
            random.integers(0, 2, (events, 1, 12)),
        ],
        axis=1,
    )
    absent = np.arange(8) >= random.integers(0, 8, events)[:, None]
    others = np.where(absent[:, None], -1, jets[:, :, 4:])
    ancillary = np.stack(
        [np.full(events, 18), random.integers(4, 9, events), *random.normal(2, 1, (2, events))], 1
    )
    raw = (jets[:, :4, :4], others, ancillary)
    matrix = prepare(*(torch.from_numpy(value) for value in raw))
    weight = torch.from_numpy(random.uniform(-0.2, 1, events)).float()
    return Data(matrix, torch.from_numpy(label), weight), torch.arange(events)


DATA, EVENT = make_data()


def raw_spec(cache: Path, offset: int = 0, **changes: Any) -> dict[str, Any]:
    spec = {
        "dataset": {"cell": "cache", "result": str(cache / "result.json"), "hash": "c"},
        "classifier": {
            "name": "toy",
            "classes": CLASSES,
            "architecture": {"features": 4, "attention": False, "slip": False},
            "rocs": [{"name": "signal", "positive": ["signal"], "negative": ["ttbar"]}],
            "outputs": {"p_sig": ["signal"]},
        },
        "kfolds": 2,
        "seed": 1,
        "offset": offset,
        "training": {**TRAINING.__dict__, "epochs": 2},
        "ghost": GHOST.__dict__,
        "benchmark": True,
    }
    return spec | changes


def make_cells(folder: Path, specs: list[dict[str, Any]]) -> list[Cell]:
    cells = [
        {
            "id": f"train[offset={n}]",
            "axes": {},
            "output": str(folder / f"{n}"),
            "hash": "t",
            "spec": s,
        }
        for n, s in enumerate(specs)
    ]
    execution = {"cpus": 1, "memory_mb": 1000, "gpus": 0, "device": "auto", "batch_eval": 100}
    job = {"id": "j", "number": 0, "name": "n", "task": "train", "needs": [], "cells": cells}
    return read_job({"hcrc": 1, **job, "execution": execution}).cells


def write_cache(folder: Path, labels: list[str], data: Data = DATA) -> Path:
    spec = CacheSpec(datasets=[], shuffle=False, seed=0, chunks=2)
    cell = Cell(id="cache", task="cache", axes={}, output=str(folder), hash="c", spec=spec, raw={})
    columns = {
        "inputs": data.matrix,
        "label": data.label,
        "weight": data.weight,
        "sample": (EVENT % 2).int(),
        "run": EVENT + 1000,
        "lumi": EVENT + 5,
        "event": EVENT,
    }
    with open_attempt(cell) as attempt:
        files = {}
        for number, rows in enumerate((slice(0, 100), slice(100, None))):
            path = attempt.path(f"chunk-{number:04d}.pt")
            torch.save({name: column[rows].clone() for name, column in columns.items()}, path)
            files[f"chunk-{number:04d}"] = path
        words = {"labels": labels, "samples": ["a/UL18", "b/UL17"], "sources": ["x"]}
        attempt.commit(files, words)
    return folder


def context() -> Context:
    execution = Execution(cpus=1, memory_mb=1000, gpus=0, device="cpu", batch_eval=100)
    return Context(execution, EventWriter())
