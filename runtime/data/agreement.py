"""What several datasets select of one file, and where they have to agree.

In come the selections of each dataset, out comes one truth for each base file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..result import Attempt, Inputs
from .dataset import ID_BRANCHES, INPUT_BRANCHES, SampleFile
from .friend import BaseFile
from .ids import Ids
from .root import open_joined
from .truth import NO_LABEL, Truth

UNSCORED: Final = -1


@dataclass(frozen=True)
class Selected:
    """What a dataset selects of a file: ids and a mask (n), and the weights where it is true.

    ``inputs`` are the files that were read.
    """

    file: SampleFile
    inputs: Inputs
    base: BaseFile
    ids: Ids
    mask: NDArray[np.bool_]
    weight: NDArray[np.float64]
    label: int


@dataclass(frozen=True)
class Known:
    """A base file, how its inputs are read, and the truth of its events, not yet scored."""

    file: SampleFile
    base: BaseFile
    truth: Truth


def join_parts(
    parts: list[Selected], labels: list[str], samples: list[str], attempt: Attempt
) -> Known:
    """A base file as all datasets that read it agree; raises :class:`DataError`."""
    check_group(parts)
    check_inputs(parts, attempt)
    return Known(parts[0].file, parts[0].base, join_truth(parts, labels, samples))


def check_group(parts: list[Selected]) -> None:
    """Raises :class:`DataError` if one file goes by two sample names."""
    first = parts[0].file
    for part in parts[1:]:
        if part.file.sample_id != first.sample_id:
            raise DataError(
                f"{first.path}: is sample {first.sample_id} in {first.dataset} "
                f"and {part.file.sample_id} in {part.file.dataset}"
            )


def check_inputs(parts: list[Selected], attempt: Attempt) -> None:
    """Raises :class:`DataError` if datasets read ids or inputs from different friends."""
    branches = (*ID_BRANCHES, *INPUT_BRANCHES)
    distinct = {tuple(row.source for row in part.file.friends): part.file for part in parts}
    origins: list[dict[str, list[tuple[str, int, int]]]] = []
    for file in distinct.values() if len(distinct) > 1 else ():
        with open_joined(file.path, file.tree, file.friends, branches, attempt.read) as tree:
            origins.append({name: tree.origin(name) for name in branches})
        for name in branches:
            if origins[-1][name] != origins[0][name]:
                raise DataError(
                    f'{file.path}: {parts[0].file.dataset} and {file.dataset} read branch "{name}" '
                    "from different friend trees"
                )


def join_truth(parts: list[Selected], labels: list[str], samples: list[str]) -> Truth:
    """The truth of one file: labels and weights are those of all datasets that select an event.

    Raises :class:`DataError` for an event with two labels or weights.
    """
    ids = parts[0].ids
    label = np.full(len(ids), NO_LABEL, np.int32)
    weight = np.zeros(len(ids))
    for index, part in enumerate(parts):
        own = np.zeros(len(ids))
        own[part.mask] = part.weight
        other = (label != NO_LABEL) & ((label != part.label) | (weight != own))
        wrong = np.flatnonzero(part.mask & other)
        if len(wrong):
            entry = int(wrong[0])
            first = next(row for row in parts[:index] if row.mask[entry])
            found = [
                f"as {labels[row.label]} of weight {value[entry]} by {row.file.dataset}"
                for row, value in ((first, weight), (part, own))
            ]
            event = ids.describe(entry, samples)
            raise DataError(f"{part.file.path}: event {event} is selected {' and '.join(found)}")
        label[part.mask], weight[part.mask] = part.label, part.weight
    sample, scored_by = ids.sample.astype(np.int32), np.full(len(ids), UNSCORED, np.int32)
    selected = label != NO_LABEL
    return Truth(sample, ids.run, ids.lumi, ids.event, label, weight, selected, scored_by)
