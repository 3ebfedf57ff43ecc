"""Tiny ROOT files, friend trees and job cells for the tests of the data tasks."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward
import numpy as np
import pytest
import uproot
from hcrc.runtime.errors import JobError
from hcrc.runtime.events import EventWriter
from hcrc.runtime.job import Context
from hcrc.runtime.spec import Cell, Execution, read_job
from hcrc.runtime.tasks import cache, train
from hypothesis import strategies as st

Columns = dict[str, Any]
KINEMATICS = ("pt", "eta", "phi", "mass")


def make_events(count: int, seed: int = 0, **changes: Any) -> Columns:
    """Branches of a base file: events numbered from 1000 * seed, flags that alternate."""
    random = np.random.Generator(np.random.PCG64(seed))
    number = np.arange(count)
    others = random.integers(0, 11, count)
    columns: Columns = {
        "run": np.ones(count, np.uint32),
        "luminosityBlock": (number // 10).astype(np.uint32),
        "event": (1000 * seed + number).astype(np.uint64),
        "passHLT": np.ones(count, bool),
        "SR": number % 2 == 0,
        "SB": number % 2 == 1,
        "nSelJets": (4 + others).astype(np.int32),
        "xW": random.uniform(0, 5, count).astype(np.float32),
        "xbW": random.uniform(0, 5, count).astype(np.float32),
        "weight": random.uniform(0.5, 1.5, count),
        **make_jets(random, "CanJet", np.full(count, 4)),
        **make_jets(random, "NotCanJet", others),
        "NotCanJet_isSelJet": make_lists(random.integers(0, 2, others.sum()), others, np.int32),
    }
    return {name: value for name, value in (columns | changes).items() if value is not None}


def make_jets(random: np.random.Generator, prefix: str, counts: np.ndarray) -> Columns:
    """Lists of jets: pt in 40 to 200 GeV, |eta| below 2.5, mass in 5 to 20 GeV."""
    limits = {"pt": (40, 200), "eta": (-2.5, 2.5), "phi": (-3.1, 3.1), "mass": (5, 20)}
    return {
        f"{prefix}_{name}": make_lists(random.uniform(*limits[name], counts.sum()), counts)
        for name in KINEMATICS
    }


def make_lists(content: Any, counts: Any, kind: type = np.float32) -> awkward.Array:
    """A jagged column from all its values in a row."""
    return awkward.unflatten(np.asarray(content, kind), np.asarray(counts))


def write_root(path: Path, columns: Mapping[str, Any], tree: str = "Events", **more: Any) -> str:
    """Write a tree, and return the file's uuid; ``more`` are further trees of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        for name, content in {tree: columns, **more}.items():
            kinds = {
                key: value.type.content if isinstance(value, awkward.Array) else value.dtype
                for key, value in content.items()
            }
            file.mktree(name, kinds, counter_name=lambda counted: f"n_{counted}")
            if any(len(value) for value in content.values()):
                file[name].extend(dict(content))
    return read_uuid(path)


def read_uuid(path: Path) -> str:
    """A ROOT file's own uuid."""
    with uproot.open(path) as file:
        return str(file.file.uuid)


def read_tree(path: str | Path, tree: str = "Events") -> dict[str, np.ndarray]:
    """All columns of a flat tree."""
    with uproot.open(Path(path)) as file:
        return dict(file[tree].arrays(library="np"))


def friend_chunk(path: Path, start: int, stop: int, /, **changes: Any) -> dict[str, Any]:
    """One range of a friend tree's JSON, whose chunk is a whole file."""
    chunk = {"path": str(path), "name": "Events", "uuid": read_uuid(path)}
    chunk |= {"num_entries": stop - start, "entry_start": None, "entry_stop": None}
    return {"start": start, "stop": stop, "chunk": chunk | changes}


def friend_json(
    name: str, branches: list[str], data: list[tuple[Path, list[dict[str, Any]]]]
) -> dict[str, Any]:
    """A friend tree's JSON, by the base files' own uuids."""
    pairs = [
        [{"path": str(base), "name": "Events", "uuid": read_uuid(base)}, ranges]
        for base, ranges in data
    ]
    return {"name": name, "branches": branches, "data": pairs}


def write_json(path: Path, value: Any) -> Path:
    """Write a JSON file."""
    path.write_text(json.dumps(value), "utf-8")
    return path


def sample(*files: str, **changes: Any) -> dict[str, Any]:
    """A sample of a dataset's spec."""
    row = {"sample": "ZZ4b", "year": "UL18", "label": "ZZ", "files": list(files), "friends": []}
    return row | {"selection": None, "weight": "weight"} | changes


def dataset(base: Path, *samples: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A dataset's spec."""
    row = {"name": "signal", "base": str(base), "tree": "Events", "samples": list(samples)}
    return row | {"norm": None} | changes


def make_cell(task: str, spec: dict[str, Any], output: Path, name: str = "") -> Cell:
    """A cell as a job has it."""
    cell = {
        "id": name or task,
        "axes": {},
        "output": str(output),
        "hash": f"hash of {name or task}",
    }
    execution = {"cpus": 1, "memory_mb": 1000, "gpus": 0, "device": "cpu", "batch_eval": 1000}
    job = {"hcrc": 1, "id": "job", "number": 0, "name": task, "task": task, "needs": []}
    value = job | {"cells": [cell | {"spec": spec}], "execution": execution}
    return read_job(value).cells[0]


class Events(EventWriter):
    """Keeps what a task says."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def _write(self, event: str, cell: str, **fields: Any) -> None:
        self.lines.append({"event": event, "cell": cell, **fields})

    def texts(self) -> list[str]:
        return [line["text"] for line in self.lines if line["event"] == "message"]


def make_context(events: Events | None = None, **changes: Any) -> Context:
    """How to run a task in a test."""
    execution = Execution(cpus=1, memory_mb=1000, gpus=0, device="cpu", batch_eval=7)
    return Context(replace(execution, **changes), events or Events())


def leftovers(output: Path) -> list[str]:
    """What lies in a cell's folder beside the lock."""
    return sorted(path.name for path in output.iterdir() if path.name != ".lock")


def simulated_data() -> Path:
    """The folder of simulated events beside the repository; skips the test where there is none."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "friend.json").exists():
        pytest.skip("no simulated events beside the repository")
    return folder


CLASSES = ["ZZ", "ttbar"]


def classifier(**changes: Any) -> dict[str, Any]:
    """A small classifier's spec."""
    row = {
        "name": "small",
        "classes": CLASSES,
        "architecture": {"features": 2, "attention": False, "slip": False},
        "rocs": [{"name": "ttbar vs ZZ", "positive": ["ttbar"], "negative": ["ZZ"]}],
        "outputs": {"p_all": CLASSES},
    }
    return row | changes


def train_spec(cached: Path, offset: int = 0, **changes: Any) -> dict[str, Any]:
    """A training of one epoch in two folds."""
    training = {"schedule": "FixedStep", "epochs": 1, "batch": 16, "batch_scale": 2.0}
    training |= {"batch_milestones": [], "learning_rate": 0.01}
    training |= {"learning_rate_scale": 0.5, "learning_rate_milestones": []}
    row = {
        "dataset": reference("cache", cached),
        "classifier": classifier(),
        "kfolds": 2,
        "seed": 5,
        "offset": offset,
        "training": training,
        "ghost": {"batches": 0, "scale": 0.5, "milestones": []},
        "benchmark": True,
    }
    return row | changes


def reference(cell: str, output: Path) -> dict[str, Any]:
    """A reference to a cell that :func:`make_cell` made."""
    return {"cell": cell, "result": str(output / "result.json"), "hash": f"hash of {cell}"}


SELECTION = "event % 4 < 2"
NAMING = "{name}_{uuid}_{start}_{stop}.root"


def small_dataset(folder: Path, **changes: Any) -> dict[str, Any]:
    """Two files of 40 events, half of them selected: signal ``a.root`` and ``b.root``."""
    rows = [
        sample("a.root", selection=SELECTION),
        sample("b.root", sample="TT", label="ttbar", selection=SELECTION),
    ]
    return dataset(folder, *rows, norm={"sum": 6, "by": "label"}, **changes)


def evaluate_spec(folder: Path, offset: int = 0, **changes: Any) -> dict[str, Any]:
    """An evaluation of :func:`small_dataset`."""
    name = f"train{offset}"
    row = {"models": reference(name, folder / name), "datasets": [small_dataset(folder)]}
    row |= {"name": "SvB", "naming": NAMING, "outputs": {"p_all": CLASSES}}
    return row | changes


def make_trained(folder: Path) -> Path:
    """A cache and two trainings (``train0``, ``train1``), two folds each, of small files."""
    write_root(folder / "a.root", make_events(40, 1))
    write_root(folder / "b.root", make_events(40, 2))
    spec = {"datasets": [small_dataset(folder)], "shuffle": True, "seed": 1, "chunks": 2}
    cache.run([make_cell("cache", spec, folder / "cache")], make_context())
    cells = [
        make_cell("train", train_spec(folder / "cache", i), folder / f"train{i}", f"train{i}")
        for i in (0, 1)
    ]
    train.run(cells, make_context())
    return folder


def copy_folder(source: Path, target: Path) -> Path:
    """A copy of a folder of results in which they name each other's copies."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    for path in target.rglob("*.json"):
        path.write_text(path.read_text("utf-8").replace(str(source), str(target)), "utf-8")
    return target


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file in place."""
    value = json.loads(path.read_text("utf-8"))
    change(value)
    write_json(path, value)


def rewrite_root(path: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    """Change the columns of a flat file in place; its uuid stays."""
    own, columns = uuid.UUID(read_uuid(path)), read_tree(path)
    change(columns)
    with uproot.recreate(path, uuid_function=lambda: own) as file:
        file.mktree("Events", {name: column.dtype for name, column in columns.items()})
        file["Events"].extend(columns)


def error_text(work: Callable[[], object]) -> str:
    """What a job says of a piece of work that failed; nothing if it did not."""
    try:
        work()
    except JobError as error:
        return str(error)
    return ""


WRONG = [None, True, -1, 0, 7, 2**70, 1.5, -1e308, "", "x", "a\0b\nc", [], [[]], {}, {"a": None}]


def mutate(data: st.DataObject, value: Any) -> Any:
    """A copy of a JSON value that is wrong in one place: another value there, or none."""
    if not isinstance(value, dict | list) or not value or data.draw(st.integers(0, 9)) == 0:
        return data.draw(st.sampled_from(WRONG))
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = data.draw(st.sampled_from(keys))
    copy = value.copy()
    if data.draw(st.integers(0, 5)) == 0:
        del copy[key]
    else:
        copy[key] = mutate(data, value[key])
    return copy
