"""What the words of the older tool's modules mean: the options of each, read by its own rules.

Words in, options with their values out. Unknown words were ignored, abbreviations accepted, and
the last of several values won; each of that is a warning.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn

from ..diagnostics import Diagnostic, Span, suggest
from .modules import Arg, Module, make_arg
from .text import stop


class Option(NamedTuple):
    """An option of a module: how many words it takes, and what several of it come to.

    ``takes`` is as in argparse, 0 for a switch; ``again`` is ``last``, ``extend`` or ``append``.
    """

    name: str
    kind: str = "text"
    takes: str | int | None = None
    again: str = "last"


class Given(NamedTuple):
    """An option with the values that count; ``append`` has several lists of them."""

    option: Option
    values: tuple[tuple[Arg, ...], ...]
    span: Span

    @property
    def words(self) -> tuple[Arg, ...]:
        """All values in a row."""
        return tuple(word for words in self.values for word in words)


class Parsed(NamedTuple):
    """The options of a module by name, its other words that count, and the warnings."""

    options: Mapping[str, Given]
    words: tuple[Arg, ...]
    diagnostics: tuple[Diagnostic, ...]


LARGEST: Final = 1e18
MAX_WORDS: Final = 10_000
COUNT: Final = "count"
NUMBER: Final = "number"
TEXT: Final = "text"
SWITCH: Final = "switch"
MAPPING: Final = "mapping"
RANGE: Final = "range"
RESULTS: Final = "results"


def _switch(name: str) -> Option:
    return Option(name, SWITCH, 0)


def _words(name: str, kind: str = TEXT, again: str = "last", takes: str = "+") -> Option:
    return Option(name, kind, takes, again)


_DEVICE: Final = _words("--device")
_LOADERS: Final = Option("--max-loaders", COUNT)
_FILES: Final = (
    _words("--friends", again="append"),
    Option("--max-workers", COUNT),
    _switch("--preserve-order"),
    Option("--tree"),
    Option("--test-files", COUNT),
    _words("--branch", again="extend"),
    _words("--preprocess", again="append"),
    _words("--metadata", takes="*"),
)
_TRAIN_FILES: Final = (
    Option("--train-chunksize", COUNT),
    Option("--JCM-weight", TEXT, "+", "append"),
)
_EVAL_FILES: Final = (Option("--eval-base"), Option("--eval-naming"))
_DATA: Final = (
    _words("--data-source", takes="*"),
    _words("--data-mixed-samples", RANGE, "extend"),
    _words("--data-synthetic-samples", RANGE, "extend"),
)
_MC: Final = (_words("--mc-processes", takes="*"),)
_TRAIN: Final = (
    _switch("--no-kfold"),
    Option("--kfolds", COUNT),
    _words("--kfold-offsets", RANGE, "extend"),
    _words("--kfold-seed", TEXT, "extend"),
    _words("--kfold-seed-offsets", RANGE, "extend"),
    Option("--architecture", MAPPING),
    Option("--ghost-batch", MAPPING),
    _words("--training", "schedule"),
    _words("--finetuning", "schedule"),
)
_EVAL: Final = (_words("--models", again="append"), _switch("--no-kfold"))

MAINS: Final[Mapping[str, tuple[Option, ...]]] = MappingProxyType(
    {
        "cache": (
            _LOADERS,
            _switch("--shuffle"),
            Option("--nchunks", COUNT),
            Option("--chunksize", COUNT),
            Option("--compression"),
            Option("--max-writers", COUNT),
            _words("--states", again="extend"),
        ),
        "train": (_LOADERS, _DEVICE, Option("--max-trainers", COUNT)),
        "evaluate": (_DEVICE, Option("--max-evaluators", COUNT)),
        "analyze": (_words(RESULTS, takes="*"),),
    }
)
OTHER_MAINS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "debug": "hcrc check and hcrc expand show what a workflow comes to",
        "expand": "hcrc expand shows what a workflow comes to",
        "help": "hcrc help --all explains every key",
        "init": "hcrc init writes a workflow to start from",
        "monitor": "the setting Monitor names the address that jobs report to",
        "profiler": "the setting monitor.Usage samples what a job uses",
        "workflow": "hcrc import -o FILE writes a workflow",
    }
)
DATASETS: Final[Mapping[str, tuple[Option, ...]]] = MappingProxyType(
    {
        "cache": (Option("--input"), _words("--chunk", RANGE, "extend")),
        "HCR.FvT.Train": (
            *(*_FILES, *_TRAIN_FILES, *_DATA, *_MC),
            _switch("--no-JCM"),
            _switch("--no-SR"),
            _switch("--no-detector-4b"),
            _switch("--no-ttbar-3b"),
            Option("--ttbar-3b-prescale", NUMBER),
        ),
        "HCR.FvT.Eval": (*_FILES, *_EVAL_FILES, *_DATA, *_MC),
        "HCR.SvB.Background": (
            *(*_FILES, *_TRAIN_FILES, *_DATA, *_MC),
            _words("--regions"),
            Option("--norm", NUMBER),
        ),
        "HCR.SvB.Signal": (
            *(*_FILES, *_TRAIN_FILES, *_MC),
            _words("--regions"),
            _switch("--norm-ignore-kl"),
            Option("--norms-by-label", MAPPING),
        ),
        "HCR.SvB.Eval": (*_FILES, *_EVAL_FILES, *_DATA, *_MC),
    }
)
MODELS: Final[Mapping[str, tuple[Option, ...]]] = MappingProxyType(
    {
        f"{classifier}.{stage}": options
        for classifier in ("HCR.SvB.ggF.baseline", "HCR.SvB.ggF.all_kl", "HCR.FvT.baseline")
        for stage, options in (("Train", _TRAIN), ("Eval", _EVAL))
    }
)
ANALYSES: Final[Mapping[str, tuple[Option, ...]]] = MappingProxyType(
    {
        "kfold.Merge": (
            Option("--name"),
            Option("--base"),
            Option("--naming"),
            Option("--step", COUNT),
            Option("--workers", COUNT),
            Option("--stage"),
            _switch("--clean"),
            Option("--optimize-step", COUNT),
            _words("--std", again="extend"),
        ),
        "HCR.LossROC": (),
    }
)
MODULES: Final[Mapping[str, Mapping[str, tuple[Option, ...]]]] = MappingProxyType(
    {"main": MAINS, "dataset": DATASETS, "model": MODELS, "analysis": ANALYSES}
)


def options_of(module: Module) -> tuple[Option, ...] | None:
    """The options of a module; None for one that is not known."""
    return MODULES.get(module.category, {}).get(str(module.name))


def parse_words(options: Sequence[Option], words: Sequence[Arg], name: Arg) -> Parsed:
    """Read words as the older tool did; raises LegacyError where it stopped."""
    if len(words) > MAX_WORDS:
        message = f"{name} has {len(words):,} words: more than {MAX_WORDS:,}"
        raise stop("legacy-options", message, name.span)
    parser = _Parser(name, words)
    by_name = {option.name: option for option in options}
    for option in options:
        parser.add_argument(option.name, action=_Record, nargs=option.takes)
    found: list[tuple[str, list[Arg]]] = []
    namespace = argparse.Namespace(found=found)
    _, rest = parser.parse_known_args(list(words), namespace)
    given: dict[str, Given] = {}
    diagnostics: list[Diagnostic] = []
    for option_name, values in found:
        option = by_name[option_name]
        before = given.get(option_name)
        kept = before.values if before and option.again != "last" else ()
        if before and not kept and option.kind != SWITCH:
            message = f"{option_name} is given again: the last one counted"
            diagnostics.append(Diagnostic("legacy-ignored", message, before.span))
        span = values[0].span if values else _place(words, option_name, name)
        given[option_name] = Given(option, (*kept, tuple(values)), span)
        _check(option, values)
    results = given.pop(RESULTS, None)
    diagnostics += _short(words, by_name)
    diagnostics += _unknown([word for word in rest if isinstance(word, Arg)], name, by_name)
    return Parsed(given, results.words if results else (), tuple(diagnostics))


class _Record(argparse.Action):
    """Notes an option with its values."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add to the options found."""
        name = self.option_strings[0] if self.option_strings else self.dest
        listed = values if isinstance(values, list) else [] if values is None else [values]
        locate = parser.locate if isinstance(parser, _Parser) else list
        namespace.found.append((name, locate(listed)))


class _Parser(argparse.ArgumentParser):
    """The parser of a module: unknown words stay, abbreviations count, errors are diagnostics."""

    def __init__(self, name: Arg, words: Sequence[Arg]) -> None:
        super().__init__(prog=str(name), add_help=False, argument_default=argparse.SUPPRESS)
        self._name = name
        self._words = words

    def locate(self, values: Sequence[Any]) -> list[Arg]:
        """Values as words: one behind an = is part of a word."""
        return [value if isinstance(value, Arg) else self._behind(value) for value in values]

    def _behind(self, value: str) -> Arg:
        whole = next((word for word in self._words if word.endswith(f"={value}")), self._name)
        at = whole.marked.chars.find("=") + 1
        if whole is self._name or whole.symbolic:
            return make_arg(value, whole.marked.inner(value, 0, 0))
        return make_arg(value, whole.marked.part(at, len(whole.marked.chars)))

    def error(self, message: str) -> NoReturn:
        """Say where the older tool stopped."""
        named = (word.span for word in self._words if word and word in message)
        span = next(named, self._name.span)
        text = f"the older tool stops here: {self._name}: {message}"
        raise stop("legacy-options", text, span)


def _check(option: Option, values: Sequence[Arg]) -> None:
    """Raise LegacyError for a value that the older tool stops at."""
    for value in values if option.kind in (COUNT, NUMBER) else ():
        try:
            number = float(value) if option.kind == NUMBER else int(value)
        except ValueError:
            number = 0
        if not 0 < number < LARGEST:
            what = "a number above 0" if option.kind == NUMBER else "a whole number from 1"
            message = f"the older tool stops here: {option.name} takes {what}"
            raise stop("legacy-options", message, value.span)


def _place(words: Sequence[Arg], option: str, name: Arg) -> Span:
    """Where an option without values is written."""
    found = (word.span for word in words if len(word) > 2 and option.startswith(word))
    return next(found, name.span)


def _short(words: Sequence[Arg], options: Mapping[str, Option]) -> list[Diagnostic]:
    """Abbreviations among the words."""
    found = []
    for word in words:
        head = word.partition("=")[0]
        meant = [name for name in options if name.startswith(head)]
        if len(head) > 2 and head.startswith("--") and head not in options and len(meant) == 1:
            message = f'the older tool took "{head}" for {meant[0]}'
            found.append(Diagnostic("legacy-abbreviation", message, word.span))
    return found


def _unknown(rest: list[Arg], name: Arg, options: Mapping[str, Option]) -> list[Diagnostic]:
    """Words that the older tool did not look at."""
    groups: list[list[Arg]] = []
    for word in rest:
        if groups and not word.startswith("-"):
            groups[-1].append(word)
        else:
            groups.append([word])
    found = []
    for group in groups:
        message = f'{name} ignored "{" ".join(group)}"'
        head = group[0].partition("=")[0]
        help = suggest(head, options) if head.startswith("-") and options else None
        found.append(Diagnostic("legacy-ignored", message, group[0].span, help))
    return found
