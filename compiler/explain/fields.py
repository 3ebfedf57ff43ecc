"""Two specs of one kind of task in, the fields that decide the results and differ out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ..diagnostics import show
from ..hashing import result_part
from ..schema import load_schemas
from ..values import Json

ABSENT: Final = "nothing"
NAMES: Final = (("name",), ("sample", "year"))
INPUTS: Final = "inputs"
PIECE: Final = frozenset({"text", "input", "output"})
REFERENCE: Final = frozenset({"cell", "result", "hash"})


class FieldChange(NamedTuple):
    """A field of a spec by its path, as it was and as it is; :data:`ABSENT` if it is not there."""

    path: str
    before: Json
    after: Json

    def __str__(self) -> str:
        before, after = (value if value == ABSENT else _show(value) for value in self[1:])
        return f"{self.path}: {before} → {after}"


def _show(value: Json) -> str:
    """A value in a few words; a command line as a workflow has it."""
    if not isinstance(value, list) or not value or not all(map(_is_word, value)):
        return show(value)
    words = ["".join(map(_show_piece, word)) for word in value]
    return " ".join(show(word) if not word or " " in word else word for word in words)


def _is_word(value: Json) -> bool:
    return isinstance(value, list) and all(
        isinstance(piece, dict) and len(piece) == 1 and piece.keys() <= PIECE for piece in value
    )


def _show_piece(piece: dict[str, Json]) -> str:
    ((kind, text),) = piece.items()
    return str(text) if kind == "text" else f"{{{text}}}"


def references(spec: Mapping[str, Json]) -> Iterator[Json]:
    """The references to other cells in a spec."""
    for key, value in spec.items():
        groups = value.values() if key == INPUTS and isinstance(value, dict) else (value,)
        for group in groups:
            for item in group if isinstance(group, list) else (group,):
                if isinstance(item, dict) and item.keys() == REFERENCE:
                    yield item


def compare_specs(
    task: str, before: Mapping[str, Json], after: Mapping[str, Json]
) -> list[FieldChange]:
    """The fields that differ, but for references to other cells."""
    fields = load_schemas()["job.schema.json"]["$defs"][task]["properties"]
    found: list[FieldChange] = []
    for key in sorted({*before, *after}):
        schema = fields.get(key, {})
        default = schema.get("default", ABSENT)
        old, new = before.get(key, default), after.get(key, default)
        if old == new and type(old) is type(new):
            continue
        refers = any(True for value in (old, new) for _ in references({key: value}))
        if schema and not refers:
            parts = result_part(old, schema), result_part(new, schema)
            found += _compare(key, *parts)
    return found


def _compare(path: str, before: Json, after: Json) -> Iterator[FieldChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _mappings(f"{path}.", "", before, after)
    elif _are_mappings(before) and _are_mappings(after):
        old, new = _by_name(before), _by_name(after)
        if old is None or new is None:
            old, new = _by_place(before), _by_place(after)
        yield from _mappings(f"{path}[", "]", old, new)
        kept, now = [name for name in old if name in new], [name for name in new if name in old]
        if kept != now:
            yield FieldChange(path, ", ".join(kept), ", ".join(now))
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield FieldChange(path, before, after)


def _mappings(opening: str, closing: str, before: Json, after: Json) -> Iterator[FieldChange]:
    for key in dict.fromkeys([*before, *after]):
        path = f"{opening}{key}{closing}"
        if key in before and key in after:
            yield from _compare(path, before[key], after[key])
        else:
            yield FieldChange(path, before.get(key, ABSENT), after.get(key, ABSENT))


def _are_mappings(value: Json) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _by_name(items: Sequence[Json]) -> dict[str, Json] | None:
    """Items by what they are called; None if that does not tell them apart."""
    for keys in NAMES:
        if all(key in item for item in items for key in keys):
            named = {"/".join(str(item[key]) for key in keys): item for item in items}
            return named if len(named) == len(items) else None
    return None


def _by_place(items: Sequence[Json]) -> dict[str, Json]:
    return {str(place): item for place, item in enumerate(items)}
