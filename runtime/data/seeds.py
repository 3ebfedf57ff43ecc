"""Evaluations that are merged, one for each seed: read, and held against each other.

In come references to results of evaluate tasks, out come their friend trees by fold and the truth
of their events, which has to be the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, SpecError
from ..result import RESULT, Attempt, Result
from ..spec import Reference
from ..storage import Place
from .friend import BaseFile, FriendTree, parse_friend
from .shape import CLASSIFIER, Maybe, check_data
from .stage import FINETUNING, STAGES, TRAINING, models_stage
from .truth import Truth, load_truth

Json: TypeAlias = Any
SOURCE: Final = {"path": str, "uuid": str, "tree": str, "entries": int, "sample": str}
EVALUATED: Final = {
    "classifier": CLASSIFIER,
    "kfolds": int,
    "seed": int,
    "offset": int,
    "stage": Maybe(str, needed=False),
    "labels": [str],
    "samples": [str],
    "models": {"result": str, "uuid": str, "models": [{"fold": int, "ids": str}]},
    "sources": [{**SOURCE, "truth": str}],
    "friends": [dict],
}
TRAINED: Final = {"samples": [str], "sources": [{"uuid": str, "sample": str}]}
STAGED: Final = {"models": [{"file": str, "stages": STAGES}]}
CALLED: Final = MappingProxyType({TRAINING: "without fine-tuning", FINETUNING: "with fine-tuning"})


@dataclass(frozen=True)
class Seed:
    """One evaluation: its friend trees by fold, and the result of the training behind it.

    ``stage`` is what its models went through last.
    """

    result: Result
    trained: Result
    stage: str
    friends: list[FriendTree]
    scored_by: list[NDArray[np.int16]] = field(default_factory=list)

    @property
    def path(self) -> Place:
        """Where the evaluation's result lies."""
        return self.result.folder / RESULT

    @property
    def sources(self) -> dict[tuple[str, str], Json]:
        """The base files that were scored, by uuid and tree."""
        return {(row["uuid"], row["tree"]): row for row in self.result.data["sources"]}


def load_seed(attempt: Attempt, reference: Reference) -> Seed:
    """One evaluation, and the training it used; raises :class:`DataError` if that has changed."""
    result = attempt.read_result(reference.result, reference.hash)
    check_data(result, EVALUATED)
    models = result.data["models"]
    trained = attempt.read_result(models["result"])
    check_data(trained, TRAINED)
    path = result.folder / RESULT
    if result.heir is not None:
        raise DataError(
            f"{path}: its friend trees were removed when {result.heir.cell} was made of them: "
            f"run {result.cell} again"
        )
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
    return Seed(result, trained, read_stage(result, trained), friends)


def read_stage(result: Result, trained: Result) -> str:
    """What the models of an evaluation went through last, by its own record.

    An evaluation of an earlier version has none: then by that of its models.
    """
    stage = result.data.get("stage")
    if stage is None:
        check_data(trained, STAGED)
        return models_stage(trained, result.spec.get("stage", "final"))
    if stage not in CALLED:
        known = ", ".join(CALLED)
        raise DataError(f"{result.folder / RESULT}: data.stage: {stage!r:.40} is none of {known}")
    return str(stage)


def check_rocs(classifier: Json, path: Place) -> None:
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


def check_stage(seeds: list[Seed], stage: str) -> None:
    """Raises :class:`DataError` unless all are scores of the stage that is merged.

    Of the final models, those of one evaluation may be fine-tuned, and those of another not.
    """
    for seed in seeds:
        found = seed.result.spec.get("stage", "final")
        if found != stage:
            raise DataError(
                f"{seed.path}: has the scores of stage {found!r:.40}, and those of stage "
                f'"{stage}" are merged'
            )
        if seed.stage != seeds[0].stage:
            raise DataError(
                f"{seed.path}: has the scores of models {CALLED[seed.stage]}, and "
                f"{seeds[0].path} those of models {CALLED[seeds[0].stage]}: only scores of one "
                "stage are averaged"
            )


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
