"""The HCR network (Hierarchical Combinatoric ResNet) for events with four b-jet candidates.

Four jets are paired into two dijets in three ways: 4 jets, 6 dijets, 3 quadjets ("views"), one
event. The network is tiny and is trained many times over, so it has a leading axis of K models
everywhere: K folds, seeds and offsets are one set of tensors.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from ..spec import Architecture
from .kernels import Grid, Pixels, expand_weights, gated_softmax, pair_score, pair_sum
from .layers import HEADS, Expansion, Layout, make_layout
from .network import Network
from .normalization import MOMENTUM, OFF, Ghosts, Normalization
from .prepare import (
    DIJET_PAIRS,
    DIJETS,
    OBJECT_PAIRS,
    OBJECTS,
    AttentionInputs,
    Inputs,
    unpack,
)

VIEWS: Final = 3
MASKED_SCORE: Final = -1e9
EVERY: Final = Pixels()
LAST: Final = "out"


class HCR(Network):
    """K networks of one architecture.

    ``mean`` and ``scale`` are the running statistics (K, statistics), and ``is_set`` says which of
    them a step or an import has set.
    """

    mean: Tensor
    scale: Tensor
    is_set: Tensor

    def __init__(self, architecture: Architecture, classes: int, models: int = 1) -> None:
        super().__init__()
        self.architecture = architecture
        self.classes = classes
        self.layout: Layout = make_layout(architecture, classes)
        self._expansion: Expansion | None = None
        self.weights = nn.Parameter(torch.zeros(models, self.layout.n_weights))
        size = (models, self.layout.n_statistics)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("is_set", torch.zeros(size, dtype=torch.bool))

    def expansion(self) -> Expansion:
        """How kernels and biases come from the weights, kept where the weights are."""
        if (
            self._expansion is None
            or self._expansion.sign.device != self.weights.device
            or (self._expansion.sign.dtype != self.weights.dtype)
        ):
            expansion = self._expansion or self.layout.expansion()
            self._expansion = expansion.to(self.weights.device, self.weights.dtype)
        return self._expansion

    def initialize(self, model: int, generator: torch.Generator) -> None:
        """Draw one model's weights, with a generator of its own."""
        with torch.no_grad():
            self.weights[model] = self.layout.initial_weights(generator).to(self.weights)

    def empty(self, models: int) -> Self:
        """A network of the same architecture, of so many models."""
        network = type(self)(self.architecture, self.classes, models)
        network._expansion = self._expansion
        return network

    def forward(
        self, matrix: Tensor, ghosts: Ghosts = OFF, *, only_last: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Class logits (K, N, classes) and view logits (K, N, 3) of prepared events.

        ``matrix`` is (N, COLUMNS), the same events for all models, or (K, N, COLUMNS). In
        training mode ``ghosts`` normalise, each number dividing N, and the running statistics
        follow; a number of 0, or evaluation mode, takes the running statistics as they are. With
        ``only_last`` the gradient is that of the last layer's weights, and 0 for all others.
        """
        if not self.training:
            ghosts = OFF
        matrix = matrix.expand(self.models, *matrix.shape[-2:])
        blocks = matrix.reshape(self.models * ghosts.blocks, -1, matrix.shape[-1])
        inputs = unpack(blocks, self.architecture.slip, self.architecture.attention)
        step = Pass(self, ghosts, only_last=only_last)
        logits = step.classify(inputs)
        self._update(step.normalization)
        return logits

    @torch.no_grad()
    def _update(self, normalization: Normalization) -> None:
        """Running statistics: the first step sets them, and later ones pull by a tenth."""
        for names, mean, scale in normalization.averages():
            places = [self.layout.statistics[name] for name in names]
            columns = [column for place in places for column in range(place.start, place.stop)]
            index = torch.tensor(columns, device=mean.device)
            is_set = self.is_set[:, index]
            for running, new in ((self.mean, mean), (self.scale, scale)):
                pulled = running[:, index].lerp(new, MOMENTUM)
                running[:, index] = torch.where(is_set, pulled, new)
            self.is_set[:, index] = True


@dataclass(frozen=True)
class Attended:
    """What one attention looks from and at, each (B, features, pixels, n), and its masks."""

    query: Tensor
    value: Tensor
    residual: Tensor
    pairs: Tensor
    pair_count: Pixels
    grid: Grid
    grid_valid: Tensor
    query_valid: Pixels
    value_valid: Pixels


class Pass:
    """One forward pass of K networks over blocks of events."""

    def __init__(self, network: HCR, ghosts: Ghosts, *, only_last: bool) -> None:
        self.layout = network.layout
        expanded = expand_weights(network.weights, network.expansion())
        self.kernels = network.layout.split_expanded(expanded)
        if only_last:
            constant = network.layout.split_expanded(expanded.detach())
            self.kernels = constant | {LAST: self.kernels[LAST]}
        self.models = network.models
        self.normalization = Normalization(network.layout, network.mean, network.scale, ghosts)

    def conv(self, name: str, x: Tensor, pixels: Pixels = EVERY) -> Tensor:
        """GBN-conv, or GBN with scale and shift, of x (B, in, …, n)."""
        kernel, bias = self.kernels[name]
        return self.normalization.convolve(self.layout.layers[name], x, pixels, kernel, bias)

    def conv_pairs(self, name: str, x: Tensor, pixels: Pixels) -> tuple[Tensor, Tensor]:
        """GBN with scale and shift, and its sums over the features of each head."""
        kernel, bias = self.kernels[name]
        features = x.shape[1]
        head = torch.eye(HEADS, dtype=x.dtype, device=x.device)
        head = head.repeat_interleave(features // HEADS, dim=1)
        kernel = torch.cat([kernel, head @ kernel], dim=1)
        bias = torch.cat([bias, bias @ head.T], dim=1)
        y = self.normalization.convolve(self.layout.layers[name], x, pixels, kernel, bias)
        pairs, score = torch.split(y, [features, HEADS], dim=1)
        return pairs, score

    def classify(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Class logits (K, N, classes) and view logits (K, N, 3)."""
        ancillary = self.conv("inputEmbed.ancillaryEmbed", inputs.ancillary)
        jets = self.embed("jet", inputs.jets, ancillary)
        dijets = self.embed("dijet", inputs.dijets)
        quadjets = self.embed("quadjet", inputs.quadjets, pixels=Pixels(float(VIEWS)))
        quadjets = quadjets.expand(-1, -1, VIEWS, -1)
        x, dijets = self.resnet("dijetResNetBlock", silu(jets), silu(dijets), jets, dijets)
        if inputs.attention is not None:
            x, dijets = self.attend_others(inputs.attention, ancillary, x, dijets)
        x, _ = self.resnet("quadjetResNetBlock", x, silu(quadjets), dijets, quadjets)
        views = self.conv("select_q", x)
        event = (views.softmax(dim=2) * x).sum(dim=2, keepdim=True)
        return self.by_event(self.conv(LAST, event)), self.by_event(views)

    def by_event(self, x: Tensor) -> Tensor:
        """(K, N, …) from blocks (B, features, pixels, n) with one feature or one pixel."""
        return x.flatten(1, 2).transpose(1, 2).reshape(self.models, -1, x.shape[1] * x.shape[2])

    def embed(
        self, kind: str, x: Tensor, shift: Tensor | None = None, pixels: Pixels = EVERY
    ) -> Tensor:
        """The residual of an input: embedding, SiLU and GBN-conv."""
        names = {"pair": ("MdPhi_embed", "MdPhi_conv")}
        embed, conv = names.get(kind, (f"{kind}Embed", f"{kind}Conv"))
        x = self.conv(f"inputEmbed.{embed}", x, pixels)
        if shift is not None:
            x = x + shift
        return self.conv(f"inputEmbed.{conv}", silu(x), pixels)

    def resnet(
        self, name: str, x: Tensor, xx: Tensor, residual: Tensor, residuals: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A ResNet block: the objects x reinforce their sums xx; gives SiLU(xx) and xx."""
        xx = silu(self.reinforce(f"{name}.reinforce.0", x, xx) + residuals)
        x = silu(self.conv(f"{name}.conv.0", x) + residual)
        xx = self.reinforce(f"{name}.reinforce.1", x, xx) + residuals
        return silu(xx), xx

    def reinforce(self, name: str, x: Tensor, xx: Tensor) -> Tensor:
        """Fold pixel pairs of x with the pixels of xx; dijets enter by half sum and difference."""
        first, second = x[:, :, 0::2], x[:, :, 1::2]
        if name.startswith("quadjet"):
            first, second = (first + second) / 2, (first - second).abs() / 2
        return self.conv(f"{name}.conv", torch.cat([first, second, xx], dim=1))

    def attend_others(
        self, inputs: AttentionInputs, ancillary: Tensor, dijets: Tensor, residual: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Others attend to each other, then dijets to others; gives dijets and their residual."""
        valid = Pixels(inputs.other_valid)
        others = self.embed("othJet", inputs.others, ancillary, valid)
        pairs = silu(self.embed("pair", inputs.pairs, pixels=Pixels(inputs.pair_count)))
        sizes = [len(OBJECT_PAIRS), len(DIJET_PAIRS)]
        object_pairs, dijet_pairs = torch.split(pairs, sizes, dim=2)
        object_count, dijet_count = torch.split(inputs.pair_count, sizes, dim=2)
        start = silu(others)
        seen, _ = self.attend(
            "attention_oo",
            Attended(
                query=start,
                value=start,
                residual=others,
                pairs=object_pairs,
                pair_count=Pixels(object_count),
                grid=_object_grid(pairs.device),
                grid_valid=inputs.object_pair_valid,
                query_valid=valid,
                value_valid=valid,
            ),
        )
        return self.attend(
            "attention_do",
            Attended(
                query=dijets,
                value=seen,
                residual=residual,
                pairs=dijet_pairs,
                pair_count=Pixels(dijet_count),
                grid=_dijet_grid(pairs.device),
                grid_valid=inputs.dijet_pair_valid,
                query_valid=EVERY,
                value_valid=valid,
            ),
        )

    def attend(self, name: str, x: Attended) -> tuple[Tensor, Tensor]:
        """Two-headed attention; gives the output and the new residual."""
        query = self.conv(f"{name}.q_GBN", x.query, x.query_valid)
        value = self.conv(f"{name}.v_GBN", x.value, x.value_valid)
        pairs, pairs_score = self.conv_pairs(f"{name}.qv_GBN", x.pairs, x.pair_count)
        query, value = (torch.unflatten(part, 1, (HEADS, -1)) for part in (query, value))
        score = pair_score(query, value, pairs_score, x.grid)
        score = self.conv(f"{name}.score_GBN", score, Pixels(x.grid_valid))
        weights = gated_softmax(score, x.grid_valid, MASKED_SCORE)
        result = pair_sum(weights, value, pairs, x.grid).flatten(1, 2)
        result = self.conv(f"{name}.conv", silu(result), x.query_valid)
        if isinstance(x.query_valid.times, Tensor):
            result = result * x.query_valid.times.view(len(result), 1, *result.shape[2:])
        residual = result + x.residual
        return silu(residual), residual


def _object_grid(device: torch.device) -> Grid:
    """Each pair of objects stands for both of its orders; the diagonal for nothing."""
    places = {pair: place for place, pair in enumerate(OBJECT_PAIRS)}
    grid = itertools.product(range(OBJECTS), repeat=2)
    expand = [places.get((min(i, j), max(i, j)), 0) for i, j in grid]
    fold = ([OBJECTS * i + j for i, j in OBJECT_PAIRS], [OBJECTS * j + i for i, j in OBJECT_PAIRS])
    return _make_grid(expand, fold, device)


def _dijet_grid(device: torch.device) -> Grid:
    """Each pair of a dijet and an object; a dijet's own jets are nothing."""
    places = {pair: place for place, pair in enumerate(DIJET_PAIRS)}
    grid = itertools.product(range(len(DIJETS)), range(OBJECTS))
    expand = [places.get(pair, 0) for pair in grid]
    return _make_grid(expand, ([OBJECTS * i + j for i, j in DIJET_PAIRS],), device)


def _make_grid(expand: list[int], fold: tuple[list[int], ...], device: torch.device) -> Grid:
    places = tuple(torch.tensor(index, device=device) for index in fold)
    return Grid(torch.tensor(expand, device=device), places)
