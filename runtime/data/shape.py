"""The shape of JSON that a task reads back: which keys it must have, and what must be in them.

Results may have been edited, or made by something else, so that a task looks before it reads: a
wrong value is a :class:`DataError` that names its place, ``data.models[0].file``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ..errors import DataError
from ..result import RESULT, Result

Json: TypeAlias = Any
Shape: TypeAlias = Any
NAMES: Final = {
    str: "printable text",
    int: "an integer within 2**53",
    float: "a finite number",
    list: "a list",
    dict: "a mapping",
}
MAX_INTEGER: Final = 2**53
MAX_NUMBER: Final = 1e100


@dataclass(frozen=True)
class Each:
    """A mapping with any keys, whose values are all of one shape."""

    shape: Shape


@dataclass(frozen=True)
class Maybe:
    """A value of a shape, or null; where not ``needed``, the key itself may be missing."""

    shape: Shape
    needed: bool = True


@dataclass(frozen=True)
class Either:
    """A text, or a value of a shape."""

    shape: Shape


CLASSIFIER: Final = {
    "name": str,
    "classes": [str],
    "rocs": [
        {
            "name": str,
            "positive": [str],
            "negative": [str],
            "selection": Maybe(str, needed=False),
            "score": Maybe(str, needed=False),
        }
    ],
    "outputs": Each(Either([str])),
}


def check_data(result: Result, shape: Shape) -> None:
    """Raises :class:`DataError` unless a result's own data have the shape."""
    check_shape(result.data, shape, f"{result.folder / RESULT}: data")


def check_shape(value: Json, shape: Shape, where: str) -> None:
    """Raises :class:`DataError` unless the value has the shape.

    A shape is ``str`` (printable), ``int`` (within ±2**53), ``float`` (a finite number, also an
    integer), ``list`` or ``dict`` of anything, a list of the items' shape, a mapping of the keys
    that are needed among others, or :class:`Each`, :class:`Maybe` or :class:`Either`.
    """
    if isinstance(shape, Maybe):
        if value is not None:
            check_shape(value, shape.shape, where)
    elif isinstance(shape, Either):
        check_shape(value, str if isinstance(value, str) else shape.shape, where)
    elif isinstance(shape, list):
        _check_kind(value, list, where)
        for index, item in enumerate(value):
            check_shape(item, shape[0], f"{where}[{index}]")
    elif isinstance(shape, Each):
        _check_kind(value, dict, where)
        for key, item in value.items():
            check_shape(key, str, f"{where}: key")
            check_shape(item, shape.shape, f"{where}.{key}")
    elif isinstance(shape, dict):
        _check_kind(value, dict, where)
        for key, kind in shape.items():
            if key in value:
                check_shape(value[key], kind, f"{where}.{key}")
            elif not isinstance(kind, Maybe) or kind.needed:
                raise DataError(f"{where}: there is no {key}")
    else:
        _check_kind(value, shape, where)


def _check_kind(value: Json, kind: type, where: str) -> None:
    if not _fits(value, kind):
        raise DataError(f"{where}: expected {NAMES[kind]}, got {repr(value)[:60]}")


def _fits(value: Json, kind: type) -> bool:
    if kind in (list, dict):
        return type(value) is kind
    if kind is str:
        return type(value) is str and value.isprintable()
    if kind is int:
        return type(value) is int and abs(value) <= MAX_INTEGER
    number = type(value) in (int, float)
    return number and math.isfinite(value) and abs(value) <= MAX_NUMBER
