"""The proof of an import: the older tool's fields beside those that the workflow comes back to.

One side is the old files, expanded by the old rules; the other is the text of the new workflow,
parsed and bound with the same values. Both are read by the same parsers of options.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from ..diagnostics import Diagnostic, Source
from .back import read_back
from .data import key_text, plain
from .draft import Draft, Field, intervals
from .expand import Expander
from .modules import CATEGORIES, FLAG, MAIN, SCHEME, Arg, make_arg
from .old_settings import NAMES, OLD_TIMESTAMP, TIMESTAMP
from .options import COUNT, MAPPING, MODULES, NUMBER, RANGE, SWITCH, Given, parse_words
from .oracle import Words, expand_again
from .text import Text
from .training import ARCHITECTURE, DEFAULT_KFOLDS, GHOST, SCHEDULE

SAME: Final = "same"
DIFFERS: Final = "differs"
NO_COUNTERPART: Final = "no counterpart"
IGNORED: Final = "ignored"
ADDED: Final = "added"
WIDTH: Final = 44
ALIASES: Final = {"--architecture": ARCHITECTURE, "--ghost-batch": GHOST, "schedule": SCHEDULE}
DEFAULTS: Final[dict[tuple[str, str], Any]] = {
    ("setting IO", TIMESTAMP): OLD_TIMESTAMP,
    ("", "--eval-base"): ["chunks"],
    ("", "--base"): ["chunks"],
}


class Row(NamedTuple):
    """A field of both sides; None where a side has it not."""

    field: str
    old: Any
    new: Any
    result: str


class _Absent:
    """What a side has where it has nothing."""

    def __repr__(self) -> str:
        return "-"


ABSENT: Final = _Absent()


def compare(draft: Draft, text: str, folder: Path) -> tuple[list[Row], list[Diagnostic]]:
    """The comparison of an import with the text of its workflow, or why there is none."""
    expander, symbols = draft.expander, draft.symbols
    used = [each for each in symbols.parameters.values() if each.used]
    values = {each.name: each.value for each in used if not each.given}
    environment = _Environment(symbols.environment)
    modules, diagnostics = read_back(text, values, environment, folder)
    if diagnostics:
        return [], diagnostics
    before = list(expander.diagnostics)
    old = _Fields(expander, expand_again(expander)).fields
    new = _Fields(expander, modules).fields
    expander.diagnostics[:] = before
    return list(_rows(draft, old, new)), []


def render(rows: Iterable[Row]) -> str:
    """The comparison as a table."""
    head = ("field", "older tool", "workflow", "result")
    lines = [head, *((row.field, _show(row.old), _show(row.new), row.result) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(4)]
    text = ["  ".join(f"{part:{width}}" for part, width in zip(line, widths, strict=True))
            for line in lines]  # fmt: skip
    return "".join(f"{line.rstrip()}\n" for line in text)


def summarize(rows: Iterable[Row]) -> str:
    """How many fields have which result."""
    results = [row.result for row in rows]
    order = (SAME, DIFFERS, NO_COUNTERPART, IGNORED, ADDED)
    counts = [f"{results.count(each)} {each}" for each in order if each in results]
    return ", ".join(counts)


class _Environment(dict[str, str]):
    """Variables of the environment; one that is not set stands for its own name."""

    def __missing__(self, name: str) -> str:
        return name

    def __contains__(self, name: object) -> bool:
        return True


class _Fields:
    """The fields of modules: label and option, with a value that can be compared."""

    def __init__(self, expander: Expander, modules: list[Words]) -> None:
        self.expander = expander
        self.main = modules[0].name
        self.fields: dict[Field, Any] = {}
        self.models = 0
        self.kfolds = DEFAULT_KFOLDS
        for label, module in _labels(modules):
            self.add(label, module)

    def add(self, label: str, module: Words) -> None:
        """Add the fields of a module."""
        if module.category == "setting":
            self.setting(module)
            return
        if module.category == FLAG:
            self.fields[FLAG, " ".join([module.name, *module.words])] = True
            return
        if module.name:
            self.fields[label, "module"] = module.name
        options = MODULES[module.category].get(module.name)
        if module.category == "model" and not module.name:
            options = MODULES["model"]["HCR.FvT.baseline.Eval"]
        if options is None:
            if module.words:
                self.fields[label, "words"] = module.words
            return
        parsed = parse_words(options, list(map(_arg, module.words)), _arg(module.name))
        if parsed.words:
            self.fields[label, "results"] = list(parsed.words)
        kfolds = parsed.options.get("--kfolds")
        self.kfolds = int(kfolds.words[0]) if kfolds else DEFAULT_KFOLDS
        for option, given in parsed.options.items():
            self.option(label, option, given)

    def option(self, label: str, option: str, given: Given) -> None:
        """Add the fields of an option."""
        kind = given.option.kind
        words = list(map(str, given.words))
        if kind == SWITCH:
            self.fields[label, option] = True
        elif kind == COUNT:
            self.fields[label, option] = int(words[0])
        elif kind == NUMBER:
            self.fields[label, option] = float(words[0])
        elif kind == RANGE:
            end = self.kfolds if option == "--kfold-offsets" else None
            self.fields[label, option] = intervals(given.words, end)[0]
        elif kind == MAPPING:
            self.mapping(label, option, words, ALIASES.get(option, {}))
        elif kind == "schedule":
            self.fields[label, option] = words[0]
            self.mapping(label, option, words[1:], SCHEDULE)
        else:
            self.texts(label, option, given, words)

    def texts(self, label: str, option: str, given: Given, words: list[str]) -> None:
        """Add the fields of an option that takes texts."""
        if option == "--friends":
            for group in given.values:
                tags, files = (group[0], group[1:]) if len(group) > 1 else ("", group)
                key = (label, f"{option} {tags}".strip())
                self.fields[key] = [*self.fields.get(key, []), *map(str, files)]
        elif option == "--models":
            for group in given.values:
                for path in group[1:]:
                    self.models += 1
                    self.fields["model", f"{option} ({self.models})"] = [str(group[0]), str(path)]
        elif option == "--states":
            for word in words:
                self.fields[label, f"{option} {word}"] = True
        elif option in ("--data-source", "--device"):
            self.fields[label, option] = sorted(set(words))
        else:
            self.fields[label, option] = words

    def mapping(self, label: str, option: str, words: list[str], names: Mapping[str, str]) -> None:
        """Add a field for each key of a mapping."""
        canonical = {names[old]: old for old in reversed(list(names))}
        for word in words:
            for key, value in (self.plain(word) or {}).items():
                name = canonical[names[key]] if key in names else key_text(key)
                self.fields[label, f"{option} {name}"] = value

    def setting(self, module: Words) -> None:
        """Add the values of a setting, over those before."""
        name = NAMES.get(module.name, module.name)
        if name in ("save", "load"):
            self.fields[f"setting {name}", "words"] = module.words
            return
        for word in module.words:
            for key, value in (self.plain(word) or {}).items():
                if (name, key) == ("IO", "output") and isinstance(value, str):
                    value = self.output(value)
                field = (f"setting {name}", key_text(key))
                self.fields[field] = _merged(self.fields.get(field), value)

    def output(self, value: str) -> str:
        """The folder of the results, formatted once more."""
        user = self.expander.symbols.environment.get("USER", "USER")
        return value.format(user=user, main=self.main, timestamp=f"{{{TIMESTAMP}}}")

    def plain(self, word: str) -> Any:
        """What a word holds."""
        if word.startswith(f"json{SCHEME}"):
            return json.loads(word.partition(SCHEME)[2])
        if SCHEME not in word:
            return yaml.safe_load(word)
        data = self.expander.mapping(_arg(word))
        return None if data is None else plain(data)


def _rows(draft: Draft, old: dict[Field, Any], new: dict[Field, Any]) -> Iterable[Row]:
    for field in dict.fromkeys((*old, *new)):
        left, right = old.get(field, ABSENT), new.get(field, ABSENT)
        default = DEFAULTS.get(field, DEFAULTS.get(("", field[1]), ABSENT))
        left, right = _or(left, default), _or(right, default)
        yield Row(" ".join(field), left, right, _result(draft, field, left, right))


def _or(value: Any, default: Any) -> Any:
    return default if value is ABSENT else value


def _result(draft: Draft, field: Field, left: Any, right: Any) -> str:
    whole, option = (field[0], ""), (field[0], field[1].partition(" ")[0])
    if same(left, right):
        return SAME
    if field in draft.skipped or whole in draft.skipped:
        return IGNORED
    listed = draft.unmatched.intersection((field, whole, option))
    if listed or _unmatched_stage(draft, field, left):
        return NO_COUNTERPART
    return ADDED if field in draft.added and left is ABSENT else DIFFERS


def _unmatched_stage(draft: Draft, field: Field, left: Any) -> bool:
    """Whether the stage of a model is one that has no counterpart."""
    is_model = field[0] == "model" and isinstance(left, list)
    return is_model and ("model", f"--models {left[0]}") in draft.unmatched


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal; true is not 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _labels(modules: list[Words]) -> list[tuple[str, Words]]:
    """Modules with labels of their own, as the import calls them."""
    found: list[tuple[str, Words]] = []
    seen: dict[str, int] = {}
    for category in (MAIN, *CATEGORIES, FLAG):
        for module in modules:
            if module.category == category:
                label = MAIN if category == MAIN else f"{category} {module.name}"
                seen[label] = seen.get(label, 0) + 1
                found.append((f"{label} ({seen[label]})" if seen[label] > 1 else label, module))
    return found


def _merged(base: Any, over: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return base | {key: _merged(base.get(key), value) for key, value in over.items()}


def _arg(word: str) -> Arg:
    return make_arg(word, Text.whole(Source("older", word)))


def _show(value: Any) -> str:
    if value is ABSENT:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = "".join([each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text])
    return text if len(text) <= WIDTH else f"{text[: WIDTH // 2 - 1]}…{text[-WIDTH // 2 :]}"
