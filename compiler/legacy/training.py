"""The older tool's models to train in, the keys of train tasks out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from ..parse import resolve
from .data import Data, Leaf, Table
from .draft import Draft, Task
from .modules import Arg, Module
from .options import Given, options_of, parse_words
from .symbols import escape_braces
from .text import stop

STAGE: Final = ".Train"
SEED: Final = "kfold"
DEFAULT_KFOLDS: Final = 3
SCHEDULES: Final = ("FixedStep", "AutoStep", "FinetuneStep", "FinetuneStepSGD")
SCHEDULE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "epoch": "epochs",
        "bs_init": "batch",
        "bs_scale": "batch_scale",
        "bs_milestones": "batch_milestones",
        "lr_init": "learning_rate",
        "lr_scale": "learning_rate_scale",
        "lr_milestones": "learning_rate_milestones",
        "lr_threshold": "learning_rate_threshold",
        "lr_patience": "learning_rate_patience",
        "lr_cooldown": "learning_rate_cooldown",
        "lr_min": "learning_rate_minimum",
    }
)
ARCHITECTURE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "n_features": "features",
        "attention": "attention",
        "use_attention_block": "attention",
    }
)
GHOST: Final[Mapping[str, str]] = MappingProxyType(
    {"n_batches": "batches", "gamma": "scale", "milestones": "milestones"}
)


def train_model(draft: Draft, task: Task, module: Module, label: str) -> None:
    """Add what a model says to its train task."""
    name = draft.text(module.name)
    if not name.endswith(STAGE):
        draft.write_out(module.name.marked.chars, module.name.span)
        name = escape_braces(str(module.name))
    task.add("classifier", name.removesuffix(STAGE), module.name.span)
    options = options_of(module)
    if options is None:
        if module.words:
            message = f"the options of {module.name} are not known: {' '.join(module.words)}"
            draft.none((label, "words"), module.words[0].span, message)
        return
    parsed = parse_words(options, module.words, module.name)
    draft.diagnostics += parsed.diagnostics
    given = parsed.options
    _folds(draft, task, given, label)
    for option, convert in KEYS.items():
        if option in given:
            key, value = convert(draft, given[option], label)
            task.add(key, value, given[option].span)
    if "--no-kfold" in given:
        message = "training on all events, --no-kfold, has no counterpart"
        draft.none((label, "--no-kfold"), given["--no-kfold"].span, message)


def _folds(draft: Draft, task: Task, given: Mapping[str, Given], label: str) -> None:
    """How events are dealt to folds, and the seeds' offsets as an axis."""
    kfolds = given.get("--kfolds")
    if kfolds:
        task.add("kfolds", draft.whole(kfolds.words[0]), kfolds.span)
    count = int(kfolds.words[0]) if kfolds else DEFAULT_KFOLDS
    seed, offsets = given.get("--kfold-seed"), given.get("--kfold-seed-offsets")
    axis = draft.range(offsets.words, "--kfold-seed-offsets") if offsets else None
    if offsets and axis is not None:
        task.add("folds", "random", seed.span if seed else offsets.span)
        if seed:
            task.add("fold_seed", _seed(draft, seed, label), seed.span)
    elif seed:
        message = "--kfold-seed counts only with --kfold-seed-offsets"
        draft.skip((label, "--kfold-seed"), seed.span, message)
    if offsets and axis is None:
        draft.skipped.add((label, "--kfold-seed-offsets"))
    chosen = given.get("--kfold-offsets")
    if chosen:
        text = draft.range(chosen.words, "--kfold-offsets", count)
        if text is None:
            message = "the older tool trains nothing: --kfold-offsets leaves no fold"
            raise stop("legacy-options", message, chosen.span)
        task.add("fold_offsets", text, chosen.span)
    if offsets and axis is not None:
        task.add("for", {"offset": axis}, offsets.span)


def _seed(draft: Draft, seed: Given, label: str) -> str | None:
    """The words of a seed, before which the word ``kfold`` is understood."""
    if any(len(word.split()) != 1 for word in seed.words):
        message = "a word of a seed with blanks in it, or none, has no counterpart"
        draft.none((label, "--kfold-seed"), seed.span, message)
        return None
    start = [SEED] if seed.words[0] == SEED else []
    return " ".join([*start, *map(draft.text, seed.words)])


def _renamed(keys: Mapping[str, str], target: str) -> Callable[[Draft, Given, str], Any]:
    """The conversion of a mapping whose keys have other names."""

    def convert(draft: Draft, given: Given, label: str) -> tuple[str, Any]:
        field = (label, given.option.name)
        table = _table(draft, given.words[0], field)
        return target, _mapping(draft, table, keys, field) or None

    return convert


def _schedule(target: str) -> Callable[[Draft, Given, str], Any]:
    """The conversion of the name of a schedule and its numbers."""

    def convert(draft: Draft, given: Given, label: str) -> tuple[str, Any]:
        option = given.option.name
        name = given.words[0]
        tables = [_table(draft, word, (label, option)) for word in given.words[1:]]
        if name not in SCHEDULES:
            message = f'the schedule "{name}" has no counterpart'
            draft.none((label, option), name.span, message, f"there are {', '.join(SCHEDULES)}")
            return target, None
        found: dict[str, Any] = {"schedule": draft.text(name)}
        for table in tables:
            found |= _mapping(draft, table, SCHEDULE, (label, option))
        return target, found

    return convert


def _table(draft: Draft, word: Arg, field: tuple[str, str]) -> Table:
    """The mapping that a word holds; none after a warning."""
    data = draft.expander.mapping(word)
    if data is None:
        draft.none(field, word.span, f"what {field[1]} takes from here is not imported")
        return Table({}, word.span)
    if not isinstance(data, Table):
        message = f"the older tool stops here: {field[1]} takes a mapping"
        raise stop("legacy-options", message, word.span)
    return data


def _mapping(
    draft: Draft, table: Table, keys: Mapping[str, str], field: tuple[str, str]
) -> dict[str, Any]:
    """The values of a mapping, keys renamed; what has no counterpart is listed."""
    option = field[1]
    found = {}
    for key, each in table.fields.items():
        if key in keys:
            found[keys[key]] = draft.data(each.value)
            _check_text(draft, key, each.value)
        else:
            message = f'"{key}" of {option} has no counterpart'
            draft.none((field[0], f"{option} {key}"), each.key, message)
    return found


def _check_text(draft: Draft, key: str, data: Data) -> None:
    """Say that 1e-3 is no number in YAML 1.1."""
    if isinstance(data, Leaf) and isinstance(data.value, str) and not data.marks:
        if isinstance(resolve(data.value[:100]), str):
            return
        message = f'"{data.value}" is a text in YAML 1.1: the older tool stops at {key}'
        draft.ignored(message, data.span, f"write a number: {float(data.value)}")


KEYS: Final[Mapping[str, Callable[[Draft, Given, str], Any]]] = MappingProxyType(
    {
        "--architecture": _renamed(ARCHITECTURE, "architecture"),
        "--training": _schedule("training"),
        "--finetuning": _schedule("finetuning"),
        "--ghost-batch": _renamed(GHOST, "ghost"),
    }
)
