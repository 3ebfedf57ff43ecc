"""Merge evaluations: one friend tree from the folds of all seeds, and the proof that it may be.

For each seed every event must have the score of exactly one model, and of one that did not train
on it: the entries that are not NaN in a model's friend tree are held against the ids that its
training recorded. Over the seeds, each column is the mean; the spread is the standard deviation
of the seeds themselves (divided by their number, not by one less).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ..data.columns import class_column, list_columns
from ..data.friend import BaseFile, FriendTree, parse_friend, to_json
from ..data.ids import Ids, check_unique, concatenate, find_common
from ..data.root import open_friend
from ..data.scores import chunk_path, whole_range, write_scores
from ..data.shape import CLASSIFIER, check_data
from ..data.truth import NO_LABEL, Truth, load_ids, load_truth
from ..errors import DataError, SpecError
from ..job import Context
from ..nn.roc import roc
from ..result import RESULT, Attempt, Result, open_attempt
from ..spec import Cell, MergeSpec, Reference

Json: TypeAlias = Any
Matrix: TypeAlias = NDArray[np.float32]
Floats: TypeAlias = NDArray[np.float64]
NO_MODEL: Final = -1
SEVERAL_MODELS: Final = -2
NAMED_EVENTS: Final = 3
SOURCE: Final = {"path": str, "uuid": str, "tree": str, "entries": int, "sample": str}
EVALUATED: Final = {
    "classifier": CLASSIFIER,
    "kfolds": int,
    "seed": int,
    "offset": int,
    "labels": [str],
    "samples": [str],
    "models": {"result": str, "uuid": str, "models": [{"fold": int, "ids": str}]},
    "sources": [{**SOURCE, "truth": str}],
    "friends": [dict],
}
TRAINED: Final = {"samples": [str], "sources": [{"uuid": str, "sample": str}]}


@dataclass(frozen=True)
class Seed:
    """One evaluation: its friend trees by fold, and the result of the training behind it."""

    result: Result
    trained: Result
    friends: list[FriendTree]
    scored_by: list[NDArray[np.int16]] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """Where the evaluation's result lies."""
        return self.result.folder / RESULT

    @property
    def sources(self) -> dict[tuple[str, str], Json]:
        """The base files that were scored, by uuid and tree."""
        return {(row["uuid"], row["tree"]): row for row in self.result.data["sources"]}


@dataclass(frozen=True)
class Scores:
    """What the AUC needs of the selected events: labels, weights, and class probabilities."""

    label: list[NDArray[np.int32]]
    weight: list[Floats]
    merged: list[Matrix]
    by_seed: list[list[Matrix]]


def run(cells: list[Cell], context: Context) -> None:
    """Make the result of each cell."""
    for cell in cells:
        with open_attempt(cell) as attempt:
            merge(attempt, context)


def merge(attempt: Attempt, context: Context) -> None:
    """Join and check all predictions of a merge cell and commit the friend tree."""
    spec = cast(MergeSpec, attempt.cell.spec)
    seeds = [load_seed(attempt, reference) for reference in spec.predictions]
    check_seeds(seeds)
    first = seeds[0].result.data
    columns = list_columns(first["classifier"]["classes"], first["classifier"]["outputs"])
    written = [*columns, *(f"{name}_std" for name in columns)] if spec.std else columns
    scores = Scores([], [], [], [[] for _ in seeds])
    files: dict[str, Path] = {}
    data = []
    ids: list[Ids] = []
    used: dict[str, str] = {}
    for index, row in enumerate(first["sources"]):
        base = BaseFile(row["path"], row["tree"], row["uuid"])
        truth = load_truths(seeds, base)
        mean, spread = average(seeds, base, row["entries"], columns, scores, truth)
        path = attempt.path(f"chunks/{chunk_path(spec.naming, spec.name, base, len(mean), used)}")
        values = dict(zip(written, np.hstack([mean, spread]).astype(np.float32).T, strict=False))
        with write_scores(path, base.name, written) as (own, extend):
            extend(values)
        files[f"chunk-{index:04d}"] = path
        data.append((base, whole_range(path, base.name, own, row["entries"])))
        ids.append(truth.ids())
        context.events.progress(attempt.cell.id, "merge", index + 1, len(first["sources"]))
    check_unique(ids, [row["path"] for row in first["sources"]], first["samples"])
    check_events(seeds, concatenate(ids))
    friend = to_json(spec.name, written, data)
    attempt.commit(files, {"friend": friend, **describe(seeds, scores, len(concatenate(ids)))})


def load_seed(attempt: Attempt, reference: Reference) -> Seed:
    """One evaluation, and the training it used; raises :class:`DataError` if that has changed."""
    result = attempt.read_result(reference.result, reference.hash)
    check_data(result, EVALUATED)
    models = result.data["models"]
    trained = attempt.read_result(models["result"])
    check_data(trained, TRAINED)
    path = result.folder / RESULT
    check_rocs(result.data["classifier"], path)
    if trained.uuid != models["uuid"]:
        raise DataError(f"{models['result']}: made again since {path} used its models")
    friends = [
        parse_friend(value, f"{path}@@data.friends.{index}")
        for index, value in enumerate(result.data["friends"])
    ]
    if len(friends) != len(models["models"]):
        raise DataError(f"{path}: {len(friends)} friend trees of {len(models['models'])} models")
    check_samples(result, trained)
    return Seed(result, trained, friends)


def check_rocs(classifier: Json, path: Path) -> None:
    """Raises :class:`DataError` for a ROC curve of something that is not a class."""
    for row in classifier["rocs"]:
        for name in (*row["positive"], *row["negative"]):
            if name not in classifier["classes"]:
                raise DataError(f'{path}: ROC "{row["name"]}": no class "{name}"')


def check_samples(result: Result, trained: Result) -> None:
    """Raises :class:`DataError` if a file had another sample name in the training.

    Ids name the sample, so that such events could not be recognised.
    """
    names: dict[str, set[str]] = {}
    for row in trained.data["sources"]:
        names.setdefault(row["uuid"], set()).add(row["sample"])
    for row in result.data["sources"]:
        others = names.get(row["uuid"], set()) - {row["sample"]}
        if others:
            raise DataError(
                f"{row['path']}: is sample {row['sample']} in {result.folder / RESULT} "
                f"but was {min(others)} in {trained.folder / RESULT}"
            )


def check_seeds(seeds: list[Seed]) -> None:
    """Raises :class:`DataError` if the evaluations cannot be averaged."""
    if not seeds:
        raise SpecError("predictions: at least one is needed")
    first = seeds[0]
    for seed in seeds[1:]:
        for key in ("classifier", "kfolds", "labels", "samples"):
            if seed.result.data[key] != first.result.data[key]:
                raise DataError(f"{seed.path}: has another {key} than {first.path}")
        for one, other in ((first, seed), (seed, first)):
            missing = sorted(one.sources.keys() - other.sources.keys())
            if missing:
                path = one.sources[missing[0]]["path"]
                raise DataError(f"{path}: was scored in {one.path} but not in {other.path}")
    seen: dict[str, Seed] = {}
    for seed in seeds:
        uuid = seed.trained.uuid
        if uuid in seen:
            raise DataError(f"{seed.path}: scored with the same models as {seen[uuid].path}")
        seen[uuid] = seed


def load_truths(seeds: list[Seed], base: BaseFile) -> Truth:
    """The truth of a base file, which must be the same for all seeds."""
    truths = []
    for seed in seeds:
        row = seed.sources[base.uuid, base.name]
        data, path = seed.result.data, seed.result.path(row["truth"])
        truths.append(load_truth(path, row["entries"], len(data["labels"]), len(data["samples"])))
    for seed, truth in zip(seeds, truths, strict=True):
        for name in ("sample", "run", "lumi", "event", "label", "weight"):
            if not np.array_equal(getattr(truth, name), getattr(truths[0], name)):
                raise DataError(f"{base.path}: {seed.path} has another {name} than {seeds[0].path}")
    return truths[0]


def average(
    seeds: list[Seed],
    base: BaseFile,
    entries: int,
    columns: list[str],
    scores: Scores,
    truth: Truth,
) -> tuple[Floats, Floats]:
    """Mean and standard deviation over the seeds, each (entries, columns), by Welford's method."""
    selected = truth.label != NO_LABEL
    probabilities = [i for i, name in enumerate(columns) if name.startswith("p_")]
    mean, squares = np.zeros((entries, len(columns))), np.zeros((entries, len(columns)))
    for count, (seed, rows) in enumerate(zip(seeds, scores.by_seed, strict=True), 1):
        matrix = join_folds(seed, base, entries, columns)
        step = matrix - mean
        mean += step / count
        squares += step * (matrix - mean)
        rows.append(matrix[selected][:, probabilities])
    scores.label.append(truth.label[selected])
    scores.weight.append(truth.weight[selected])
    scores.merged.append(mean.astype(np.float32)[selected][:, probabilities])
    return mean, np.sqrt(squares / len(seeds))


def join_folds(seed: Seed, base: BaseFile, entries: int, columns: list[str]) -> Matrix:
    """The scores of a seed's models side by side, (entries, columns); notes who scored what."""
    joined = np.full((entries, len(columns)), np.nan, np.float32)
    by = np.full(entries, NO_MODEL, np.int16)
    for place, friend in enumerate(seed.friends):
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
    seed.scored_by.append(by)
    return joined


def check_events(seeds: list[Seed], ids: Ids) -> None:
    """Raises :class:`DataError` unless one model that never saw it scored each event, by seed."""
    for seed in seeds:
        by = np.concatenate([np.zeros(0, np.int16), *seed.scored_by])
        refuse(seed, ids, np.flatnonzero(by == NO_MODEL), "scored by no model")
        refuse(seed, ids, np.flatnonzero(by == SEVERAL_MODELS), "scored by more than one model")
        for place, row in enumerate(seed.result.data["models"]["models"]):
            own = np.flatnonzero(by == place)
            leaked = find_common(ids.take(own), trained_ids(seed, Path(row["ids"])))
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
    areas = aucs(data, label, weight, scores.merged)
    return {
        "classifier": data["classifier"],
        "labels": data["labels"],
        "samples": data["samples"],
        "sources": data["sources"],
        "events": events,
        "events_selected": len(label),
        "seeds": rows,
        "auc": areas,
        "auc_by_seed": [aucs(data, label, weight, parts) for parts in scores.by_seed],
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


def aucs(
    data: Mapping[str, Json], label: NDArray[np.int32], weight: Floats, parts: Sequence[Matrix]
) -> dict[str, float | None]:
    """The area under each ROC curve, over selected events of its classes; None without any."""
    classifier, labels = data["classifier"], np.array([*data["labels"], ""])
    columns = list_columns(classifier["classes"], classifier["outputs"])
    known = [name for name in columns if name.startswith("p_")]
    matrix = np.concatenate([np.zeros((0, len(known)), np.float32), *parts])
    areas = {}
    for row in classifier["rocs"]:
        positive = np.isin(labels[label], row["positive"])
        used = positive | np.isin(labels[label], row["negative"])
        chosen = [known.index(class_column(name)) for name in row["positive"]]
        score = matrix[used][:, chosen].sum(axis=1, dtype=np.float64)
        areas[row["name"]] = roc(score, positive[used], weight[used]).auc
    return areas
