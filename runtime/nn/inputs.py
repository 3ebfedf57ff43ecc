"""How the inputs of the network are distributed in each class: ancillary features and jets.

They are read back from the prepared events, which hold no azimuths, but their differences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Final

import torch
from torch import Tensor

from ..data.histograms import Axis, InputHistogram
from .benchmark import Data
from .histogram import add_weights, locate, start_cells
from .prepare import ABSENT, COLUMN_SLICES, OBJECT_PAIRS, OBJECTS

CANJETS: Final = 4
BLOCK: Final = 2**17
KINEMATICS: Final = ("pt", "eta", "mass")


def _as_it_is(value: Tensor) -> Tensor:
    return value


def _count_jets(value: Tensor) -> Tensor:
    return value.exp() + 3


@dataclass(frozen=True)
class Feature:
    """What is counted: some columns of a prepared event, together, as ``value`` makes of them.

    ``group`` is the figure it is drawn in. Those of ``others`` are of the 8 NotCanJets, of which
    the absent ones do not count.
    """

    group: str
    axis: Axis
    columns: list[int]
    value: Callable[[Tensor], Tensor] = _as_it_is
    others: bool = False


def list_features() -> list[Feature]:
    """Everything that is counted, in the order in which it is drawn."""
    canjets = [_list_canjet(number) for number in range(CANJETS)]
    return [*_list_ancillary(), *_list_others(), *(row for rows in canjets for row in rows)]


def _list_ancillary() -> list[Feature]:
    year, jets, xw, xbw = _columns("ancillary")
    return [
        Feature("ancillary", Axis("year", 15.5, 25.5, 10), [year]),
        Feature("ancillary", Axis("nSelJets", 3.5, 15.5, 12), [jets], _count_jets),
        Feature("ancillary", Axis("xW", -15, 15, 60), [xw]),
        Feature("ancillary", Axis("xbW", -15, 15, 60), [xbw]),
    ]


def _list_others() -> list[Feature]:
    pairs = [OBJECT_PAIRS.index((0, other)) for other in range(CANJETS, OBJECTS)]
    angles = [_columns("pair_dphi")[pair] for pair in pairs]
    pt, eta, mass = (_columns(f"object_{name}")[CANJETS:] for name in KINEMATICS)
    return _list_jets("NotCanJets", (pt, eta, angles, mass), "Δφ to CanJet 1", others=True)


def _list_canjet(number: int) -> list[Feature]:
    pt, eta, mass = (_columns(f"object_{name}")[number : number + 1] for name in KINEMATICS)
    angle = _columns("jet_dphi")[number : number + 1]
    pair = "CanJets 1, 2" if number < 2 else "CanJets 3, 4"
    return _list_jets(f"CanJet {number + 1}", (pt, eta, angle, mass), f"Δφ to {pair}")


def _list_jets(
    name: str, columns: tuple[list[int], ...], angle: str, others: bool = False
) -> list[Feature]:
    pt, eta, phi, mass = columns
    group, wide = ("notcanjets", 5) if others else ("canjets", 2.5)
    return [
        Feature(group, Axis(f"{name} pt [GeV]", 0, 500, 50), pt, torch.expm1, others),
        Feature(group, Axis(f"{name} eta", -wide, wide, 50), eta, _as_it_is, others),
        Feature(group, Axis(f"{name} {angle}", 0, pi, 50), phi, _as_it_is, others),
        Feature(group, Axis(f"{name} mass [GeV]", 0, 60, 60), mass, torch.expm1, others),
    ]


def _columns(name: str) -> list[int]:
    place = COLUMN_SLICES[name]
    return list(range(place.start, place.stop))


def count_inputs(data: Data, classes: int) -> list[InputHistogram]:
    """The histograms of all events, block by block, on their device."""
    features, device = list_features(), data.matrix.device
    counted = [start_cells(classes, feature.axis.cells, device=device) for feature in features]
    for start in range(0, len(data), BLOCK):
        rows = slice(start, start + BLOCK)
        for feature, cells in zip(features, counted, strict=True):
            _count(feature, cells, data, rows)
    return [
        InputHistogram(feature.group, feature.axis, cells.transpose(0, 1).cpu().numpy())
        for feature, cells in zip(features, counted, strict=True)
    ]


def _count(feature: Feature, cells: Tensor, data: Data, rows: slice) -> None:
    matrix = data.matrix[rows]
    value = feature.value(matrix[:, feature.columns].double())
    weight = data.weight[rows].unsqueeze(1).expand(value.shape)
    if feature.others:
        weight = weight * (matrix[:, COLUMN_SLICES["not_canjet_flag"]] != ABSENT)
    first = data.label[rows].unsqueeze(1) * feature.axis.cells
    add_weights(cells, first + locate(feature.axis, value), weight)
