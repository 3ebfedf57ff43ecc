"""Two specs of one kind of task in, the fields that decide the results and differ out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

Json = Any
ABSENT: Final = "nothing"
SHOWN: Final = 120
FEW: Final = 6
REFERENCE: Final = frozenset({"cell", "result", "hash"})
PIECE: Final = frozenset({"text", "input", "output"})
NAMES: Final = (("cell",), ("name",), ("sample", "year"))


@dataclass(frozen=True)
class FieldChange:
    """A field of a spec by its path, ``training.epochs`` or ``datasets[Signal].norm``.

    ``before`` and ``after`` are as it was and as it is; :data:`ABSENT` where it is not.
    """

    path: str
    before: Json
    after: Json

    def __str__(self) -> str:
        if isinstance(self.before, list) and isinstance(self.after, list):
            return f"{self.path}: {_show_lists(self.before, self.after)}"
        return f"{self.path}: {show(self.before)} → {show(self.after)}"


def compare_specs(task: str, before: Json, after: Json) -> list[FieldChange]:
    """The fields that differ, of those whose role in ``schemas/job.schema.json`` is ``result``."""
    text = resources.files("hcrc.schemas").joinpath("job.schema.json").read_text("utf-8")
    definitions = json.loads(text)["$defs"]
    return list(_Comparison(definitions).values("", before, after, definitions[task]))


class _Comparison:
    def __init__(self, definitions: Json) -> None:
        self._definitions = definitions

    def values(self, path: str, before: Json, after: Json, schema: Json) -> Iterator[FieldChange]:
        """The differences of two values with one schema."""
        schema = self._resolve(schema, after if after is not None else before)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from self._mappings(path, before, after, schema)
        elif isinstance(before, list) and isinstance(after, list) and _are_mappings(before, after):
            yield from self._lists(path, before, after, schema.get("items", {}))
        elif before != after or isinstance(before, bool) != isinstance(after, bool):
            yield FieldChange(path, before, after)

    def _mappings(
        self, path: str, before: Json, after: Json, schema: Json
    ) -> Iterator[FieldChange]:
        fields = schema.get("properties", {})
        for key in sorted({*before, *after}):
            field = fields.get(key, {})
            if field.get("x-role", "result") != "result":
                continue
            at = f"{path}.{key}" if path else key
            if (key in before and key in after) or "default" in field:
                default = field.get("default")
                old, new = before.get(key, default), after.get(key, default)
                yield from self.values(at, old, new, field)
            else:
                yield FieldChange(at, before.get(key, ABSENT), after.get(key, ABSENT))

    def _lists(
        self, path: str, before: list[Json], after: list[Json], schema: Json
    ) -> Iterator[FieldChange]:
        """Items by their names, or by their places where a name is not there once."""
        old, new = _by_name(before), _by_name(after)
        if old is None or new is None:
            old, new = _by_place(before), _by_place(after)
        for name in dict.fromkeys([*old, *new]):
            at = f"{path}[{name}]"
            if name in old and name in new:
                yield from self.values(at, old[name], new[name], schema)
            else:
                yield FieldChange(at, old.get(name, ABSENT), new.get(name, ABSENT))
        kept, now = [name for name in old if name in new], [name for name in new if name in old]
        if kept != now:
            yield FieldChange(path, ", ".join(kept), ", ".join(now))

    def _resolve(self, schema: Json, value: Json) -> Json:
        for option in schema.get("anyOf", []):
            if (option.get("type") == "null") == (value is None):
                schema = option
        if "$ref" in schema:
            return self._definitions[schema["$ref"].rpartition("/")[2]]
        return schema


def show(value: Json) -> str:
    """A value in a few words of JSON; the id of a cell that is referred to, words of a command."""
    if isinstance(value, str) and value == ABSENT:
        return value
    if isinstance(value, dict) and value.keys() == REFERENCE:
        return str(value["cell"])
    words = _command_words(value)
    text = json.dumps(value, ensure_ascii=False) if words is None else " ".join(words)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _command_words(value: Json) -> list[str] | None:
    """The words of a command line as a workflow has them; None for any other value."""
    if not isinstance(value, list) or not value or not all(map(_is_word, value)):
        return None
    words = ["".join(map(_show_piece, word)) for word in value]
    return [json.dumps(word) if not word or " " in word else word for word in words]


def _is_word(value: Json) -> bool:
    return isinstance(value, list) and all(
        isinstance(piece, dict) and len(piece) == 1 and piece.keys() <= PIECE for piece in value
    )


def _show_piece(piece: dict[str, Json]) -> str:
    ((kind, text),) = piece.items()
    return str(text) if kind == "text" else f"{{{text}}}"


def _show_lists(before: list[Json], after: list[Json]) -> str:
    """What was added to a list and taken out of it; both lists, where that is not all."""
    added = [f"+ {show(item)}" for item in after if item not in before]
    gone = [f"- {show(item)}" for item in before if item not in after]
    if _command_words(after) or len(before) <= FEW or not added + gone:
        return f"{show(before)} → {show(after)}"
    rest = len(added + gone) - FEW
    return ", ".join((added + gone)[:FEW]) + (f", and {rest} more" if rest > 0 else "")


def _are_mappings(*lists: Sequence[Json]) -> bool:
    items = [item for values in lists for item in values]
    return bool(items) and all(isinstance(item, dict) for item in items)


def _by_name(items: Sequence[Json]) -> dict[str, Json] | None:
    """Items by what they are called; None if that does not tell them apart."""
    for keys in NAMES:
        if all(key in item for item in items for key in keys):
            named = {"/".join(str(item[key]) for key in keys): item for item in items}
            return named if len(named) == len(items) else None
    return None


def _by_place(items: Sequence[Json]) -> dict[str, Json]:
    return {str(place): item for place, item in enumerate(items)}
