"""Merge evaluations: one friend tree from the folds of all seeds, and the proof that it may be.

For each seed every event must have the score of exactly one model, and of one that did not train
on it: the entries that are not NaN in a model's friend tree are held against the ids that its
training recorded. Over the seeds, each column is the mean; the spread is the standard deviation
of the seeds themselves (divided by their number, not by one less). Before all is called done, the
events are held against the base files, in their order, and what was written is read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ..crew import Crew, share_cores
from ..data.columns import list_columns
from ..data.dataset import (
    ID_BRANCHES,
    SampleFile,
    join_columns,
    list_files,
    read_columns,
    read_ids,
    steps,
)
from ..data.friend import BaseFile, Range, parse_friend, to_json
from ..data.ids import Ids, check_unique, concatenate, find_common
from ..data.root import open_friend, open_joined
from ..data.scores import chunk_path, file_range, write_scores
from ..data.seeds import Seed, check_seeds, check_stage, load_seed, load_truths
from ..data.truth import NO_LABEL, Truth, load_ids
from ..errors import DataError, JobError
from ..job import Context
from ..nn.areas import describe_events, measure_areas
from ..result import Attempt, Inputs, Result, open_attempt
from ..retire import retire_files
from ..spec import Cell, Dataset, MergeSpec
from ..storage import fetch, find_place
from ..strict import read

Json: TypeAlias = Any
Matrix: TypeAlias = NDArray[np.float32]
Values: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float64]
NO_MODEL: Final = -1
SEVERAL_MODELS: Final = -2
NAMED_EVENTS: Final = 3


@dataclass(frozen=True)
class Scores:
    """What the AUC needs of the selected events: labels, weights, and class probabilities."""

    label: list[NDArray[np.int32]]
    weight: list[Floats]
    merged: list[Matrix]
    by_seed: list[list[Matrix]]
    columns: list[tuple[int, dict[str, Values]]]


@dataclass(frozen=True)
class Target:
    """A base file, and where which of its entries are written, and lie when they count."""

    base: BaseFile
    file: SampleFile
    entries: int
    paths: list[tuple[int, int, Path, str]]


@dataclass(frozen=True)
class Merged:
    """A base file that was merged: the ranges written, the proof's and the AUC's share of it."""

    target: Target
    ranges: list[Range]
    inputs: Inputs
    ids: Ids
    label: NDArray[np.int32]
    weight: Floats
    matrix: Matrix
    by_seed: list[Matrix]
    columns: dict[str, Values]
    scored_by: list[NDArray[np.int16]]


@dataclass(frozen=True)
class Merging:
    """What is merged: all seeds, and the columns that they have and that are written."""

    seeds: list[Seed]
    columns: list[str]
    written: list[str]
    crew: Crew
    batch: int


def run(cells: list[Cell], context: Context) -> None:
    """Make the result of each cell."""
    for cell in cells:
        with open_attempt(cell) as attempt:
            merge(attempt, context)


def merge(attempt: Attempt, context: Context) -> None:
    """Join and check all predictions of a merge cell and commit the friend tree."""
    spec, execution = cast(MergeSpec, attempt.cell.spec), context.execution
    seeds = [load_seed(attempt, reference) for reference in spec.predictions]
    check_seeds(seeds)
    check_stage(seeds, spec.stage)
    first = seeds[0].result.data
    columns = list_columns(first["classifier"]["classes"], first["classifier"]["outputs"])
    written = [*columns, *(f"{name}_std" for name in columns)] if spec.std else columns
    crew = share_cores(execution.workers, execution.cpus)
    merging = Merging(seeds, columns, written, crew, execution.batch_skim)
    targets = list_targets(attempt, seeds[0], spec)
    scores = Scores([], [], [], [[] for _ in seeds], [])
    files: dict[str, Path] = {}
    data: list[tuple[BaseFile, list[Range]]] = []
    ids: list[Ids] = []

    def take(part: Merged) -> None:
        for number, (_, _, path, _) in enumerate(part.target.paths):
            files[f"chunk-{len(data):04d}" + (f"-{number:04d}" if spec.step else "")] = path
        data.append((part.target.base, part.ranges))
        ids.append(part.ids)
        attempt.inputs.update(part.inputs)
        add_scores(scores, seeds, part)
        context.events.progress(attempt.cell.id, "merge", len(data), len(targets))

    crew.work(targets, partial(merge_file, merging=merging), take)
    check_unique(ids, [target.base.path for target in targets], first["samples"])
    check_events(seeds, concatenate(ids))
    friend = to_json(spec.name, written, data)
    attempt.publish(files)
    verify(friend, targets)
    said = describe(seeds, scores, len(concatenate(ids)))
    result = attempt.commit(files, {"friend": friend, **said})
    if execution.clean:
        verify(result.data["friend"], targets)
        clean(seeds, result, context)


def clean(seeds: list[Seed], merged: Result, context: Context) -> None:
    """Remove the friend trees of the evaluations, now that they are merged; truths stay."""
    for seed in seeds:
        names = [name for name in seed.result.files if name.startswith("chunk-")]
        try:
            size = retire_files(seed.result, names, merged)
        except (JobError, OSError) as error:
            text = f"the friend trees of {seed.result.cell} are not removed: {error}"
            context.events.message(merged.cell, text, "warning")
        else:
            text = f"removed the friend trees of {seed.result.cell}: {size / 1e6:.1f} MB"
            context.events.message(merged.cell, text)


def list_targets(attempt: Attempt, seed: Seed, spec: MergeSpec) -> list[Target]:
    """The base files as the evaluation read them, and the files of at most ``step`` entries."""
    files = {
        (str(file.path), file.tree): file
        for value in seed.result.spec.get("datasets", [])
        for file in list_files(read(Dataset, value, f"{seed.path}: spec.datasets"))
    }
    targets = []
    used: dict[str, str] = {}
    for row in seed.result.data["sources"]:
        base = BaseFile(row["path"], row["tree"], row["uuid"])
        if (base.path, base.name) not in files:
            raise DataError(f"{seed.path}: {base.path} is in none of its datasets")
        paths = []
        for start, stop in [*steps(row["entries"], spec.step or max(1, row["entries"]))] or [
            (0, 0)
        ]:
            name = chunk_path(spec.naming, spec.name, base, start, stop, used)
            path = attempt.path(f"chunks/{name}")
            paths.append((start, stop, path, attempt.address(path)))
        targets.append(Target(base, files[base.path, base.name], row["entries"], paths))
    return targets


def merge_file(target: Target, merging: Merging) -> Merged:
    """The mean over the seeds for one base file, written, with all that is to be checked of it."""
    base, inputs = target.base, Inputs()
    truth = load_truths(merging.seeds, base)
    columns = check_base(target, truth, merging, inputs)
    joined = [
        join_folds(seed, base, target.entries, merging.columns, merging.crew)
        for seed in merging.seeds
    ]
    mean, spread = average([matrix for matrix, _ in joined])
    values = np.hstack([mean, spread]).astype(np.float32).T
    ranges = []
    for start, stop, path, address in target.paths:
        rows = {name: row[start:stop] for name, row in zip(merging.written, values, strict=False)}
        with write_scores(path, base.name, merging.written) as (own, extend):
            extend(rows)
        ranges.append(file_range(address, base.name, own, start, stop))
    selected = truth.label != NO_LABEL
    known = [i for i, name in enumerate(merging.columns) if name.startswith("p_")]
    return Merged(
        target,
        ranges,
        inputs,
        truth.ids(),
        truth.label[selected],
        truth.weight[selected],
        mean.astype(np.float32)[selected][:, known],
        [matrix[selected][:, known] for matrix, _ in joined],
        {name: column[selected] for name, column in columns.items()},
        [by for _, by in joined],
    )


def add_scores(scores: Scores, seeds: list[Seed], part: Merged) -> None:
    """Keep what the proof and the AUC need of a file."""
    scores.label.append(part.label)
    scores.weight.append(part.weight)
    scores.merged.append(part.matrix)
    scores.columns.append((len(part.label), part.columns))
    for place, seed in enumerate(seeds):
        scores.by_seed[place].append(part.by_seed[place])
        seed.scored_by.append(part.scored_by[place])


def check_base(target: Target, truth: Truth, merging: Merging, inputs: Inputs) -> dict[str, Values]:
    """The base file's columns, by name; raises DataError unless it holds these events in order."""
    file, ids = target.file, truth.ids()
    branches = (*ID_BRANCHES, *file.column_branches)
    parts: list[tuple[int, dict[str, Values]]] = []
    with open_joined(file.path, file.tree, file.friends, branches, inputs.read) as tree:
        if (tree.file.uuid, tree.entries) != (target.base.uuid, target.entries):
            raise DataError(
                f"{tree}: has {tree.entries} entries and uuid {tree.file.uuid}, where "
                f"{target.entries} of {target.base.uuid} were scored"
            )
        for start, stop in steps(tree.entries, merging.batch):
            merging.crew.check()
            found = read_ids(tree, 0, start, stop)
            every = np.ones(stop - start, np.bool_)
            parts.append((stop - start, read_columns(tree, file, start, stop, every)))
            for branch, name in zip(ID_BRANCHES, ("run", "lumi", "event"), strict=True):
                now, then = getattr(found, name), getattr(ids, name)[start:stop]
                wrong = np.flatnonzero(now != then)
                if len(wrong):
                    at = int(wrong[0])
                    raise tree.error(branch, f"{now[at]}, and {then[at]} was scored", start + at)
    return join_columns(parts)


def verify(friend: Json, targets: list[Target]) -> None:
    """Raises :class:`DataError` unless the files of a friend tree hold what it says of them."""
    tree = parse_friend(friend, "the merged friend tree")
    for target in targets:
        with open_friend(tree, target.base, target.entries, tree.branches):
            pass


def average(seeds: list[Matrix]) -> tuple[Floats, Floats]:
    """Mean and standard deviation over the seeds, each (entries, columns), by Welford's method."""
    mean, squares = np.zeros(seeds[0].shape), np.zeros(seeds[0].shape)
    for count, matrix in enumerate(seeds, 1):
        step = matrix - mean
        mean += step / count
        squares += step * (matrix - mean)
    return mean, np.sqrt(squares / len(seeds))


def join_folds(
    seed: Seed, base: BaseFile, entries: int, columns: list[str], crew: Crew
) -> tuple[Matrix, NDArray[np.int16]]:
    """The scores of a seed's models side by side, (entries, columns), and who scored what (n)."""
    joined = np.full((entries, len(columns)), np.nan, np.float32)
    by = np.full(entries, NO_MODEL, np.int16)
    for place, friend in enumerate(seed.friends):
        crew.check()
        with open_friend(friend, base, entries, columns) as tree:
            matrix = np.stack([tree.read_flat(name, 0, entries) for name in columns], axis=1)
        missing = np.isnan(matrix)
        scored = ~missing.all(axis=1)
        infinite = np.argwhere(np.isinf(matrix))
        if len(infinite):
            raise tree.error(columns[int(infinite[0, 1])], "inf", int(infinite[0, 0]))
        partly = np.flatnonzero(scored & missing.any(axis=1))
        if len(partly):
            name = columns[int(np.flatnonzero(missing[partly[0]])[0])]
            raise tree.error(name, "nan beside columns with a score", int(partly[0]))
        by = np.where(scored, np.where(by == NO_MODEL, place, SEVERAL_MODELS), by).astype(np.int16)
        joined[scored] = matrix[scored]
    return joined, by


def check_events(seeds: list[Seed], ids: Ids) -> None:
    """Raises :class:`DataError` unless one model that never saw it scored each event, by seed."""
    for seed in seeds:
        by = np.concatenate([np.zeros(0, np.int16), *seed.scored_by])
        refuse(seed, ids, np.flatnonzero(by == NO_MODEL), "scored by no model")
        refuse(seed, ids, np.flatnonzero(by == SEVERAL_MODELS), "scored by more than one model")
        for place, row in enumerate(seed.result.data["models"]["models"]):
            own = np.flatnonzero(by == place)
            leaked = find_common(ids.take(own), trained_ids(seed, fetch(find_place(row["ids"]))))
            reason = f"scored by the model of fold {row['fold']}, which trained on it"
            refuse(seed, ids, own[leaked], reason)


def trained_ids(seed: Seed, path: Path) -> Ids:
    """The recorded ids, with samples numbered as the evaluation does; others become -1 and less."""
    known = {name: index for index, name in enumerate(seed.result.data["samples"])}
    names = seed.trained.data["samples"]
    numbers = np.array([known.get(name, -1 - i) for i, name in enumerate(names)], np.int64)
    ids = load_ids(path, len(names))
    return Ids(numbers[ids.sample] if len(ids) else ids.sample, ids.run, ids.lumi, ids.event)


def refuse(seed: Seed, ids: Ids, events: NDArray[np.int64], reason: str) -> None:
    """Raises :class:`DataError` that counts the events and names the first few, if there are."""
    if not len(events):
        return
    samples = seed.result.data["samples"]
    named = [ids.describe(int(index), samples) for index in events[:NAMED_EVENTS]]
    more = ", ..." if len(events) > len(named) else ""
    were = "1 event was" if len(events) == 1 else f"{len(events)} events were"
    raise DataError(f"{seed.path}: {were} {reason}: {', '.join(named)}{more}")


def describe(seeds: list[Seed], scores: Scores, events: int) -> dict[str, Json]:
    """The result's own data: counts, seeds, and the AUC of the merged and of each seed's scores."""
    data = seeds[0].result.data
    label = np.concatenate([np.zeros(0, np.int32), *scores.label])
    weight = np.concatenate([np.zeros(0), *scores.weight])
    rows = [
        {"cell": seed.result.cell, "seed": seed.result.data["seed"]}
        | {"offset": seed.result.data["offset"], "result": str(seed.path)}
        for seed in seeds
    ]
    described = describe_events(data, label, join_columns(scores.columns))
    areas = measure_areas(data, described, weight, scores.merged)
    return {
        "classifier": data["classifier"],
        "stage": seeds[0].stage,
        "labels": data["labels"],
        "samples": data["samples"],
        "sources": data["sources"],
        "events": events,
        "events_selected": len(label),
        "seeds": rows,
        "auc": areas,
        "auc_by_seed": [measure_areas(data, described, weight, parts) for parts in scores.by_seed],
        "summary": summarise(areas, events),
    }


def summarise(areas: Mapping[str, float | None], events: int) -> list[str]:
    """A line for each area, the number of events in the first."""
    lines = [
        f"AUC {name} {'not measured' if area is None else f'{area:.4f}'}"
        for name, area in areas.items()
    ]
    merged = f"{events} events merged"
    return [f"{lines[0]}, {merged}", *lines[1:]] if lines else [merged]
