"""JSON in, frozen dataclasses out: every key and type has to be right, none is left over.

What is wrong is a :class:`SpecError` that names the place.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from typing import Any, Literal, TypeVar

from .errors import SpecError

T = TypeVar("T")
Json = Any


@functools.cache
def _hints(kind: typing.Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind)


@functools.cache
def _required(kind: Any) -> frozenset[str]:
    """The fields without a default."""
    missing = dataclasses.MISSING
    return frozenset(
        each.name
        for each in dataclasses.fields(kind)
        if each.default is missing and each.default_factory is missing
    )


def read(kind: type[T], value: Json, where: str = "", spec: type | None = None) -> T:
    """The dataclass that a value is; ``spec`` is the one that a union of dataclasses stands for."""
    if not isinstance(value, dict):
        raise SpecError(f"{where or 'job'}: expected a mapping, got {_name(value)}")
    hints = _hints(typing.cast(typing.Hashable, kind))
    dot = f"{where}." if where else ""
    for key in sorted(value.keys() - hints.keys()):
        raise SpecError(f"{dot}{key}: unknown key; known: {', '.join(hints)}")
    for key in sorted(_required(typing.cast(typing.Hashable, kind)) - value.keys()):
        raise SpecError(f"{dot}{key}: missing")
    return kind(**{key: _value(hints[key], item, dot + key, spec) for key, item in value.items()})


def _value(kind: Any, value: Json, where: str, spec: type | None) -> Any:
    if dataclasses.is_dataclass(kind):
        return read(typing.cast(type, kind), value, where, spec)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return _items(args[0], value, where, spec)
    if origin is dict:
        return _mapping(args[1], value, where, spec)
    if origin is Literal:
        return _choice(args, value, where)
    if origin in (types.UnionType, typing.Union):
        if spec is not None and all(map(dataclasses.is_dataclass, args)):
            return read(spec, value, where)
        return _union(args, value, where, spec)
    return _scalar(kind, value, where)


def _items(kind: Any, value: Json, where: str, spec: type | None) -> list[Any]:
    if not isinstance(value, list):
        raise SpecError(f"{where}: expected a list, got {_name(value)}")
    return [_value(kind, item, f"{where}[{index}]", spec) for index, item in enumerate(value)]


def _mapping(kind: Any, value: Json, where: str, spec: type | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SpecError(f"{where}: expected a mapping, got {_name(value)}")
    return {key: _value(kind, item, f"{where}.{key}", spec) for key, item in value.items()}


def _choice(choices: tuple[Any, ...], value: Json, where: str) -> Any:
    if value not in choices:
        raise SpecError(f"{where}: expected one of {', '.join(map(str, choices))}, got {value!r}")
    return value


def _union(kinds: tuple[Any, ...], value: Json, where: str, spec: type | None) -> Any:
    others = [kind for kind in kinds if kind is not type(None)]
    if value is None and len(others) < len(kinds):
        return None
    if len(others) == 1:
        return _value(others[0], value, where, spec)
    lists = [kind for kind in others if typing.get_origin(kind) is list]
    if lists and isinstance(value, list):
        return _value(lists[0], value, where, spec)
    if type(value) not in others:
        _scalar_error(" or ".join(kind.__name__ for kind in others), value, where)
    return value


def _scalar(kind: Any, value: Json, where: str) -> Any:
    if kind is Any:
        return value
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        _scalar_error(kind.__name__, value, where)
    return value


def _scalar_error(expected: str, value: Json, where: str) -> typing.NoReturn:
    raise SpecError(f"{where}: expected {expected}, got {_name(value)}")


def _name(value: Json) -> str:
    return f"{type(value).__name__} {value!r}"[:80]
