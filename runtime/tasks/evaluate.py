"""Evaluate models: every event of the datasets is scored by the one model that may score it.

For each model there is a friend tree with as many entries as its base files have, NaN where
another model scores the event. Beside them, a truth file for each base file keeps ids, labels,
weights and selection, which the merge reads.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray

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
from ..data.friend import BaseFile, Range, to_json
from ..data.ids import Ids, check_unique, concatenate
from ..data.root import JoinedTree, open_joined
from ..data.scores import (
    VIEWS,
    chunk_path,
    class_column,
    list_columns,
    whole_range,
    write_scores,
)
from ..data.shape import CLASSIFIER, check_data, check_shape
from ..data.truth import NO_LABEL, Truth, write_truth
from ..errors import DataError
from ..job import Context
from ..nn.memory import keep_freed_memory
from ..nn.model import Model, load_model
from ..result import RESULT, Attempt, Result, open_attempt
from ..spec import Cell, Dataset, EvaluateSpec
from .train import choose_device

Json: TypeAlias = Any
Columns: TypeAlias = dict[str, NDArray[np.float32]]
UNSCORED: Final = -1
OWN_SHAPE: Final = {"seed": int, "offset": int}
TRAINED: Final = {
    "classifier": CLASSIFIER,
    "kfolds": int,
    "models": [{"fold": int, "file": str, "ids": str}],
}


@dataclass(frozen=True)
class Selected:
    """What a dataset selects of a file: ids and a mask (n), and the weights where it is true."""

    file: SampleFile
    base: BaseFile
    ids: Ids
    mask: NDArray[np.bool_]
    weight: NDArray[np.float64]
    label: int


@dataclass(frozen=True)
class Known:
    """A base file, how its inputs are read, and the truth of its events, not yet scored."""

    file: SampleFile
    base: BaseFile
    truth: Truth


@dataclass(frozen=True)
class Scoring:
    """The models of one seed, and the columns that they give."""

    trained: Result
    models: list[Model]
    columns: list[str]
    outputs: dict[str, list[str]]
    batch: int
    step: int


def run(cells: list[Cell], context: Context) -> None:
    """Make the result of each cell."""
    torch.set_num_threads(context.execution.cpus)
    keep_freed_memory()
    for cell in cells:
        with open_attempt(cell) as attempt:
            evaluate(attempt, context)


def evaluate(attempt: Attempt, context: Context) -> None:
    """Score all files of an evaluate cell and commit the friend trees."""
    spec = cast(EvaluateSpec, attempt.cell.spec)
    scoring = load_scoring(attempt, spec, context)
    listed = [list_files(dataset) for dataset in spec.datasets]
    labels = list(dict.fromkeys(file.sample.label for part in listed for file in part))
    samples = list(dict.fromkeys(file.sample_id for part in listed for file in part))
    grouped: dict[tuple[str, str], list[Selected]] = {}
    for dataset, files in zip(spec.datasets, listed, strict=True):
        for part in select_events(dataset, files, labels, samples, attempt, context):
            grouped.setdefault((part.base.uuid, part.base.name), []).append(part)
    known = [join_parts(parts, labels, samples, attempt) for parts in grouped.values()]
    check_unique([row.truth.ids() for row in known], [row.file.path for row in known], samples)
    score_files(known, labels, samples, scoring, attempt, context)


def load_scoring(attempt: Attempt, spec: EvaluateSpec, context: Context) -> Scoring:
    """The models of the train result; raises :class:`DataError` if one of them is missing."""
    trained = attempt.read_result(spec.models.result, spec.models.hash)
    check_data(trained, TRAINED)
    check_shape(trained.spec, OWN_SHAPE, f"{trained.folder / RESULT}: spec")
    device = str(choose_device(context.execution.device))
    models = [load_model(trained.path(row["file"]), device) for row in trained.data["models"]]
    classifier, kfolds = trained.data["classifier"], trained.data["kfolds"]
    check_folds([model.fold for model in models], kfolds, trained)
    for model in models:
        same = model.kfolds == kfolds and model.rule == models[0].rule
        if model.classes != classifier["classes"] or not same:
            raise DataError(f"{trained.folder / RESULT}: its models are of another classifier")
    outputs = classifier["outputs"]
    columns = list_columns(classifier["classes"], outputs)
    execution = context.execution
    return Scoring(trained, models, columns, outputs, execution.batch_eval, execution.batch_skim)


def check_folds(folds: list[int], kfolds: int, trained: Result) -> None:
    """Raises :class:`DataError` unless there is one model for each fold."""
    missing = [str(fold) for fold in range(kfolds) if fold not in folds]
    where = trained.folder / RESULT
    if missing and trained.spec.get("fold_offsets") is not None:
        raise DataError(
            f"{where}: no model may score the events of fold {', '.join(missing)}: "
            f"only {', '.join(map(str, folds))} of {kfolds} were trained (fold_offsets)"
        )
    if missing or len(folds) != kfolds:
        raise DataError(f"{where}: does not hold one model for each fold")


def select_events(
    dataset: Dataset,
    files: list[SampleFile],
    labels: list[str],
    samples: list[str],
    attempt: Attempt,
    context: Context,
) -> list[Selected]:
    """What a dataset selects of each of its files, with the weights after the norm."""
    batch = context.execution.batch_skim
    parts = [read_selection(file, labels, samples, attempt, batch) for file in files]
    weight = np.concatenate([np.zeros(0), *[part.weight for part in parts]])
    samples_of = [(part.file.sample, len(part.weight)) for part in parts]
    weight = scale_weights(dataset.name, dataset.norm, weight, samples_of)
    ends = np.cumsum([len(part.weight) for part in parts])[:-1]
    split = np.split(weight, ends) if parts else []
    return [replace(part, weight=own) for part, own in zip(parts, split, strict=True)]


def read_selection(
    file: SampleFile, labels: list[str], samples: list[str], attempt: Attempt, batch: int
) -> Selected:
    """What a dataset selects of one of its files, before the norm."""
    branches = (*ID_BRANCHES, *file.branches)
    sample, label = samples.index(file.sample_id), labels.index(file.sample.label)
    ids: list[Ids] = []
    masks, weights = [np.zeros(0, np.bool_)], [np.zeros(0)]
    with open_joined(file.path, file.tree, file.friends, branches, attempt.read) as tree:
        for start, stop in steps(tree.entries, batch):
            ids.append(read_ids(tree, sample, start, stop))
            mask, weight = select(tree, file, start, stop)
            masks.append(mask)
            weights.append(weight)
        base = tree.file
    rows = np.concatenate(masks), np.concatenate(weights)
    return Selected(file, base, concatenate(ids), *rows, label)


def score_files(
    known: list[Known],
    labels: list[str],
    samples: list[str],
    scoring: Scoring,
    attempt: Attempt,
    context: Context,
) -> None:
    """Score each base file once and commit the result."""
    spec = cast(EvaluateSpec, attempt.cell.spec)
    files: dict[str, Path] = {}
    sources: list[Json] = []
    friends: list[list[tuple[BaseFile, list[Range]]]] = [[] for _ in scoring.models]
    used: dict[str, str] = {}
    for index, row in enumerate(known):
        base, entries = row.base, len(row.truth.event)
        chunk = chunk_path(spec.naming, spec.name, base, entries, used)
        paths = [attempt.path(f"chunks/fold-{model.fold}/{chunk}") for model in scoring.models]
        uuids = score_file(row, paths, scoring, attempt)
        truth = attempt.path(f"truth/truth-{index:04d}.npz")
        write_truth(truth, row.truth)
        files[truth.stem] = truth
        for place, (path, own) in enumerate(zip(paths, uuids, strict=True)):
            friends[place].append((base, whole_range(path, base.name, own, entries)))
            files[f"chunk-{scoring.models[place].fold}-{index:04d}"] = path
        source = {"path": base.path, "uuid": base.uuid, "tree": base.name, "entries": entries}
        sources.append({**source, "sample": row.file.sample_id, "truth": truth.stem})
        context.events.progress(attempt.cell.id, "evaluate", index + 1, len(known))
    data = {
        **describe_models(scoring),
        "name": spec.name,
        "labels": labels,
        "samples": samples,
        "sources": sources,
        "friends": [to_json(spec.name, scoring.columns, rows) for rows in friends],
    }
    attempt.commit(files, data)


def describe_models(scoring: Scoring) -> dict[str, Json]:
    """Which models scored: what the merge needs to prove that none of them saw the event."""
    trained = scoring.trained
    rows = [
        {"fold": row["fold"], "ids": str(trained.path(row["ids"]))}
        for row in trained.data["models"]
    ]
    models = {"result": str(trained.folder / RESULT), "uuid": trained.uuid, "models": rows}
    return {
        "classifier": trained.data["classifier"],
        "kfolds": trained.data["kfolds"],
        "seed": trained.spec["seed"],
        "offset": trained.spec["offset"],
        "models": models,
    }


def join_parts(
    parts: list[Selected], labels: list[str], samples: list[str], attempt: Attempt
) -> Known:
    """A base file as all datasets that read it agree; raises :class:`DataError`."""
    check_group(parts)
    check_inputs(parts, attempt)
    return Known(parts[0].file, parts[0].base, join_truth(parts, labels, samples))


def check_group(parts: list[Selected]) -> None:
    """Raises :class:`DataError` if one file goes by two sample names."""
    first = parts[0].file
    for part in parts[1:]:
        if part.file.sample_id != first.sample_id:
            raise DataError(
                f"{first.path}: is sample {first.sample_id} in {first.dataset} "
                f"and {part.file.sample_id} in {part.file.dataset}"
            )


def check_inputs(parts: list[Selected], attempt: Attempt) -> None:
    """Raises :class:`DataError` if datasets read ids or inputs from different friends."""
    branches = (*ID_BRANCHES, *INPUT_BRANCHES)
    distinct = {tuple(row.source for row in part.file.friends): part.file for part in parts}
    origins: list[dict[str, list[tuple[str, int, int]]]] = []
    for file in distinct.values() if len(distinct) > 1 else ():
        with open_joined(file.path, file.tree, file.friends, branches, attempt.read) as tree:
            origins.append({name: tree.origin(name) for name in branches})
        for name in branches:
            if origins[-1][name] != origins[0][name]:
                raise DataError(
                    f'{file.path}: {parts[0].file.dataset} and {file.dataset} read branch "{name}" '
                    "from different friend trees"
                )


def score_file(known: Known, paths: list[Path], scoring: Scoring, attempt: Attempt) -> list[str]:
    """Write one friend file for each model, and in the truth who scored; gives their uuids."""
    file, truth = known.file, known.truth
    with ExitStack() as stack:
        tree = stack.enter_context(
            open_joined(file.path, file.tree, file.friends, INPUT_BRANCHES, attempt.read)
        )
        writers = [
            stack.enter_context(write_scores(path, file.tree, scoring.columns)) for path in paths
        ]
        for start, stop in steps(tree.entries, scoring.step):
            inputs = read_inputs(tree, file.year, start, stop, np.ones(stop - start, np.bool_))
            event = torch.from_numpy(truth.event[start:stop])
            for model, (_, extend) in zip(scoring.models, writers, strict=True):
                own = model.rule.assign(event) == model.fold
                truth.scored_by[start:stop][own.numpy()] = model.fold
                extend(score(model, inputs, own, scoring, tree, start))
    return [own for own, _ in writers]


def score(
    model: Model,
    inputs: torch.Tensor,
    own: torch.Tensor,
    scoring: Scoring,
    tree: JoinedTree,
    start: int,
) -> Columns:
    """All columns of some entries, (n) float32, NaN where the event is not the model's own."""
    classes, views = model.predict(inputs[own], scoring.batch)
    names = [*VIEWS, *map(class_column, model.classes)]
    known = dict(zip(names, torch.cat([views, classes], dim=1).numpy().T, strict=True))
    for name, parts in scoring.outputs.items():
        known[name] = np.sum([known[class_column(part)] for part in parts], 0, np.float64)
    columns = {}
    rows = own.numpy()
    for name, values in known.items():
        if not np.isfinite(values).all():
            entry = start + int(np.flatnonzero(rows)[~np.isfinite(values)][0])
            raise DataError(
                f"{tree}: entry {entry}: the model of fold {model.fold} gives {name} nan"
            )
        columns[name] = np.full(len(own), np.nan, np.float32)
        columns[name][rows] = values
    return columns


def join_truth(parts: list[Selected], labels: list[str], samples: list[str]) -> Truth:
    """The truth of one file: labels and weights are those of all datasets that select an event.

    Raises :class:`DataError` for an event with two labels or weights.
    """
    ids = parts[0].ids
    label = np.full(len(ids), NO_LABEL, np.int32)
    weight = np.zeros(len(ids))
    for index, part in enumerate(parts):
        own = np.zeros(len(ids))
        own[part.mask] = part.weight
        other = (label != NO_LABEL) & ((label != part.label) | (weight != own))
        wrong = np.flatnonzero(part.mask & other)
        if len(wrong):
            entry = int(wrong[0])
            first = next(row for row in parts[:index] if row.mask[entry])
            found = [
                f"as {labels[row.label]} of weight {value[entry]} by {row.file.dataset}"
                for row, value in ((first, weight), (part, own))
            ]
            event = ids.describe(entry, samples)
            raise DataError(f"{part.file.path}: event {event} is selected {' and '.join(found)}")
        label[part.mask], weight[part.mask] = part.label, part.weight
    sample, scored_by = ids.sample.astype(np.int32), np.full(len(ids), UNSCORED, np.int32)
    selected = label != NO_LABEL
    return Truth(sample, ids.run, ids.lumi, ids.event, label, weight, selected, scored_by)
