"""The columns of a friend tree of scores: views, class probabilities, and what is made of them.

An output is a sum of class probabilities, or an expression over columns that come before it. It is
computed from the float32 values that are written beside it, so that a reader finds the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import SpecError
from .expression import Expression, parse
from .paths import suggest

Column: TypeAlias = NDArray[np.float32]
VIEWS: Final = ("q_1234", "q_1324", "q_1423")


@dataclass(frozen=True)
class Output:
    """A column by its name: the sum of some columns, or an expression over them."""

    name: str
    parts: tuple[str, ...]
    expression: Expression | None

    def compute(self, known: Mapping[str, Column], length: int) -> Column:
        """The column (length) of some events; raises :class:`SpecError`.

        What has no value, or none that float32 can hold, is NaN or infinite.
        """
        if self.expression is None:
            total: Column = np.sum([known[part] for part in self.parts], 0, np.float64)
            return total.astype(np.float32)
        value: NDArray[Any] = self.expression.evaluate(known)
        if value.dtype == np.bool_:
            text = self.expression.text
            raise SpecError(f'output "{self.name}": "{text}" is true or false, not a number')
        with np.errstate(over="ignore"):
            return np.broadcast_to(value, (length,)).astype(np.float32)


def class_column(name: str) -> str:
    """The column with the probability of a class."""
    return f"p_{name}"


def list_columns(classes: Sequence[str], outputs: Mapping[str, Any]) -> list[str]:
    """The names of all columns, in order; raises :class:`SpecError` as :func:`read_outputs`."""
    read = read_outputs(classes, outputs)
    return [*_own_columns(classes), *(output.name for output in read)]


def read_outputs(classes: Sequence[str], outputs: Mapping[str, Any]) -> list[Output]:
    """The outputs in order: names with lists of classes, or with expressions.

    Raises :class:`SpecError` for a name given twice, a sum of nothing or of an unknown class, and
    an expression that is none, or that reads no column before it.
    """
    known = _own_columns(classes)
    found = []
    for name, value in outputs.items():
        if name in known:
            raise SpecError(f'classifier: two outputs are called "{name}"')
        found.append(_read_output(name, value, classes, known))
        known.append(name)
    if len({*known}) < len(known):
        raise SpecError("classifier: two classes are called the same")
    return found


def _own_columns(classes: Sequence[str]) -> list[str]:
    return [*VIEWS, *map(class_column, classes)]


def _read_output(name: str, value: Any, classes: Sequence[str], known: list[str]) -> Output:
    where = f'classifier: output "{name}"'
    if isinstance(value, str):
        try:
            expression = parse(value)
        except SpecError as error:
            raise SpecError(f"{where}: {error}") from error
        for column in expression.branches:
            if column not in known:
                raise SpecError(f'{where}: no column "{column}" before it{suggest(column, known)}')
        return Output(name, expression.branches, expression)
    if not value:
        raise SpecError(f"{where} is a sum of no class")
    for part in value:
        if part not in classes:
            raise SpecError(f'{where}: no class "{part}"; known: {", ".join(classes)}')
    return Output(name, tuple(map(class_column, value)), None)
