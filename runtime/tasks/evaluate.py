"""Evaluate models: every event of the datasets is scored by the one model that may score it.

For each model there is a friend tree with as many entries as its base files have, NaN where
another model scores the event. Beside them, a truth file for each base file keeps ids, labels,
weights and selection, which the merge reads.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ..crew import Crew, share_cores
from ..data.agreement import Known, Selected, join_parts
from ..data.columns import VIEWS, Output, class_column, list_columns, read_outputs
from ..data.dataset import (
    ID_BRANCHES,
    INPUT_BRANCHES,
    SampleFile,
    list_files,
    read_ids,
    read_inputs,
    room_for,
    scale_weights,
    select,
    steps,
)
from ..data.friend import BaseFile, Range, to_json
from ..data.ids import Ids, check_unique, concatenate
from ..data.root import JoinedTree, open_joined
from ..data.scores import chunk_path, file_range, write_scores
from ..data.shape import CLASSIFIER, check_data, check_shape
from ..data.stage import STAGES, model_file, models_stage
from ..data.truth import write_truth
from ..errors import DataError
from ..job import Context
from ..nn.memory import keep_freed_memory
from ..nn.model import Model, load_model
from ..result import RESULT, Attempt, Inputs, Result, open_attempt
from ..spec import Cell, Dataset, EvaluateSpec
from .train import choose_device

Json: TypeAlias = Any
Columns: TypeAlias = dict[str, NDArray[np.float32]]
OWN_SHAPE: Final = {"seed": int, "offset": int}
TRAINED: Final = {
    "classifier": CLASSIFIER,
    "kfolds": int,
    "models": [{"fold": int, "file": str, "ids": str, "stages": STAGES}],
}


@dataclass(frozen=True)
class Scoring:
    """The models of one seed, the columns that they give, and who works on the files.

    ``batch`` events are scored, and ``step`` entries read at a time.
    """

    trained: Result
    models: list[Model]
    classifier: Json
    columns: list[str]
    outputs: list[Output]
    crew: Crew
    batch: int
    step: int


@dataclass(frozen=True)
class Target:
    """A base file, and where its scores, one file for each model, and its truth go."""

    known: Known
    paths: list[Path]
    truth: Path


@dataclass(frozen=True)
class Scored:
    """A base file that was scored: the uuids of the files of scores, and what was read."""

    target: Target
    uuids: list[str]
    inputs: Inputs


def run(cells: list[Cell], context: Context) -> None:
    """Make the result of each cell."""
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
        for part in select_events(dataset, files, labels, samples, scoring):
            attempt.inputs.update(part.inputs)
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
    files = [model_file(row, spec.stage) for row in trained.data["models"]]
    models = [load_model(trained.path(file), device) for file in files]
    classifier, kfolds = trained.data["classifier"], trained.data["kfolds"]
    check_folds([model.fold for model in models], kfolds, trained)
    for model in models:
        same = model.kfolds == kfolds and model.rule == models[0].rule
        if model.classes != classifier["classes"] or not same:
            raise DataError(f"{trained.folder / RESULT}: its models are of another classifier")
    execution, classes = context.execution, classifier["classes"]
    return Scoring(
        trained,
        models,
        {**classifier, "outputs": spec.outputs},
        list_columns(classes, spec.outputs),
        read_outputs(classes, spec.outputs),
        share_cores(execution.max_evaluators, execution.cpus),
        execution.batch_eval,
        execution.batch_skim,
    )


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
    scoring: Scoring,
) -> list[Selected]:
    """What a dataset selects of each of its files, with the weights after the norm."""
    parts: list[Selected] = []
    read = partial(read_selection, labels=labels, samples=samples, scoring=scoring)
    scoring.crew.work(files, read, parts.append, room_for)
    weight = np.concatenate([np.zeros(0), *[part.weight for part in parts]])
    counts = [(part.file.sample, len(part.weight)) for part in parts]
    weight = scale_weights(dataset.name, dataset.norm, weight, counts)
    ends = np.cumsum([len(part.weight) for part in parts])[:-1]
    split = np.split(weight, ends) if parts else []
    return [replace(part, weight=own) for part, own in zip(parts, split, strict=True)]


def read_selection(
    file: SampleFile, labels: list[str], samples: list[str], scoring: Scoring
) -> Selected:
    """What a dataset selects of one of its files, before the norm."""
    branches = (*ID_BRANCHES, *file.branches)
    sample, label = samples.index(file.sample_id), labels.index(file.sample.label)
    ids: list[Ids] = []
    masks, weights = [np.zeros(0, np.bool_)], [np.zeros(0)]
    inputs = Inputs()
    with open_joined(file.path, file.tree, file.friends, branches, inputs.read) as tree:
        for start, stop in steps(tree.entries, scoring.step):
            scoring.crew.check()
            ids.append(read_ids(tree, sample, start, stop))
            mask, weight = select(tree, file, start, stop)
            masks.append(mask)
            weights.append(weight)
        base = tree.file
    rows = np.concatenate(masks), np.concatenate(weights)
    return Selected(file, inputs, base, concatenate(ids), *rows, label)


def score_files(
    known: list[Known],
    labels: list[str],
    samples: list[str],
    scoring: Scoring,
    attempt: Attempt,
    context: Context,
) -> None:
    """Score each base file once, some at the same time, and commit the result."""
    spec = cast(EvaluateSpec, attempt.cell.spec)
    files: dict[str, Path] = {}
    sources: list[Json] = []
    friends: list[list[tuple[BaseFile, list[Range]]]] = [[] for _ in scoring.models]

    def take(scored: Scored) -> None:
        row, truth = scored.target.known, scored.target.truth
        base, entries = row.base, len(row.truth.event)
        attempt.inputs.update(scored.inputs)
        files[truth.stem] = truth
        for place, (path, own) in enumerate(zip(scored.target.paths, scored.uuids, strict=True)):
            address = attempt.address(path)
            friends[place].append((base, [file_range(address, base.name, own, 0, entries)]))
            files[f"chunk-{scoring.models[place].fold}-{len(sources):04d}"] = path
        source = {"path": base.path, "uuid": base.uuid, "tree": base.name, "entries": entries}
        sources.append({**source, "sample": row.file.sample_id, "truth": truth.stem})
        context.events.progress(attempt.cell.id, "evaluate", len(sources), len(known))

    targets = list_targets(known, spec, scoring, attempt)
    work = partial(score_file, scoring=scoring)
    scoring.crew.work(targets, work, take, lambda target: room_for(target.known.file))
    data = {
        **describe_models(scoring),
        "stage": models_stage(scoring.trained, spec.stage),
        "name": spec.name,
        "labels": labels,
        "samples": samples,
        "sources": sources,
        "friends": [to_json(spec.name, scoring.columns, rows) for rows in friends],
    }
    attempt.commit(files, data)


def list_targets(
    known: list[Known], spec: EvaluateSpec, scoring: Scoring, attempt: Attempt
) -> list[Target]:
    """Where the scores of each file go; raises :class:`SpecError` where two would be one file."""
    targets = []
    used: dict[str, str] = {}
    for index, row in enumerate(known):
        chunk = chunk_path(spec.naming, spec.name, row.base, 0, len(row.truth.event), used)
        paths = [attempt.path(f"chunks/fold-{model.fold}/{chunk}") for model in scoring.models]
        targets.append(Target(row, paths, attempt.path(f"truth/truth-{index:04d}.npz")))
    return targets


def describe_models(scoring: Scoring) -> dict[str, Json]:
    """Which models scored: what the merge needs to prove that none of them saw the event."""
    trained = scoring.trained
    rows = [
        {"fold": row["fold"], "ids": str(trained.place(row["ids"]))}
        for row in trained.data["models"]
    ]
    models = {"result": str(trained.folder / RESULT), "uuid": trained.uuid, "models": rows}
    return {
        "classifier": scoring.classifier,
        "kfolds": trained.data["kfolds"],
        "seed": trained.spec["seed"],
        "offset": trained.spec["offset"],
        "models": models,
    }


def score_file(target: Target, scoring: Scoring) -> Scored:
    """Write one friend file for each model, and the truth, with who scored in it."""
    file, truth, inputs = target.known.file, target.known.truth, Inputs()
    with ExitStack() as stack:
        tree = stack.enter_context(
            open_joined(file.path, file.tree, file.friends, INPUT_BRANCHES, inputs.read)
        )
        writers = [
            stack.enter_context(write_scores(path, file.tree, scoring.columns))
            for path in target.paths
        ]
        for start, stop in steps(tree.entries, scoring.step):
            scoring.crew.check()
            matrix = read_inputs(tree, file.year, start, stop, np.ones(stop - start, np.bool_))
            event = torch.from_numpy(truth.event[start:stop])
            for model, (_, extend) in zip(scoring.models, writers, strict=True):
                own = model.rule.assign(event) == model.fold
                truth.scored_by[start:stop][own.numpy()] = model.fold
                extend(score(model, matrix, own, scoring, tree, start))
    write_truth(target.truth, truth)
    return Scored(target, [own for own, _ in writers], inputs)


def score(
    model: Model,
    inputs: torch.Tensor,
    own: torch.Tensor,
    scoring: Scoring,
    tree: JoinedTree,
    start: int,
) -> Columns:
    """All columns of some entries, (n) float32, NaN where the event is not the model's own.

    Raises :class:`DataError` for a score, or an output, that is NaN or infinite.
    """
    classes, views = model.predict(inputs[own], scoring.batch)
    names = [*VIEWS, *map(class_column, model.classes)]
    known: Columns = dict(zip(names, torch.cat([views, classes], dim=1).numpy().T, strict=True))
    for output in scoring.outputs:
        known[output.name] = output.compute(known, len(classes))
    columns = {}
    rows = own.numpy()
    for name, values in known.items():
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            entry = start + int(np.flatnonzero(rows)[wrong[0]])
            gives = f"the model of fold {model.fold} gives {name} {values[wrong[0]]}"
            raise DataError(f"{tree}: entry {entry}: {gives}")
        columns[name] = np.full(len(own), np.nan, np.float32)
        columns[name][rows] = values
    return columns
