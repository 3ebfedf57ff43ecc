"""A workflow in, the modules and words of the older tool out that it would have taken.

The workflow comes as a text: it is parsed, its parameters are bound, its placeholders filled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..diagnostics import Diagnostic, errors_of
from ..nodes import Mapping as MappingNode
from ..nodes import to_plain, without
from ..parameters import bind
from ..parse import parse
from ..ranges import format_range
from ..template import substitute
from .convert import STAGES, STATES
from .datasets import OR, REGION, SAMPLES, SOURCES, WITH
from .old_settings import LEVELS, TIMESTAMP
from .oracle import Words
from .training import ARCHITECTURE, GHOST, SCHEDULE, SEED, STAGE

NAME: Final = "workflow"


def read_back(
    text: str, values: Mapping[str, Any], environment: Mapping[str, str], folder: Path
) -> tuple[list[Words], list[Diagnostic]]:
    """The modules of a workflow, the task first; ``values`` are those of its parameters."""
    document, diagnostics = parse(text, NAME)
    root = document.root
    if not isinstance(root, MappingNode) or diagnostics:
        return [], diagnostics
    layer, _ = parse(json.dumps(dict(values)), "--template")
    layers = [layer.root] if isinstance(layer.root, MappingNode) and values else []
    bindings, diagnostics = bind(root.get("parameters"), layers, environment, folder)
    done = substitute(without(root, "parameters"), bindings, (TIMESTAMP,))
    diagnostics = errors_of([*diagnostics, *done.diagnostics])
    return ([] if diagnostics else _Back(to_plain(done.node)).modules()), diagnostics


class _Back:
    """Reads the tasks of one workflow."""

    def __init__(self, workflow: dict[str, Any]) -> None:
        self.tasks: dict[str, dict[str, Any]] = workflow["tasks"]
        self.settings: dict[str, dict[str, Any]] = workflow.get("settings", {})
        self.main: list[str] = []
        self.found: list[Words] = []

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The tasks of a kind."""
        return [task for task in self.tasks.values() if task["task"] == kind]

    def modules(self) -> list[Words]:
        """All modules, the task first."""
        kinds = ("train", "evaluate", "cache")
        name = next((kind for kind in kinds if self.of(kind)), "analyze")
        for task in self.of("cache"):
            self.cache(task)
        for number, task in enumerate(self.of("train")):
            self.train(task, first=not number)
        for number, task in enumerate(self.of("evaluate")):
            self.evaluate(task, first=not number)
        for kind, module, key in (
            ("merge", "kfold.Merge", "predictions"),
            ("plot", "HCR.LossROC", "models"),
        ):
            for task in self.of(kind):
                self.found.append(Words("analysis", module, _merge(task)))
                self.results(task[key])
        for setting, values in self.settings.items():
            self.found.append(Words("setting", setting, [_setting(setting, values)]))
        return [Words("main", name, self.main), *self.found]

    def cache(self, task: dict[str, Any]) -> None:
        """A cache task: datasets, and options of the task."""
        self.found += [_dataset(use) for use in task["datasets"]]
        options = {"chunks": "--nchunks", "chunk_size": "--chunksize"}
        options |= {"max_loaders": "--max-loaders", "max_writers": "--max-writers"}
        options |= {"compression": "--compression"}
        self.main += ["--shuffle"] if task.get("shuffle", True) else []
        self.main += _options(task, options)
        states = [old for old, new in STATES.items() if new in task.get("states", [])]
        self.main += ["--states", *states] if states else []

    def train(self, task: dict[str, Any], *, first: bool) -> None:
        """A train task: a model, and what all models share."""
        if first and task["dataset"] not in self.tasks:
            chunks = ["--chunk", *_range(task["only_chunks"])] if "only_chunks" in task else []
            self.found.append(Words("dataset", "cache", ["--input", task["dataset"], *chunks]))
        if first:
            options = {"max_loaders": "--max-loaders", "max_trainers": "--max-trainers"}
            self.main += [*_options(task, options), *_device(task)]
        words = _options(task, {"kfolds": "--kfolds"})
        if task.get("folds") == "random":
            seed = task.get("fold_seed", "").split()
            seed = seed[1:] if seed[:1] == [SEED] else seed
            words += ["--kfold-seed", *seed] if seed else []
        if "for" in task:
            words += ["--kfold-seed-offsets", *_range(task["for"]["offset"])]
        if "fold_offsets" in task:
            words += ["--kfold-offsets", *_range(task["fold_offsets"])]
        for key, option, names in (
            ("architecture", "--architecture", ARCHITECTURE),
            ("ghost", "--ghost-batch", GHOST),
        ):
            words += [option, _mapping(task[key], names)] if key in task else []
        for key in ("training", "finetuning"):
            values = dict(task.get(key, {}))
            name = values.pop("schedule", "")
            words += [f"--{key}", name] if name else []
            words += [_mapping(values, SCHEDULE)] if values else []
        self.found.append(Words("model", f"{task['classifier']}{STAGE}", words))

    def evaluate(self, task: dict[str, Any], *, first: bool) -> None:
        """An evaluate task: a model, and what all models share."""
        if first:
            datasets = [_dataset(use) for use in task["datasets"]]
            datasets[0].words.extend(_options(task, {"naming": "--eval-naming"}))
            self.found += datasets
            self.main += [*_options(task, {"max_evaluators": "--max-evaluators"}), *_device(task)]
        stage = next(old for old, new in STAGES.items() if new == task["stage"])
        self.found.append(Words("model", "", ["--models", stage, task["models"]]))

    def results(self, value: Any) -> None:
        """The results that an analysis reads by their paths."""
        paths = value if isinstance(value, list) else [value]
        self.main = self.main or [path for path in paths if path not in self.tasks]


def _dataset(use: Any) -> Words:
    """A dataset with its options."""
    if isinstance(use, str):
        return Words("dataset", use, [])
    words = ["--friends", "", *use["friends"]] if "friends" in use else []
    words += _options(use, {"max_workers": "--max-workers", "tree": "--tree", "norm": "--norm"})
    given = use.get("with", {})
    words += ["--regions", *given[REGION].split(OR)] if REGION in given else []
    there = [word for word, parameter in SOURCES.items() if given.get(parameter)]
    words += ["--data-source", *there] if given.keys() & {*SOURCES.values()} else []
    words += ["--data-mixed-samples", *_range(given[SAMPLES])] if SAMPLES in given else []
    for option, each in WITH.items():
        if each.parameter in given and each.value in (None, given[each.parameter]):
            words += [option] if each.value is not None else [option, str(given[each.parameter])]
    return Words("dataset", use["use"], words)


def _merge(task: dict[str, Any]) -> list[str]:
    words = _options(task, {"name": "--name", "naming": "--naming"})
    words += _options(task, {"step": "--step", "workers": "--workers"})
    words += [f"--{key}" for key in ("clean",) if task.get(key)]
    stages = {new: old for old, new in STAGES.items()}
    return words + (["--stage", stages[task["stage"]]] if "stage" in task else [])


def _options(values: Mapping[str, Any], options: Mapping[str, str]) -> list[str]:
    """Options with a value each, of those keys that are there."""
    given = {option: values.get(key) for key, option in options.items()}
    pairs = [(option, value) for option, value in given.items() if value is not None]
    return [word for option, value in pairs for word in (option, str(value))]


def _device(task: dict[str, Any]) -> list[str]:
    name = task.get("device")
    kinds = ["cuda", "cpu"] if name == "auto" else [name]
    return ["--device", *map(str, kinds)] if name else []


def _range(value: Any) -> list[str]:
    return (format_range(value) if isinstance(value, list) else str(value)).split()


def _mapping(values: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """A mapping as a word, keys renamed."""
    old = {names[name]: name for name in reversed(list(names))}
    return f"json:##{json.dumps({old[key]: value for key, value in values.items()})}"


def _setting(name: str, values: dict[str, Any]) -> str:
    if name == "monitor.Log" and "level" in values:
        numbers = {word: number for number, word in LEVELS.items()}
        values = {**values, "level": numbers[values["level"]]}
    return f"json:##{json.dumps(values)}"
