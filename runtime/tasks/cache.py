"""Cache datasets as tensors: select, weight, prepare and shuffle events, and write them in chunks.

The chunks are what :func:`~hcrc.runtime.data.cache.load_events` reads. The order of the events
depends on the seed, not on the number of chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.cache import chunk_name
from ..data.dataset import (
    ID_BRANCHES,
    INPUT_BRANCHES,
    SampleFile,
    list_files,
    read_ids,
    read_inputs,
    scale_weights,
    select,
    steps,
)
from ..data.ids import Ids, check_unique, concatenate
from ..data.root import open_joined
from ..errors import DataError, SpecError
from ..job import Context
from ..nn.memory import keep_freed_memory
from ..nn.prepare import COLUMNS
from ..result import Attempt, open_attempt
from ..spec import CacheSpec, Cell, Dataset

Json: TypeAlias = Any
Floats: TypeAlias = NDArray[np.float64]
SCRATCH: Final = "prepared.tmp"


@dataclass(frozen=True)
class FilePart:
    """The selected events of one file: their ids and their weights (n) before the norm."""

    file: SampleFile
    uuid: str
    entries: int
    ids: Ids
    weight: Floats
    label: int


@dataclass(frozen=True)
class Words:
    """The labels and the sample ids, in the order in which they first appear."""

    labels: list[str]
    samples: list[str]


def run(cells: list[Cell], context: Context) -> None:
    """Make the result of each cell."""
    torch.set_num_threads(context.execution.cpus)
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
        _normalise(dataset, rows, words)
        for dataset, rows in zip(spec.datasets, grouped, strict=True)
    ]
    check_unique([part.ids for part in parts], [part.file.path for part in parts], words.samples)
    chunks = _write_chunks(spec, attempt, parts, np.concatenate(weights))
    attempt.path(SCRATCH).unlink()
    counts = _counts(spec.datasets, grouped, weights, words)
    rows = [{"file": name, "events": count} for name, (_, count) in chunks.items()]
    data = {"labels": words.labels, "samples": words.samples, "chunks": rows, "counts": counts}
    data |= {"sources": _sources(parts), "summary": [_summarise(counts["labels"])]}
    attempt.commit({name: path for name, (path, _) in chunks.items()}, data)


def _read_files(
    files: list[SampleFile], words: Words, attempt: Attempt, context: Context
) -> list[FilePart]:
    """Read the files one after the other; the prepared inputs go to a scratch file, in order."""
    parts = []
    with attempt.path(SCRATCH).open("wb") as scratch:
        for done, file in enumerate(files, 1):
            part = _read_file(file, words, attempt, scratch)
            if not len(part.ids):
                text = f"no event of {file.path} passes the selection of {file.dataset}"
                context.events.message(attempt.cell.id, text)
            context.events.progress(attempt.cell.id, "read", done, len(files))
            parts.append(part)
    return parts


def _read_file(file: SampleFile, words: Words, attempt: Attempt, scratch: Any) -> FilePart:
    branches = (*INPUT_BRANCHES, *ID_BRANCHES, *file.branches)
    sample, label = words.samples.index(file.sample_id), words.labels.index(file.sample.label)
    ids, weights = [], [np.zeros(0)]
    with open_joined(file.path, file.tree, file.friends, branches, attempt.read) as tree:
        for start, stop in steps(tree.entries):
            selected, weight = select(tree, file, start, stop)
            if selected.any():
                inputs = read_inputs(tree, file.year, start, stop, selected)
                scratch.write(inputs.numpy().tobytes())
                ids.append(read_ids(tree, sample, start, stop).take(selected))
                weights.append(weight)
        uuid, entries = tree.file.uuid, tree.entries
    return FilePart(file, uuid, entries, concatenate(ids), np.concatenate(weights), label)


def _group(parts: list[FilePart], sizes: list[int]) -> list[list[FilePart]]:
    ends = np.cumsum(sizes).tolist()
    return [parts[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _normalise(dataset: Dataset, parts: list[FilePart], words: Words) -> Floats:
    """The weights of a dataset's selected events, in the order of its files."""
    weight = np.concatenate([part.weight for part in parts]) if parts else np.zeros(0)
    if not len(weight):
        selections = {part.file.sample.selection: None for part in parts}
        text = "; ".join(f'"{selection}"' for selection in selections if selection)
        raise DataError(
            f'dataset "{dataset.name}": no event is selected'
            + (f" by {text}" if text else ": its files hold none")
        )
    labels = np.concatenate([np.full(len(part.weight), part.label) for part in parts])
    return scale_weights(dataset.name, dataset.norm, weight, labels, words.labels)


def _write_chunks(
    spec: CacheSpec, attempt: Attempt, parts: list[FilePart], weight: Floats
) -> dict[str, tuple[Path, int]]:
    """The chunks by name, with the number of events in each."""
    ids = concatenate([part.ids for part in parts])
    total = len(ids)
    count = count_chunks(spec, total)
    generator = np.random.Generator(np.random.PCG64(spec.seed))
    order = generator.permutation(total) if spec.shuffle else np.arange(total)
    prepared = np.asarray(np.memmap(attempt.path(SCRATCH), np.float32, "r", shape=(total, COLUMNS)))
    label = np.concatenate([np.full(len(part.ids), part.label) for part in parts])
    chunks = {}
    for index, rows in enumerate(np.array_split(order, count)):
        path = attempt.path(f"chunks/{chunk_name(index)}.pt")
        columns = {
            "inputs": prepared[rows],
            "label": label[rows],
            "weight": _to_float32(weight[rows]),
        }
        kept = ids.take(rows)
        columns |= {"sample": kept.sample.astype(np.int32), "run": kept.run}
        columns |= {"lumi": kept.lumi, "event": kept.event}
        torch.save({name: torch.from_numpy(column) for name, column in columns.items()}, path)
        chunks[chunk_name(index)] = (path, len(rows))
    return chunks


def count_chunks(spec: CacheSpec, total: int) -> int:
    """How many chunks there are of that many events; raises SpecError and DataError."""
    size, chunks = spec.chunk_size, spec.chunks
    if (chunks or 1) < 1 or (size or 1) < 1 or spec.seed < 0:
        raise SpecError("chunks, chunk_size and seed must be positive")
    count = chunks or (-(-total // size) if size else 1)
    if count > total:
        raise DataError(f"{count} chunks cannot be made of {total} events")
    return count


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
