"""The older tool's datasets in, uses of definitions out, with what they change.

The definitions that come with hcrc have parameters where the older tool's modules had options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from .draft import Draft
from .modules import Module
from .options import Given, options_of, parse_words

CHUNKS: Final = "chunks"
ORDER: Final = ("use", "with", "norm", "friends", "tree", "max_workers")
REGION: Final = "region"
OR: Final = " | "
SOURCES: Final[Mapping[str, str]] = MappingProxyType({"detector": "data", "mixed": "mixed"})
SAMPLES: Final = "mixed_samples"


class With(NamedTuple):
    """A parameter of a definition, and what a switch gives it."""

    parameter: str
    value: Any = None


WITH: Final[Mapping[str, With]] = MappingProxyType(
    {
        "--no-JCM": With("weight_3b", "weight"),
        "--no-ttbar-3b": With("ttbar_3b", False),
        "--ttbar-3b-prescale": With("prescale"),
    }
)


class UsedDataset(NamedTuple):
    """A use of a definition, and what the task that reads it has to say."""

    use: Any
    naming: str | None


def use_dataset(draft: Draft, module: Module, label: str) -> UsedDataset:
    """The use that a dataset comes to."""
    options = options_of(module)
    use: dict[str, Any] = {"use": draft.text(module.name)}
    naming = None
    if options is None:
        if module.words:
            message = f"the options of {module.name} are not known: {' '.join(module.words)}"
            draft.none((label, "words"), module.words[0].span, message)
        return UsedDataset(use["use"], None)
    parsed = parse_words(options, module.words, module.name)
    draft.diagnostics += parsed.diagnostics
    for name, given in parsed.options.items():
        if name in CHANGES:
            CHANGES[name](draft, use, given, (label, name))
        elif name in WITH:
            _add_with(draft, use, given)
        elif name == "--eval-naming":
            naming = draft.text(given.words[0])
        elif name != "--eval-base" or given.words[0] != CHUNKS:
            _not_there(draft, given, label)
    _check_mixed(draft, use, parsed.options, label)
    ordered = {key: use[key] for key in ORDER if key in use}
    return UsedDataset(ordered if len(use) > 1 else use["use"], naming)


def _check_mixed(
    draft: Draft, use: dict[str, Any], options: Mapping[str, Given], label: str
) -> None:
    """Mixed data without samples were none at all; a definition has a sample of its own."""
    given = use.get("with", {})
    if given.get(SOURCES["mixed"]) and SAMPLES not in given:
        given[SOURCES["mixed"]] = False
        name = "--data-source"
        message = f"{name} mixed without --data-mixed-samples: the older tool read no mixed data"
        draft.skip((label, name), options[name].span, message)


def _not_there(draft: Draft, given: Given, label: str) -> None:
    name = given.option.name
    draft.none((label, name), given.span, f"{name} of a dataset has no counterpart")


def _friends(draft: Draft, use: dict[str, Any], given: Given, field: tuple[str, str]) -> None:
    """Friend trees: for all files, or for those with some tags."""
    for words in given.values:
        tags, files = (words[0], words[1:]) if len(words) > 1 else ("", words)
        if tags:
            message = f'friend trees of "{tags}" alone have no counterpart'
            help = "write friends into the samples of a dataset of your own that extends this one"
            draft.none((field[0], f"{field[1]} {tags}"), words[0].span, message, help)
        else:
            use.setdefault("friends", []).extend(draft.text(file) for file in files)


def _max_workers(draft: Draft, use: dict[str, Any], given: Given, field: tuple[str, str]) -> None:
    use["max_workers"] = draft.whole(given.words[0])


def _tree(draft: Draft, use: dict[str, Any], given: Given, field: tuple[str, str]) -> None:
    use["tree"] = draft.text(given.words[0])


def _norm(draft: Draft, use: dict[str, Any], given: Given, field: tuple[str, str]) -> None:
    use["norm"] = draft.number(given.words[0])


def _regions(draft: Draft, use: dict[str, Any], given: Given, field: tuple[str, str]) -> None:
    use.setdefault("with", {})[REGION] = OR.join(draft.text(word) for word in given.words)


def _source(draft: Draft, use: dict[str, Any], given: Given, field: tuple[str, str]) -> None:
    """Which data are there: those that the detector took, mixed ones, or both."""
    for word in given.words:
        if word not in SOURCES:
            draft.none(field, word.span, f"{field[1]} {word} has no counterpart")
    there = {SOURCES[word] for word in given.words if word in SOURCES}
    values = {parameter: parameter in there for parameter in SOURCES.values()}
    use.setdefault("with", {}).update(values)


def _mixed(draft: Draft, use: dict[str, Any], given: Given, field: tuple[str, str]) -> None:
    text = draft.range(given.words, field[1])
    if text is not None:
        use.setdefault("with", {})[SAMPLES] = text


def _add_with(draft: Draft, use: dict[str, Any], given: Given) -> None:
    """Give a parameter of the definition its value."""
    found = WITH[given.option.name]
    value = found.value
    if value is None:
        value = draft.number(given.words[0])
    use.setdefault("with", {})[found.parameter] = value


Change = Callable[[Draft, dict[str, Any], Given, tuple[str, str]], None]
CHANGES: Final[Mapping[str, Change]] = MappingProxyType(
    {
        "--data-mixed-samples": _mixed,
        "--data-source": _source,
        "--friends": _friends,
        "--max-workers": _max_workers,
        "--norm": _norm,
        "--regions": _regions,
        "--tree": _tree,
    }
)
