"""The parameter-free preparation of events: raw jets in, one compact matrix of columns out.

It is done once per event, in float64, because pair masses cancel in float32. The matrix does not
depend on the classifier: :func:`unpack` builds the inputs of the network from it, with or without
attention and with or without the slip of the first implementation.

The columns of a prepared event, in order (:data:`COLUMN_SLICES`):

===================  ===  ======================================================================
``object_pt``         12  log(1 + pt/GeV) of the 4 CanJets, then of the 8 NotCanJets
``object_eta``        12  eta, signs chosen so that the leading CanJet's is not negative
``object_mass``       12  log(1 + mass/GeV)
``not_canjet_flag``    8  isSelJet of the NotCanJets, -1 for an absent one
``jet_dphi``          12  Δφ(dijet, jet) of the 12 jet pixels
``dijet_pt``           6  log(1 + pt/GeV) of the dijets
``dijet_eta``          6  eta
``dijet_mass``         6  log(1 + mass/GeV)
``dijet_dphi``         6  Δφ(quadjet, dijet)
``dijet_5_phi``        1  the raw phi of dijet 5, which only the slip needs
``quadjet``            3  log(1 + pt/GeV), eta, log(1 + mass/GeV): the same for the three views
``ancillary``          4  year, log(nSelJets - 3), xW, xbW
``pair_mass``        126  log(1 + M/GeV) of the pairs in :data:`PAIRS`
``pair_dphi``        126  Δφ of the same pairs
===================  ===  ======================================================================

Pairs are the 66 of two objects, each standing for both of its orders, and the 60 of a dijet and
an object that is not one of its jets. Columns of absent objects and of their pairs are fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, combinations
from typing import Final, NamedTuple

import torch
from torch import Tensor

from ..errors import DataError

DIJETS: Final = ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))
PIXELS: Final = tuple(jet for dijet in DIJETS for jet in dijet)
OBJECTS: Final = 12
OBJECT_PAIRS: Final = tuple(combinations(range(OBJECTS), 2))
DIJET_PAIRS: Final = tuple(
    (dijet, other)
    for dijet, jets in enumerate(DIJETS)
    for other in range(OBJECTS)
    if other not in jets
)
PAIRS: Final = OBJECT_PAIRS + DIJET_PAIRS

_SIZES: Final = {
    "object_pt": OBJECTS,
    "object_eta": OBJECTS,
    "object_mass": OBJECTS,
    "not_canjet_flag": 8,
    "jet_dphi": 12,
    "dijet_pt": 6,
    "dijet_eta": 6,
    "dijet_mass": 6,
    "dijet_dphi": 6,
    "dijet_5_phi": 1,
    "quadjet": 3,
    "ancillary": 4,
    "pair_mass": len(PAIRS),
    "pair_dphi": len(PAIRS),
}
COLUMN_SLICES: Final = {
    name: slice(end - size, end)
    for (name, size), end in zip(_SIZES.items(), accumulate(_SIZES.values()), strict=True)
}
COLUMNS: Final = sum(_SIZES.values())

ABSENT: Final = -1.0
CANJET_FLAG: Final = 2.0


class FourVectors(NamedTuple):
    """Cartesian components in GeV, each of shape (N, n)."""

    px: Tensor
    py: Tensor
    pz: Tensor
    energy: Tensor

    def pick(self, index: list[int]) -> FourVectors:
        """The vectors at these places of the last axis."""
        return FourVectors(*(part[:, index] for part in self))

    def plus(self, other: FourVectors) -> FourVectors:
        """The sums of vectors."""
        return FourVectors(*(a + b for a, b in zip(self, other, strict=True)))

    def pt(self) -> Tensor:
        """Transverse momentum in GeV."""
        return torch.hypot(self.px, self.py)

    def eta(self) -> Tensor:
        """Pseudorapidity; the 1e-5 GeV keep it finite at pt = 0."""
        return torch.asinh(self.pz / (self.pt() + 1e-5))

    def phi(self) -> Tensor:
        """Azimuth in [-π, π], by the arccosine as the network's definition has it."""
        sign = torch.where(self.py < 0, -1.0, 1.0).to(self.py)
        return torch.acos(self.px / (self.pt() + 1e-5)) * sign

    def mass(self) -> Tensor:
        """Invariant mass in GeV; a negative square counts as 0."""
        square = self.energy**2 - self.px**2 - self.py**2 - self.pz**2
        return square.clamp(min=0).sqrt()


@dataclass(frozen=True)
class Inputs:
    """The network's inputs: blocks of n events, laid out as (blocks, features, pixels, n).

    ``quadjets`` has one pixel, as the three views have the same inputs. Masks are 1.0 where a
    pixel counts; ``pair_count`` is the number of ordered pairs a pair stands for: 0, 1 or 2.
    ``attention`` is None for a network without it.
    """

    ancillary: Tensor
    jets: Tensor
    dijets: Tensor
    quadjets: Tensor
    attention: AttentionInputs | None


@dataclass(frozen=True)
class AttentionInputs:
    """The 12 other objects and the pairs, with the masks that depend on the event."""

    others: Tensor
    pairs: Tensor
    other_valid: Tensor
    pair_count: Tensor
    object_pair_valid: Tensor
    dijet_pair_valid: Tensor


def prepare(
    canjet: Tensor, notcanjet: Tensor, ancillary: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The matrix (N, COLUMNS) of prepared events, on the CPU or wherever the inputs are.

    ``canjet`` is (N, 4, 4): pt, eta, phi, mass in GeV and radians, by jet; ``notcanjet`` is
    (N, 5, 8) with isSelJet as fifth feature, and -1 everywhere for an absent jet; ``ancillary``
    is (N, 4): the year's two digits, nSelJets, xW, xbW. Computed in float64 and then cast.
    Raises :class:`DataError` if a column of an event comes out infinite or NaN.
    """
    objects = torch.cat([canjet, notcanjet[:, :4]], dim=2).double()
    flag = notcanjet[:, 4].double()
    present = torch.cat([torch.ones_like(flag[:, :4]), flag], dim=1) != ABSENT
    columns = _columns(objects, present, ancillary.double()) | {"not_canjet_flag": flag}
    matrix = torch.cat([columns[name] for name in COLUMN_SLICES], dim=1)
    _check_finite(matrix)
    return matrix.to(dtype)


def _columns(objects: Tensor, present: Tensor, ancillary: Tensor) -> dict[str, Tensor]:
    pt, eta, phi, mass = objects.unbind(dim=1)
    eta = torch.where(eta[:, :1] < 0, -eta, eta)
    vectors = _cartesian(pt, eta, phi, mass)
    dijets = vectors.pick([i for i, _ in DIJETS]).plus(vectors.pick([j for _, j in DIJETS]))
    quadjet = dijets.pick([0]).plus(dijets.pick([1]))
    return {
        "object_pt": torch.where(present, pt.log1p(), ABSENT),
        "object_eta": torch.where(present, eta, ABSENT),
        "object_mass": torch.where(present, mass.log1p(), ABSENT),
        "jet_dphi": delta_phi(dijets.phi().repeat_interleave(2, dim=1), phi[:, PIXELS]),
        "dijet_pt": dijets.pt().log1p(),
        "dijet_eta": dijets.eta(),
        "dijet_mass": dijets.mass().log1p(),
        "dijet_dphi": delta_phi(quadjet.phi(), dijets.phi()),
        "dijet_5_phi": dijets.phi()[:, 5:],
        "quadjet": torch.cat([quadjet.pt().log1p(), quadjet.eta(), quadjet.mass().log1p()], 1),
        "ancillary": torch.cat(
            [ancillary[:, :1], (ancillary[:, 1:2] - 3).log(), ancillary[:, 2:]], dim=1
        ),
    } | _pair_columns(vectors, phi, dijets, present)


def _pair_columns(
    vectors: FourVectors, phi: Tensor, dijets: FourVectors, present: Tensor
) -> dict[str, Tensor]:
    """Masses and Δφ of the pairs: the dijets are appended to the objects as numbers 12 to 17."""
    joined = FourVectors(*(torch.cat([a, b], dim=1) for a, b in zip(vectors, dijets, strict=True)))
    joined_phi = torch.cat([phi, dijets.phi()], dim=1)
    first = [i for i, _ in OBJECT_PAIRS] + [OBJECTS + dijet for dijet, _ in DIJET_PAIRS]
    second = [j for _, j in PAIRS]
    there = torch.cat([present, torch.ones_like(present[:, :6])], dim=1)
    both = there[:, first] & there[:, second]
    mass = joined.pick(first).plus(joined.pick(second)).mass().log1p()
    dphi = delta_phi(joined_phi[:, first], joined_phi[:, second])
    return {"pair_mass": torch.where(both, mass, 0), "pair_dphi": torch.where(both, dphi, 0)}


def _cartesian(pt: Tensor, eta: Tensor, phi: Tensor, mass: Tensor) -> FourVectors:
    px, py, pz = pt * phi.cos(), pt * phi.sin(), pt * eta.sinh()
    return FourVectors(px, py, pz, (px**2 + py**2 + pz**2 + mass**2).sqrt())


def delta_phi(a: Tensor, b: Tensor) -> Tensor:
    """The angle between two azimuths, in [0, π]."""
    return torch.minimum((a - b) % (2 * torch.pi), (b - a) % (2 * torch.pi))


def _check_finite(matrix: Tensor) -> None:
    if bool(matrix.isfinite().all()):
        return
    event, column = (int(i) for i in (~matrix.isfinite()).nonzero()[0])
    name = next(name for name, place in COLUMN_SLICES.items() if column < place.stop)
    raise DataError(f"event {event} of the batch: {name} is not a finite number")


def unpack(matrix: Tensor, slip: bool, attention: bool) -> Inputs:
    """The network's inputs from prepared events (blocks, n, COLUMNS), by static selections.

    With ``slip``, dijet 4 has the Δφ of dijet 5, and dijet 5 its raw phi.
    """
    blocks = torch.split(matrix.transpose(1, 2).contiguous(), list(_SIZES.values()), dim=1)
    columns = dict(zip(COLUMN_SLICES, blocks, strict=True))
    return Inputs(
        ancillary=columns["ancillary"].unsqueeze(2),
        jets=_unpack_jets(columns),
        dijets=_unpack_dijets(columns, slip),
        quadjets=columns["quadjet"].unsqueeze(2),
        attention=_unpack_attention(columns) if attention else None,
    )


def _unpack_jets(columns: dict[str, Tensor]) -> Tensor:
    pixels = torch.tensor(PIXELS, device=columns["jet_dphi"].device)
    pt, eta, mass = (
        columns[f"object_{name}"].index_select(1, pixels) for name in ("pt", "eta", "mass")
    )
    return torch.stack([pt, eta, columns["jet_dphi"], mass], dim=1)


def _unpack_dijets(columns: dict[str, Tensor], slip: bool) -> Tensor:
    dphi = columns["dijet_dphi"]
    if slip:
        dphi = torch.cat([dphi[:, :4], dphi[:, 5:], columns["dijet_5_phi"]], dim=1)
    pt, eta, mass = (columns[f"dijet_{name}"] for name in ("pt", "eta", "mass"))
    return torch.stack([pt, eta, dphi, mass], dim=1)


def _unpack_attention(columns: dict[str, Tensor]) -> AttentionInputs:
    flag = columns["not_canjet_flag"]
    flag = torch.cat([torch.full_like(flag[:, :4], CANJET_FLAG), flag], dim=1)
    objects = [columns[f"object_{name}"] for name in ("pt", "eta", "mass")]
    mass = columns["pair_mass"]
    kind = torch.zeros_like(mass)
    kind[:, len(OBJECT_PAIRS) :] = 1
    valid = (flag != ABSENT).to(flag)
    first, second = (
        torch.tensor(index, device=flag.device) for index in zip(*OBJECT_PAIRS, strict=True)
    )
    other = torch.tensor([j for _, j in DIJET_PAIRS], device=flag.device)
    both = valid.index_select(1, first) * valid.index_select(1, second)
    count = torch.cat([2 * both, valid.index_select(1, other)], dim=1)
    return AttentionInputs(
        others=torch.stack([*objects, flag], dim=1),
        pairs=torch.stack([mass, columns["pair_dphi"], kind], dim=1),
        other_valid=valid.unsqueeze(1),
        pair_count=count.unsqueeze(1),
        object_pair_valid=_object_pair_valid(valid),
        dijet_pair_valid=_dijet_pair_valid(valid),
    )


def _object_pair_valid(valid: Tensor) -> Tensor:
    """(blocks, 1, 12, 12, n): both objects are there, and they are not the same."""
    different = 1 - torch.eye(OBJECTS, dtype=valid.dtype, device=valid.device)
    return (valid.unsqueeze(2) * valid.unsqueeze(1) * different.unsqueeze(-1)).unsqueeze(1)


def _dijet_pair_valid(valid: Tensor) -> Tensor:
    """(blocks, 1, 6, 12, n): the object is there, and is not a jet of the dijet."""
    foreign = torch.ones(len(DIJETS), OBJECTS, dtype=valid.dtype)
    for dijet, jets in enumerate(DIJETS):
        foreign[dijet, list(jets)] = 0
    return (valid.unsqueeze(1) * foreign.to(valid.device).unsqueeze(-1)).unsqueeze(1)
