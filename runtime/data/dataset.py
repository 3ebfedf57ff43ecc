"""Datasets: which events of which files, with which weight, and what the network sees of them.

A dataset's files are read in steps of consecutive entries, so that memory does not grow with a
file; nothing that is computed here depends on the size of a step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError, SpecError
from ..nn.prepare import COLUMNS, prepare
from ..spec import Dataset, Norm, Sample
from ..storage import Place
from .expression import Expression, parse
from .friend import FriendTree, read_friend
from .ids import Ids
from .paths import resolve
from .prescale import Thinned, Thinning, make_thinning
from .root import JoinedTree, Values

PREPARE_EVENTS: Final = 2048
KINEMATICS: Final = ("pt", "eta", "phi", "mass")
CAN_JETS: Final = 4
NOT_CAN_JETS: Final = 8
ABSENT: Final = -1.0
CAN_JET_BRANCHES: Final = tuple(f"CanJet_{name}" for name in KINEMATICS)
NOT_CAN_JET_BRANCHES: Final = tuple(f"NotCanJet_{name}" for name in (*KINEMATICS, "isSelJet"))
ANCILLARY_BRANCHES: Final = ("nSelJets", "xW", "xbW")
INPUT_BRANCHES: Final = CAN_JET_BRANCHES + NOT_CAN_JET_BRANCHES + ANCILLARY_BRANCHES
ID_BRANCHES: Final = ("run", "luminosityBlock", "event")
LEAST_SEL_JETS: Final = 4

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SampleFile:
    """One file of a sample, as a dataset reads it, together with at most ``workers`` - 1 others."""

    dataset: str
    sample: Sample
    path: Place
    tree: str
    friends: list[FriendTree]
    selection: Expression | None
    weight: Expression
    year: int
    workers: int
    columns: Mapping[str, Expression] = field(default_factory=dict)
    thinning: Thinning | None = None

    @property
    def sample_id(self) -> str:
        """The sample's part of an event's id: ``ZZ4b/UL18``."""
        return f"{self.sample.sample}/{self.sample.year}"

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches that the selection and the weight read."""
        return (self.selection.branches if self.selection else ()) + self.weight.branches

    @property
    def column_branches(self) -> tuple[str, ...]:
        """The branches that the columns read, each once."""
        read = [name for each in self.columns.values() for name in each.branches]
        return tuple(dict.fromkeys(read))


def list_files(dataset: Dataset) -> list[SampleFile]:
    """All files of a dataset, in order; raises :class:`SpecError` and :class:`DataError`."""
    texts = dict.fromkeys(text for sample in dataset.samples for text in sample.friends)
    friends = {text: read_friend(text, dataset.base) for text in texts}
    files: list[SampleFile] = []
    for sample in dataset.samples:
        files += _sample_files(dataset, sample, [friends[text] for text in sample.friends])
    return files


def _sample_files(
    dataset: Dataset, sample: Sample, friends: list[FriendTree]
) -> Iterator[SampleFile]:
    where = f'dataset "{dataset.name}": sample {sample.sample}/{sample.year}'
    selection = _parse(sample.selection, f"{where}: selection") if sample.selection else None
    weight = _parse(sample.weight, f"{where}: weight")
    columns = {
        name: _parse(text, f"{where}: column {name}") for name, text in sample.columns.items()
    }
    year = two_digits(sample.year, where)
    try:
        thinning = make_thinning(sample.prescale)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error
    for file in sample.files:
        path = resolve(file, dataset.base)
        yield SampleFile(
            dataset.name,
            sample,
            path,
            dataset.tree,
            friends,
            selection,
            weight,
            year,
            dataset.max_workers,
            columns,
            thinning,
        )


def _parse(text: str, where: str) -> Expression:
    try:
        return parse(text)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error


def room_for(file: SampleFile) -> tuple[str, int]:
    """What a file is one of, and how many of that are read at the same time."""
    return file.dataset, file.workers


def two_digits(year: str, where: str) -> int:
    """The year as the network takes it: 16 for ``UL16_preVFP``, 18 for ``2018``."""
    numbers = re.findall(r"\d{2,}", year)
    if len(numbers) != 1:
        raise SpecError(f'{where}: the year "{year}" does not hold one number of two digits')
    return int(numbers[0][-2:])


def steps(entries: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges of at most ``size`` entries that make up a file."""
    for start in range(0, entries, size):
        yield start, min(start + size, entries)


def select(tree: JoinedTree, file: SampleFile, start: int, stop: int) -> tuple[Mask, Floats]:
    """Which entries pass the selection, and the weights (float64) of those that do.

    Raises :class:`DataError` for a NaN or infinity in a branch of the selection, whatever entry
    it is in, as it would make comparisons false; in a branch of the weight, or in the weight
    itself, only for selected entries.
    """
    columns = {name: tree.read_flat(name, start, stop) for name in dict.fromkeys(file.branches)}
    selected = np.ones(stop - start, np.bool_)
    if file.selection is not None:
        for branch in file.selection.branches:
            check_finite(tree, branch, columns[branch], selected, start)
        selected = _select(file, file.selection, columns, stop - start)
    for branch in file.weight.branches:
        check_finite(tree, branch, columns[branch], selected, start)
    weight = _evaluate(file, "weight", file.weight, columns, stop - start)
    if weight.dtype == np.bool_:
        raise SpecError(
            f'dataset "{file.dataset}": sample {file.sample_id}: weight '
            f'"{file.weight.text}" is true or false for each event, not a number'
        )
    _check_weight(tree, file, weight, selected, start)
    return selected, weight[selected].astype(np.float64)


def thin(tree: JoinedTree, file: SampleFile, start: int, stop: int) -> Thinned:
    """What the prescale of a file does with entries; without one all of them are kept."""
    if file.thinning is None:
        nothing = np.zeros(stop - start, np.bool_)
        return Thinned(nothing, ~nothing, np.zeros(stop - start))
    branches = dict.fromkeys(file.thinning.branches)
    columns = {name: tree.read_flat(name, start, stop) for name in branches}
    everything = np.ones(stop - start, np.bool_)
    for branch, column in columns.items():
        check_finite(tree, branch, column, everything, start)
    return file.thinning.apply(columns)


def read_columns(
    tree: JoinedTree, file: SampleFile, start: int, stop: int, kept: Mask
) -> dict[str, Values]:
    """The columns of the kept entries, by name: bool or float64, of which NaN is a value."""
    read = {name: tree.read_flat(name, start, stop) for name in file.column_branches}
    found = {}
    for name, expression in file.columns.items():
        value = _evaluate(file, f"column {name}", expression, read, stop - start)[kept]
        found[name] = value if value.dtype == np.bool_ else value.astype(np.float64)
    return found


def join_columns(parts: Sequence[tuple[int, Mapping[str, Values]]]) -> dict[str, Values]:
    """The columns of parts with so many events each: float64, NaN where a part has none.

    Columns that are true or false in every part stay so.
    """
    parts = [part for part in parts if part[0]]
    joined = {}
    for name in dict.fromkeys(name for _, columns in parts for name in columns):
        values = [columns.get(name, np.full(count, np.nan)) for count, columns in parts]
        alike = all(value.dtype == np.bool_ for value in values)
        joined[name] = np.concatenate(
            values if alike else [value.astype(np.float64) for value in values]
        )
    return joined


def _select(
    file: SampleFile, selection: Expression, columns: Mapping[str, Values], length: int
) -> Mask:
    value = _evaluate(file, "selection", selection, columns, length)
    if value.dtype != np.bool_:
        raise SpecError(
            f'dataset "{file.dataset}": sample {file.sample_id}: selection '
            f'"{selection.text}" is not true or false for each event but {value.dtype}'
        )
    return value


def _evaluate(
    file: SampleFile, kind: str, expression: Expression, columns: Mapping[str, Values], length: int
) -> Values:
    try:
        return np.broadcast_to(expression.evaluate(columns), (length,))
    except SpecError as error:
        raise SpecError(
            f'dataset "{file.dataset}": sample {file.sample_id}: {kind}: {error}'
        ) from error


def _check_weight(
    tree: JoinedTree, file: SampleFile, weight: Values, selected: Mask, start: int
) -> None:
    wrong = selected & ~np.isfinite(weight)
    if wrong.any():
        entry = int(np.flatnonzero(wrong)[0])
        place = f'weight "{file.weight.text}" entry {start + entry}'
        raise DataError(f"{tree}: {place}: {weight[entry]}")


def check_finite(
    tree: JoinedTree, branch: str, values: NDArray[Any], kept: Mask, start: int
) -> None:
    """Raises :class:`DataError` for the first kept entry, one row each, with a NaN or infinity."""
    if values.dtype.kind != "f":
        return
    good = np.isfinite(values)
    bad = kept & ~(good if good.ndim == 1 else good.all(axis=1))
    if bad.any():
        entry = int(np.flatnonzero(bad)[0])
        value = values[entry][~good[entry]]
        raise tree.error(branch, str(np.ravel(value)[0]), start + entry)


def read_ids(tree: JoinedTree, sample: int, start: int, stop: int) -> Ids:
    """The ids of the entries; raises :class:`DataError` for one that int64 cannot hold."""
    columns = [_read_id(tree, branch, start, stop) for branch in ID_BRANCHES]
    return Ids(np.full(stop - start, sample, np.int64), *columns)


def _read_id(tree: JoinedTree, branch: str, start: int, stop: int) -> NDArray[np.int64]:
    values = tree.read_flat(branch, start, stop)
    if values.dtype.kind not in "iu":
        raise tree.error(branch, f"{values.dtype}, where integers are needed")
    limit = np.iinfo(np.int64).max
    above = values > limit
    if above.any():
        entry = int(np.flatnonzero(above)[0])
        raise tree.error(branch, f"{values[entry]} is above {limit}", start + entry)
    return values.astype(np.int64)


def read_inputs(tree: JoinedTree, year: int, start: int, stop: int, kept: Mask) -> Tensor:
    """The prepared inputs of the kept entries, (n, COLUMNS) float32.

    Raises :class:`DataError` for an entry without four CanJets, with lists of unequal length, or
    with a value that is NaN or infinite.
    """
    canjet = np.stack([_read_can_jets(tree, b, start, stop, kept) for b in CAN_JET_BRANCHES], 1)
    notcanjet = _read_not_can_jets(tree, start, stop, kept)
    ancillary = np.stack([_read_number(tree, b, start, stop, kept) for b in ANCILLARY_BRANCHES], 1)
    few = kept & (ancillary[:, 0] < LEAST_SEL_JETS)
    if few.any():
        entry = int(np.flatnonzero(few)[0])
        reason = f"{ancillary[entry, 0]:g} is below {LEAST_SEL_JETS}"
        raise tree.error("nSelJets", reason, start + entry)
    years = np.full((len(kept), 1), float(year))
    arrays = (canjet, notcanjet, np.concatenate([years, ancillary], axis=1))
    tensors = [torch.from_numpy(array[kept]) for array in arrays]
    entries = start + np.flatnonzero(kept)
    prepared = torch.empty(len(entries), COLUMNS)
    for at in range(0, len(entries), PREPARE_EVENTS):
        batch = slice(at, at + PREPARE_EVENTS)
        prepared[batch] = _prepare(tree, tensors, entries, at, PREPARE_EVENTS)
    return prepared


def _prepare(
    tree: JoinedTree, tensors: list[Tensor], entries: NDArray[np.int64], first: int, size: int
) -> Tensor:
    """Prepared events of a batch; where one of them fails, it is looked for one by one."""
    canjet, notcanjet, ancillary = (tensor[first : first + size] for tensor in tensors)
    try:
        return prepare(canjet, notcanjet, ancillary)
    except DataError as error:
        if size > 1:
            for at in range(first, first + len(canjet)):
                _prepare(tree, tensors, entries, at, 1)
        reason = str(error).partition(": ")[2]
        raise DataError(f"{tree}: entry {entries[first]}: {reason}") from error


def _read_number(tree: JoinedTree, branch: str, start: int, stop: int, kept: Mask) -> Floats:
    values = tree.read_flat(branch, start, stop).astype(np.float64)
    check_finite(tree, branch, values, kept, start)
    return values


def _read_can_jets(tree: JoinedTree, branch: str, start: int, stop: int, kept: Mask) -> Floats:
    lists = tree.read_lists(branch, start, stop)
    wrong = kept & (lists.counts != CAN_JETS)
    if wrong.any():
        entry = int(np.flatnonzero(wrong)[0])
        reason = f"{lists.counts[entry]} values where {CAN_JETS} are needed"
        raise tree.error(branch, reason, start + entry)
    values = lists.pad(CAN_JETS, ABSENT)
    check_finite(tree, branch, values, kept, start)
    return values


def _read_not_can_jets(tree: JoinedTree, start: int, stop: int, kept: Mask) -> Floats:
    """(n, 5, 8) float64: the first 8 jets, −1 in every row of an absent one."""
    lists = [tree.read_lists(branch, start, stop) for branch in NOT_CAN_JET_BRANCHES]
    columns = []
    for branch, column in zip(NOT_CAN_JET_BRANCHES, lists, strict=True):
        wrong = kept & (column.counts != lists[0].counts)
        if wrong.any():
            entry = int(np.flatnonzero(wrong)[0])
            first = f"{NOT_CAN_JET_BRANCHES[0]} has {lists[0].counts[entry]}"
            reason = f"{column.counts[entry]} values where {first}"
            raise tree.error(branch, reason, start + entry)
        values = column.pad(NOT_CAN_JETS, ABSENT)
        check_finite(tree, branch, values, kept, start)
        columns.append(values)
    return np.stack(columns, axis=1)


def scale_weights(
    name: str, norm: Norm | None, weight: Floats, samples: Sequence[tuple[Sample, int]]
) -> Floats:
    """All weights of a dataset, scaled to the norm's sum over the dataset, or each label or group.

    ``samples`` says how many of the weights, in order, are of which sample. The sums are taken
    over all files at once. Raises :class:`DataError` for a sum that is zero or negative, as no
    scale brings it to the norm's.
    """
    if norm is None or not len(weight):
        return weight
    if norm.by == "dataset":
        return weight * _scale(name, "", norm, weight)
    parts = [_part_of(sample, norm) for sample, _ in samples]
    words = list(dict.fromkeys(parts))
    of = np.repeat([words.index(part) for part in parts], [count for _, count in samples])
    scaled = weight.copy()
    for index in np.unique(of).tolist():
        mask = of == index
        scaled[mask] *= _scale(name, f' of {norm.by} "{words[index]}"', norm, weight[mask])
    return scaled


def _part_of(sample: Sample, norm: Norm) -> str:
    """What of a dataset a sample is scaled with."""
    return sample.group or sample.label if norm.by == "group" else sample.label


def _scale(name: str, part: str, norm: Norm, weight: Floats) -> float:
    total = float(np.sum(weight))
    if not total > 0:
        raise DataError(
            f'dataset "{name}": the selected weights{part} sum to {total:g}; '
            f"a sum of {norm.sum:g} needs a positive one"
        )
    return norm.sum / total
