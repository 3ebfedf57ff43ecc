"""CPU time per event of the data tasks, beside plain reading of the same branches.

    python benchmarks/data.py [--events 100000] [--files 4] [--folder DIR]

Makes synthetic events (random jets, flags and weights) in as many files as asked for, and a
friend tree with a weight; caches them, evaluates and merges two models that were not trained, and
reads the same branches with uproot alone into NumPy arrays. One process, one thread; times are
the process's own (user and system), so that a busy machine does not matter.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import awkward
import numpy as np
import torch
import uproot
from hcrc.runtime.data.cache import load_events
from hcrc.runtime.data.dataset import ID_BRANCHES, INPUT_BRANCHES
from hcrc.runtime.events import EventWriter
from hcrc.runtime.job import Context
from hcrc.runtime.nn.folds import FoldRule
from hcrc.runtime.nn.hcr import HCR
from hcrc.runtime.nn.model import Metadata, load_model, save_model
from hcrc.runtime.result import RESULT, load_result, open_attempt, write_json
from hcrc.runtime.spec import Architecture, Cell, Execution, read_job
from hcrc.runtime.tasks import cache, evaluate, merge

FOLDS = 2
CLASSES = ["signal", "background"]
JETS = {"pt": (40, 200), "eta": (-2.5, 2.5), "phi": (-3.1, 3.1), "mass": (5, 20)}
EXECUTION = Execution(cpus=1, memory_mb=4000, gpus=0, device="cpu", batch_eval=4096)
ARCHITECTURE = Architecture(features=8, attention=True, slip=False)
FLAGS = ("passHLT", "SR", "fourTag")
SELECTION = "passHLT & fourTag & SR"
NAMING = "{name}_{uuid}.root"


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="keep the files here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        paths = write_files(folder, options.events, options.files)
        measure(folder, paths, options.events)


def measure(folder: Path, paths: list[Path], events: int) -> None:
    """Run every task once, and print what it takes."""
    context = Context(EXECUTION, EventWriter())
    datasets = [make_dataset(folder, paths)]
    cells = {
        "cache": make_cell(folder, "cache", cache_spec(datasets)),
        "evaluate": make_cell(folder, "evaluate", evaluate_spec(folder, datasets)),
        "merge": make_cell(folder, "merge", merge_spec(folder)),
    }
    times = [
        clock("read with uproot", lambda: read_plainly(paths)),
        clock("cache", lambda: cache.run([cells["cache"]], context)),
    ]
    write_models(folder)
    times += [
        clock("forward passes", lambda: predict(folder, events)),
        clock("evaluate", lambda: evaluate.run([cells["evaluate"]], context)),
        clock("merge", lambda: merge.run([cells["merge"]], context)),
    ]
    print(f"{events} events in {len(paths)} files, CPU time on one thread")
    print(f"{'':<18}{'s':>8}{'µs/event':>10}{'× read':>8}")
    for name, seconds in times:
        each = 1e6 * seconds / events
        print(f"{name:<18}{seconds:>8.2f}{each:>10.1f}{seconds / times[0][1]:>8.1f}")


def clock(name: str, work: Callable[[], object]) -> tuple[str, float]:
    """What a piece of work takes of the processor, in seconds."""
    start = time.process_time()
    work()
    return name, time.process_time() - start


def write_files(folder: Path, events: int, files: int) -> list[Path]:
    """Base files of as many events together, and a friend tree ``weights.json``."""
    paths, pairs = [], []
    for index, part in enumerate(np.array_split(np.arange(events), files)):
        path, friend = folder / f"base-{index}.root", folder / f"friend-{index}.root"
        random = np.random.Generator(np.random.PCG64(index))
        own = write_tree(path, make_events(random, part))
        other = write_tree(friend, {"extra": random.uniform(0.5, 1.5, len(part))})
        chunk = {"path": str(friend), "name": "Events", "uuid": other, "num_entries": len(part)}
        chunk |= {"entry_start": None, "entry_stop": None}
        base = {"path": str(path), "name": "Events", "uuid": own}
        pairs.append([base, [{"start": 0, "stop": len(part), "chunk": chunk}]])
        paths.append(path)
    friend_tree = {"name": "weights", "branches": ["extra"], "data": pairs}
    write_json(folder / "weights.json", friend_tree)
    return paths


def make_events(random: np.random.Generator, number: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Branches of a base file, by name."""
    count = len(number)
    others = random.integers(0, 8, count)
    columns: dict[str, Any] = {
        "run": np.ones(count, np.uint32),
        "luminosityBlock": (number // 1000).astype(np.uint32),
        "event": number.astype(np.uint64),
        "nSelJets": (4 + others).astype(np.int32),
        "xW": random.uniform(0, 5, count).astype(np.float32),
        "xbW": random.uniform(0, 5, count).astype(np.float32),
        "weight": random.uniform(0.5, 1.5, count),
    }
    columns |= {name: random.random(count) < 0.9 for name in FLAGS}
    for prefix, counts in (("CanJet", np.full(count, 4)), ("NotCanJet", others)):
        for name, limits in JETS.items():
            content = random.uniform(*limits, counts.sum()).astype(np.float32)
            columns[f"{prefix}_{name}"] = awkward.unflatten(content, counts)
    flags = random.integers(0, 2, others.sum()).astype(np.int32)
    columns["NotCanJet_isSelJet"] = awkward.unflatten(flags, others)
    return columns


def write_tree(path: Path, columns: dict[str, Any]) -> str:
    """Write the tree ``Events``, and return the file's uuid."""
    with uproot.recreate(path, compression=uproot.ZSTD(5)) as file:
        kinds = {
            name: column.type.content if isinstance(column, awkward.Array) else column.dtype
            for name, column in columns.items()
        }
        file.mktree("Events", kinds, counter_name=lambda counted: f"n_{counted}")
        file["Events"].extend(columns)
    with uproot.open(path) as file:
        return str(file.file.uuid)


def read_plainly(paths: list[Path]) -> None:
    """The yardstick: the same branches into NumPy arrays, lists as their values in a row."""
    for path in paths:
        with uproot.open(path) as file:
            for name in (*INPUT_BRANCHES, *ID_BRANCHES, *FLAGS, "weight"):
                array = file["Events"][name].array(library="ak")
                awkward.to_numpy(awkward.flatten(array, axis=None))
        with uproot.open(path.with_name(path.name.replace("base", "friend"))) as file:
            file["Events"]["extra"].array(library="np")


def make_dataset(folder: Path, paths: list[Path]) -> dict[str, Any]:
    """A dataset of both classes, half of the files each."""
    rows = []
    for index, path in enumerate(paths):
        label = CLASSES[index % len(CLASSES)]
        row = {"sample": label, "year": "UL18", "label": label, "files": [str(path)]}
        row |= {"friends": ["weights.json"], "selection": SELECTION, "weight": "weight * extra"}
        rows.append(row)
    dataset = {"name": "all", "base": str(folder), "tree": "Events", "samples": rows}
    return dataset | {"norm": {"sum": 1, "by": "label"}}


def cache_spec(datasets: list[dict[str, Any]]) -> dict[str, Any]:
    """A cache of all selected events."""
    return {"datasets": datasets, "shuffle": True, "seed": 1, "chunks": 4}


def evaluate_spec(folder: Path, datasets: list[dict[str, Any]]) -> dict[str, Any]:
    """An evaluation of every event."""
    spec = {"models": refer(folder, "train"), "datasets": datasets}
    return spec | {"name": "score", "naming": NAMING}


def merge_spec(folder: Path) -> dict[str, Any]:
    """A merge of that evaluation."""
    spec = {"predictions": [refer(folder, "evaluate")], "name": "score", "naming": NAMING}
    return spec | {"std": False}


def refer(folder: Path, name: str) -> dict[str, str]:
    """A reference to a cell."""
    return {"cell": name, "result": str(folder / name / "result.json"), "hash": name}


def make_cell(folder: Path, task: str, spec: dict[str, Any]) -> Cell:
    """A cell as a job has it."""
    cell = {"id": task, "axes": {}, "output": str(folder / task), "hash": task, "spec": spec}
    job = {"hcrc": 1, "id": task, "number": 0, "name": task, "task": task, "needs": []}
    return read_job({**job, "cells": [cell], "execution": asdict(EXECUTION)}).cells[0]


def train_spec(folder: Path) -> dict[str, Any]:
    """A training of a small network, which :func:`write_models` only pretends to have run."""
    roc = {"name": "signal vs background", "positive": CLASSES[:1], "negative": CLASSES[1:]}
    classifier = {"name": "untrained", "classes": CLASSES, "rocs": [roc], "outputs": {}}
    training = {"schedule": "FixedStep", "epochs": 1, "batch": 1024, "batch_scale": 2.0}
    training |= {"batch_milestones": [], "learning_rate": 0.01}
    training |= {"learning_rate_scale": 0.5, "learning_rate_milestones": []}
    return {
        "dataset": refer(folder, "cache"),
        "classifier": classifier | {"architecture": asdict(ARCHITECTURE)},
        "kfolds": FOLDS,
        "seed": 1,
        "offset": 0,
        "training": training,
        "ghost": {"batches": 0, "scale": 0.5, "milestones": []},
        "benchmark": False,
    }


def write_models(folder: Path) -> None:
    """A train result with a model for each fold that has learned nothing."""
    cell = make_cell(folder, "train", train_spec(folder))
    source = load_result(folder / "cache" / RESULT)
    events = load_events(source)
    network = HCR(ARCHITECTURE, len(CLASSES))
    rows, files = [], {}
    with open_attempt(cell) as attempt:
        for fold in range(FOLDS):
            model, ids = attempt.path(f"model-{fold}.pt"), attempt.path(f"ids-{fold}.npz")
            save_model(
                model, network, 0, Metadata(CLASSES, ARCHITECTURE, FoldRule(FOLDS), fold, 1, 0)
            )
            part = events.event % FOLDS != fold
            names = ("sample", "run", "lumi", "event")
            np.savez_compressed(ids, **{n: getattr(events, n)[part].numpy() for n in names})
            files |= {f"model-{fold}": model, f"ids-{fold}": ids}
            rows.append({"fold": fold, "file": f"model-{fold}", "ids": f"ids-{fold}"})
        data = {"classifier": cell.raw["classifier"], "kfolds": FOLDS, "models": rows}
        data |= {"labels": events.labels, "samples": events.samples}
        attempt.commit(files, data | {"sources": source.data["sources"]})


def predict(folder: Path, events: int) -> None:
    """The forward passes of an evaluation alone, on the first cached events over and over."""
    inputs = load_events(load_result(folder / "cache" / RESULT)).inputs[:4096]
    model = load_model(load_result(folder / "train" / RESULT).path("model-0"))
    for start in range(0, events, len(inputs)):
        model.predict(inputs[: events - start], EXECUTION.batch_eval)


if __name__ == "__main__":
    main()
