"""Cache datasets as tensors: select, weight, prepare and shuffle events, and write them in chunks.

The chunks are what :func:`~hcrc.runtime.data.cache.load_events` reads. The order of the events
depends on the seed alone: not on the chunks, nor on how many files are read at the same time.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ..crew import Crew, share_cores
from ..data.cache import OWN, SUFFIXES, chunk_name, write_chunk
from ..data.dataset import (
    ID_BRANCHES,
    INPUT_BRANCHES,
    SampleFile,
    join_columns,
    list_files,
    read_columns,
    read_ids,
    read_inputs,
    room_for,
    scale_weights,
    select,
    steps,
    thin,
)
from ..data.ids import Ids, check_unique, concatenate
from ..data.prescale import Sums, Thinned, add_weights, find_factors
from ..data.root import open_joined
from ..errors import DataError, SpecError
from ..job import Context
from ..nn.memory import keep_freed_memory
from ..nn.prepare import COLUMNS
from ..result import Attempt, Inputs, open_attempt
from ..spec import CacheSpec, Cell, Dataset

Json: TypeAlias = Any
Floats: TypeAlias = NDArray[np.float64]
SCRATCH: Final = "prepared.tmp"


@dataclass(frozen=True)
class FilePart:
    """The selected events of one file: their ids and their weights (n) before the norm.

    ``inputs`` are the files that were read, ``prepared`` is where the network's inputs lie.
    """

    file: SampleFile
    inputs: Inputs
    prepared: Path
    uuid: str
    entries: int
    ids: Ids
    weight: Floats
    label: int
    columns: dict[str, NDArray[Any]]
    prescaled: NDArray[np.bool_]
    sums: Sums


@dataclass(frozen=True)
class Words:
    """The labels and the sample ids, in the order in which they first appear."""

    labels: list[str]
    samples: list[str]


@dataclass(frozen=True)
class Reader:
    """Reads files of a cell, each into a scratch file of its own."""

    words: Words
    attempt: Attempt
    crew: Crew
    batch: int

    def read(self, item: tuple[int, SampleFile]) -> FilePart:
        """What is selected of a file; ``batch`` entries are read at a time."""
        number, file = item
        choosing = file.thinning.branches if file.thinning else ()
        own = (*file.branches, *file.column_branches, *choosing)
        branches = (*INPUT_BRANCHES, *ID_BRANCHES, *own)
        label = self.words.labels.index(file.sample.label)
        sample = self.words.samples.index(file.sample_id)
        ids, weights = [], [np.zeros(0)]
        columns: list[tuple[int, dict[str, NDArray[Any]]]] = []
        prescaled = [np.zeros(0, np.bool_)]
        thinned: list[Thinned] = []
        inputs, prepared = Inputs(), self.attempt.path(f"prepared-{number}.tmp")
        opened = open_joined(file.path, file.tree, file.friends, branches, inputs.read)
        with opened as tree, prepared.open("wb") as scratch:
            for start, stop in steps(tree.entries, self.batch):
                self.crew.check()
                passed, weight = select(tree, file, start, stop)
                part = thin(tree, file, start, stop)
                selected, weight = passed & part.keeps, weight[part.keeps[passed]]
                prescaled.append(part.among[selected])
                if file.thinning is not None:
                    thinned.append(part)
                if selected.any():
                    matrix = read_inputs(tree, file.year, start, stop, selected)
                    scratch.write(matrix.numpy().tobytes())
                    ids.append(read_ids(tree, sample, start, stop).take(selected))
                    weights.append(weight)
                    kept = read_columns(tree, file, start, stop, selected)
                    columns.append((len(weight), kept))
            uuid, entries = tree.file.uuid, tree.entries
        known = concatenate(ids), np.concatenate(weights), label, join_columns(columns)
        chosen = np.concatenate(prescaled), add_weights(thinned)
        return FilePart(file, inputs, prepared, uuid, entries, *known, *chosen)


def run(cells: list[Cell], context: Context) -> None:
    """Make the result of each cell."""
    keep_freed_memory()
    for cell in cells:
        with open_attempt(cell) as attempt:
            cache_events(cell, attempt, context)


def cache_events(cell: Cell, attempt: Attempt, context: Context) -> None:
    """Read all datasets of a cache cell and commit the chunks."""
    spec = cast(CacheSpec, cell.spec)
    if not spec.datasets:
        raise SpecError("datasets: at least one is needed")
    listed = [list_files(dataset) for dataset in spec.datasets]
    files = [file for part in listed for file in part]
    words = Words(
        list(dict.fromkeys(file.sample.label for file in files)),
        list(dict.fromkeys(file.sample_id for file in files)),
    )
    parts = _read_files(files, words, attempt, context)
    grouped = _group(parts, [len(part) for part in listed])
    weights = [
        _normalise(dataset, rows) for dataset, rows in zip(spec.datasets, grouped, strict=True)
    ]
    check_unique([part.ids for part in parts], [part.file.path for part in parts], words.samples)
    chunks = _write_chunks(spec, attempt, parts, np.concatenate(weights), context)
    attempt.path(SCRATCH).unlink()
    counts = _counts(spec.datasets, grouped, weights, words)
    rows = [{"file": name, "events": count} for name, (_, count) in chunks.items()]
    data = {"labels": words.labels, "samples": words.samples, "chunks": rows}
    data |= {"counts": counts} if "counts" in spec.states else {}
    data |= {"sources": _sources(parts), "summary": [_summarise(counts["labels"])]}
    attempt.commit({name: path for name, (path, _) in chunks.items()}, data)


def _read_files(
    files: list[SampleFile], words: Words, attempt: Attempt, context: Context
) -> list[FilePart]:
    """Read the files, some at the same time; the prepared inputs go to a scratch file, in order."""
    crew = share_cores(context.execution.max_loaders, context.execution.cpus)
    reader = Reader(words, attempt, crew, context.execution.batch_skim)
    parts: list[FilePart] = []
    with attempt.path(SCRATCH).open("wb") as scratch:

        def take(part: FilePart) -> None:
            with part.prepared.open("rb") as prepared:
                shutil.copyfileobj(prepared, scratch)
            part.prepared.unlink()
            attempt.inputs.update(part.inputs)
            parts.append(part)
            if not len(part.ids):
                text = f"no event of {part.file.path} passes the selection of {part.file.dataset}"
                context.events.message(attempt.cell.id, text, "warning")
            context.events.progress(attempt.cell.id, "read", len(parts), len(files))

        crew.work(list(enumerate(files)), reader.read, take, lambda item: room_for(item[1]))
    return parts


def _group(parts: list[FilePart], sizes: list[int]) -> list[list[FilePart]]:
    ends = np.cumsum(sizes).tolist()
    return [parts[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _normalise(dataset: Dataset, parts: list[FilePart]) -> Floats:
    """The weights of a dataset's selected events, in the order of its files."""
    weight = np.concatenate([part.weight for part in parts]) if parts else np.zeros(0)
    if not len(weight):
        selections = {part.file.sample.selection: None for part in parts}
        text = "; ".join(f'"{selection}"' for selection in selections if selection)
        raise DataError(
            f'dataset "{dataset.name}": no event is selected'
            + (f" by {text}" if text else ": its files hold none")
        )
    samples = [(part.file.sample, len(part.weight)) for part in parts]
    return scale_weights(dataset.name, dataset.norm, weight * _undo_prescale(parts), samples)


def _undo_prescale(parts: list[FilePart]) -> Floats:
    """What the weight of each selected event is multiplied by, for those that were left out."""
    thinned = [part for part in parts if part.file.thinning is not None]
    factors = find_factors((part.file.sample.label, part.sums) for part in thinned)
    ones = [
        np.where(part.prescaled, factors.get(part.file.sample.label, 1.0), 1.0) for part in parts
    ]
    return np.concatenate(ones)


@dataclass(frozen=True)
class Prepared:
    """All events in the order of the files: one row each, in every column."""

    ids: Ids
    label: NDArray[np.int64]
    weight: NDArray[np.float32]
    inputs: NDArray[np.float32]
    columns: dict[str, NDArray[Any]]

    def take(self, rows: NDArray[np.int64]) -> dict[str, torch.Tensor]:
        """The columns of a chunk."""
        kept = self.ids.take(rows)
        columns: dict[str, NDArray[Any]] = {
            "inputs": self.inputs[rows],
            "label": self.label[rows],
            "weight": self.weight[rows],
            "sample": kept.sample.astype(np.int32),
            "run": kept.run,
            "lumi": kept.lumi,
            "event": kept.event,
            **{f"{OWN}{name}": column[rows] for name, column in self.columns.items()},
        }
        return {name: torch.from_numpy(column) for name, column in columns.items()}


def _write_chunks(
    spec: CacheSpec, attempt: Attempt, parts: list[FilePart], weight: Floats, context: Context
) -> dict[str, tuple[Path, int]]:
    """The chunks by name, with the number of events in each."""
    ids = concatenate([part.ids for part in parts])
    total = len(ids)
    generator = np.random.Generator(np.random.PCG64(spec.seed))
    order = generator.permutation(total) if spec.shuffle else np.arange(total)
    memory = np.memmap(attempt.path(SCRATCH), np.float32, "r", shape=(total, COLUMNS))
    label = np.repeat([part.label for part in parts], [len(part.ids) for part in parts])
    columns = join_columns([(len(part.ids), part.columns) for part in parts])
    prepared = Prepared(ids, label, _to_float32(weight), np.asarray(memory), columns)
    chunks: dict[str, tuple[Path, int]] = {}

    def write(item: tuple[str, NDArray[np.int64]]) -> tuple[str, Path, int]:
        name, rows = item
        path = attempt.path(f"chunks/{name}{SUFFIXES[spec.compression]}")
        write_chunk(path, prepared.take(rows), spec.compression)
        return name, path, len(rows)

    def take(done: tuple[str, Path, int]) -> None:
        chunks[done[0]] = done[1:]
        context.events.progress(attempt.cell.id, "write", len(chunks), len(pieces))

    pieces = [(chunk_name(index), rows) for index, rows in enumerate(split_chunks(spec, order))]
    crew = share_cores(context.execution.max_writers, context.execution.cpus)
    crew.work(pieces, write, take)
    return chunks


def split_chunks(spec: CacheSpec, order: NDArray[np.int64]) -> Sequence[NDArray[np.int64]]:
    """The rows of each chunk; raises :class:`SpecError` and :class:`DataError`."""
    size, chunks = spec.chunk_size, spec.chunks
    if (chunks or 1) < 1 or (size or 1) < 1 or spec.seed < 0:
        raise SpecError("chunks, chunk_size and seed must be positive")
    if chunks is None and size is not None:
        return [order[start : start + size] for start in range(0, len(order), size)]
    if (chunks or 1) > len(order):
        raise DataError(f"{chunks} chunks cannot be made of {len(order)} events")
    return np.array_split(order, chunks or 1)


def _to_float32(weight: Floats) -> NDArray[np.float32]:
    limit = np.finfo(np.float32).max
    if np.any(np.abs(weight) > limit):
        raise DataError(f"weight {np.abs(weight).max():g} is above {limit:g}")
    return weight.astype(np.float32)


def _sources(parts: list[FilePart]) -> list[Json]:
    rows = {
        (part.uuid, part.file.sample_id): {
            "path": str(part.file.path),
            "uuid": part.uuid,
            "sample": part.file.sample_id,
        }
        for part in parts
    }
    return list(rows.values())


def _counts(
    datasets: list[Dataset], grouped: list[list[FilePart]], weights: list[Floats], words: Words
) -> Json:
    """Events read, selected and removed, and sums of weights, by dataset, file and label."""
    rows = []
    labels = {name: _count([], np.zeros(0)) for name in words.labels}
    for dataset, parts, weight in zip(datasets, grouped, weights, strict=True):
        ends = np.cumsum([len(part.weight) for part in parts])[:-1]
        split = np.split(weight, ends)
        files = []
        for part, scaled in zip(parts, split, strict=True):
            row = _count([part], scaled)
            files.append({**_name(part), **row})
            total = labels[words.labels[part.label]]
            labels[words.labels[part.label]] = {key: total[key] + row[key] for key in row}
        rows.append({"dataset": dataset.name, **_count(parts, weight), "files": files})
    return {"datasets": rows, "labels": [{"label": name, **row} for name, row in labels.items()]}


def _summarise(labels: list[Json]) -> str:
    """``2390 events: 621 data, 195 ttbar``."""
    each = ", ".join(f"{row['selected']} {row['label']}" for row in labels)
    return f"{sum(row['selected'] for row in labels)} events: {each}"


def _name(part: FilePart) -> dict[str, str]:
    sample = part.file.sample
    return {"sample": part.file.sample_id, "label": sample.label, "file": str(part.file.path)}


def _count(parts: list[FilePart], scaled: Floats) -> dict[str, int | float]:
    """``weight_sum_read`` is of the selected events before the norm, ``weight_sum`` after it."""
    events, selected = sum(part.entries for part in parts), sum(len(part.ids) for part in parts)
    return {
        "events": events,
        "selected": selected,
        "removed": events - selected,
        "weight_sum_read": float(sum(np.sum(part.weight) for part in parts)),
        "weight_sum": float(np.sum(scaled)),
    }
