"""The older tool's settings in, those of hcrc out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ..diagnostics import Span, suggest
from ..schema import load_schemas
from .data import Data, Leaf, Table
from .draft import Draft, Entry
from .modules import Module
from .symbols import Symbol
from .text import Text, fill, stop

SCHEMA: Final = "settings.schema.json"
TIMESTAMP: Final = "timestamp"
OLD_TIMESTAMP: Final = "%Y-%m-%dT%H-%M-%S"
# Later versions called some settings otherwise.
NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"ml.DataLoader": "torch.DataLoader", "ml.Training": "torch.Training"}
)
LEVELS: Final[Mapping[Any, str]] = MappingProxyType(
    {10: "debug", 20: "info", 30: "warning", 40: "error"}
)
OTHERS: Final = ("Multiprocessing", "ResultKey", "ROOT", "save", "load", "torch.KFold")


def convert_settings(draft: Draft, main: Module, modules: list[tuple[str, Module]]) -> None:
    """Add the settings; later ones win, nested mappings merge."""
    merged: dict[str, dict[str, tuple[Span, Data]]] = {}
    for _, module in modules:
        fields = _fields(draft, module)
        merged.setdefault(NAMES.get(str(module.name), str(module.name)), {}).update(fields)
    known = load_schemas()[SCHEMA]["properties"]
    for name, values in merged.items():
        keys = known[name]["properties"] if name in known else {}
        for key, (span, data) in values.items():
            if key not in keys or (name == "monitor.Log" and not _has_level(key, data)):
                _not_there(draft, name, key, span, keys)
                continue
            value = _value(draft, main, name, key, data)
            draft.settings.setdefault(name, []).append(Entry(key, value, span))
    _keep_timestamp(draft)


def merge_data(base: Data, over: Data) -> Data:
    """Two values of one key: nested mappings merge, the later one wins otherwise."""
    if not isinstance(base, Table) or not isinstance(over, Table):
        return over
    fields = dict(base.fields)
    for key, field in over.fields.items():
        value = merge_data(fields[key].value, field.value) if key in fields else field.value
        fields[key] = field._replace(value=value)
    return over._replace(fields=fields)


def _fields(draft: Draft, module: Module) -> dict[str, tuple[Span, Data]]:
    """The values of one setting, by key."""
    if module.name in ("save", "load"):
        message = f"{module.name} keeps Python objects, and has no counterpart"
        draft.none((f"setting {module.name}", "words"), module.name.span, message)
        return {}
    found: dict[str, tuple[Span, Data]] = {}
    for word in module.words:
        data = draft.expander.mapping(word)
        if isinstance(data, Table):
            for key, field in data.fields.items():
                before = found.get(key)
                value = merge_data(before[1], field.value) if before else field.value
                found[key] = (field.key, value)
        elif data is not None and not (isinstance(data, Leaf) and data.value is None):
            message = f"the older tool stops here: {module.name} takes mappings"
            raise stop("legacy-options", message, word.span)
        else:
            message = f"{module.name} takes nothing from this word"
            draft.none((f"setting {module.name}", "words"), word.span, message)
    return found


def _has_level(key: str, data: Data) -> bool:
    """Whether a level of messages is one that has a name."""
    return key != "level" or (isinstance(data, Leaf) and data.value in (*LEVELS, *LEVELS.values()))


def _not_there(draft: Draft, name: str, key: str, span: Span, keys: Mapping[str, Any]) -> None:
    message = f'"{key}" of the setting {name} has no counterpart'
    help = suggest(key, keys) if keys and name not in OTHERS else None
    draft.none((f"setting {name}", key), span, message, help)


def _value(draft: Draft, main: Module, name: str, key: str, data: Data) -> Any:
    """The value of a setting."""
    if (name, key) == ("IO", "output") and isinstance(data, Leaf) and isinstance(data.value, str):
        return _output(draft, main, data)
    if (name, key) == ("monitor.Log", "level") and isinstance(data, Leaf):
        return LEVELS.get(data.value, data.value)
    return draft.data(data)


def _output(draft: Draft, main: Module, data: Leaf) -> str:
    """The folder of the results, which the older tool formats once more."""
    symbols = draft.symbols

    def value(key: str, spec: str, span: Span) -> str:
        if key not in ("user", "main", TIMESTAMP) or spec:
            message = f"the older tool stops here: IO.output knows no {{{key}}}"
            raise stop("legacy-template", message, span, "it knows {user}, {main} and {timestamp}")
        if key == "main":
            return str(main.name)
        return symbols.variable("USER") if key == "user" else symbols.mark(Symbol(key, ""))

    text = data.text or Text(data.value, (0,) * (len(data.value) + 1), data.span.source)
    return draft.template(fill(text, value).chars, data.span)


def _keep_timestamp(draft: Draft) -> None:
    """Write {timestamp} as the older tool did."""
    entries = draft.settings.get("IO", [])
    texts = {entry.key: str(entry.value) for entry in entries}
    if f"{{{TIMESTAMP}}}" in texts.get("output", "") and TIMESTAMP not in texts:
        entries.append(Entry(TIMESTAMP, OLD_TIMESTAMP, None))
