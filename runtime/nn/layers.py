"""The layers of the HCR network as data: their sizes, weights and statistics, by name.

All weights of K models are one tensor (K, weights), and all running means and scales two tensors
(K, statistics); a layer is a range of each. So one optimiser step is one operation, a model that
waits is one row that stays, and a stack of models is the same network as one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

import torch
from torch import Tensor

from ..spec import Architecture

Bias = Literal["none", "symmetric", "plain"]
HEADS: Final = 2


@dataclass(frozen=True)
class Weight:
    """A tensor of weights: its reference name, its shape in the stack and in the reference.

    ``fan_in`` sets the range of the initial values, ±1/sqrt(fan-in); 0 means ``initial``.
    ``kernel`` is that of a convolution whose weight is kept as (out, kernel * in).
    """

    name: str
    shape: tuple[int, ...]
    reference: tuple[int, ...]
    fan_in: int = 0
    initial: float = 0.0
    kernel: int = 1

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    def to_reference(self, value: Tensor) -> Tensor:
        """One model's tensor in the reference's shape: (out, in, kernel) for a convolution."""
        if self.kernel > 1:
            value = value.reshape(self.shape[0], self.kernel, -1).permute(0, 2, 1)
        return value.reshape(self.reference)

    def from_reference(self, value: Tensor) -> Tensor:
        """The inverse of :meth:`to_reference`; raises ValueError for another shape."""
        if tuple(value.shape) != self.reference:
            raise ValueError(f"{self.name}: shape {tuple(value.shape)}, not {self.reference}")
        if self.kernel > 1:
            value = value.permute(0, 2, 1)
        return value.reshape(self.shape)


@dataclass(frozen=True)
class Layer:
    """A ghost batch normalisation and what follows it: a convolution, or a scale and a shift.

    ``features`` go in at each of ``kernel`` positions, which have statistics of their own;
    ``outputs`` is 0 for scale and shift. ``embedding`` layers have running statistics that are
    set once; ``fixed`` ones keep the first number of ghost batches.
    """

    name: str
    features: int
    outputs: int = 0
    kernel: int = 1
    bias: Bias = "symmetric"
    symmetric: bool = True
    embedding: bool = False
    fixed: bool = False

    @property
    def statistics(self) -> int:
        """The number of features and positions that are normalised."""
        return self.features * self.kernel

    @property
    def rows(self) -> int:
        """The number of features that come out."""
        return self.outputs or self.features

    def expand(self, numbers: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Kernel (out, in) and bias (out) in terms of the weights' numbers, by name.

        -n is the negative of weight n, and 0 is 0.
        """
        bias = torch.zeros(self.rows, dtype=torch.long)
        if not self.outputs:
            return numbers[f"{self.name}.gamma"].diag(), numbers[f"{self.name}.bias"]
        kernel = numbers[f"{self.name}.conv.module.weight"]
        if self.symmetric:
            kernel = torch.cat([kernel, -kernel])
        for name in (f"{self.name}.conv.bias", f"{self.name}.conv.module.bias"):
            bias = numbers.get(name, bias)
        return kernel, bias

    def weights(self) -> Iterator[Weight]:
        """The layer's trainable tensors."""
        if not self.outputs:
            shape = (self.features,)
            yield Weight(f"{self.name}.gamma", shape, shape, initial=1.0)
            yield Weight(f"{self.name}.bias", shape, shape)
            return
        rows = self.outputs // 2 if self.symmetric else self.outputs
        yield Weight(
            f"{self.name}.conv.module.weight",
            (rows, self.statistics),
            (rows, self.features, self.kernel),
            fan_in=self.statistics,
            kernel=self.kernel,
        )
        if self.bias == "symmetric":
            yield Weight(f"{self.name}.conv.bias", (self.outputs,), (1, self.outputs, 1))
        if self.bias == "plain":
            shape = (self.outputs,)
            yield Weight(f"{self.name}.conv.module.bias", shape, shape, fan_in=self.statistics)


@dataclass(frozen=True)
class Expansion:
    """The kernels and biases of all layers as copies of weights, or of their negatives.

    Entry e is ``sign[e] * weights[index[e]]``. No weight stands at more than two places: those
    of weight w are ``places[0][w]`` and ``places[1][w]``, with the sign 0 where there is none.
    """

    index: Tensor
    sign: Tensor
    places: tuple[Tensor, Tensor]
    signs: tuple[Tensor, Tensor]

    def to(self, device: torch.device, dtype: torch.dtype) -> Expansion:
        """The same on another device, with signs of another type."""
        return Expansion(
            self.index.to(device),
            self.sign.to(device, dtype),
            (self.places[0].to(device), self.places[1].to(device)),
            (self.signs[0].to(device, dtype), self.signs[1].to(device, dtype)),
        )


@dataclass(frozen=True)
class Layout:
    """The layers of one architecture, and where each has its weights and statistics."""

    layers: dict[str, Layer]
    weights: list[Weight]
    statistics: dict[str, slice]

    @property
    def n_weights(self) -> int:
        """Trainable parameters of one model."""
        return sum(weight.size for weight in self.weights)

    @property
    def n_statistics(self) -> int:
        """Running means of one model; as many running scales."""
        return sum(layer.statistics for layer in self.layers.values())

    def split(self, weights: Tensor) -> dict[str, Tensor]:
        """Tensors by name, (…, shape), from weights (…, n_weights)."""
        parts = torch.split(weights, [weight.size for weight in self.weights], dim=-1)
        return {
            weight.name: torch.unflatten(part, -1, weight.shape)
            for weight, part in zip(self.weights, parts, strict=True)
        }

    def split_expanded(self, expanded: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Kernel (K, out, in) and bias (K, out) by layer, from expanded weights (K, entries)."""
        shapes = [(layer.rows, layer.statistics) for layer in self.layers.values()]
        sizes = [size for rows, columns in shapes for size in (rows * columns, rows)]
        parts = iter(torch.split(expanded, sizes, dim=1))
        return {
            name: (next(parts).view(-1, *shape), next(parts))
            for name, shape in zip(self.layers, shapes, strict=True)
        }

    def expansion(self) -> Expansion:
        """How the kernels and biases of all layers come from the weights, on the CPU."""
        numbers = self.split(torch.arange(1, self.n_weights + 1))
        signed = [entries for layer in self.layers.values() for entries in layer.expand(numbers)]
        number = torch.cat([entries.flatten() for entries in signed])
        places, signs = _find_places(number, self.n_weights)
        return Expansion((number.abs() - 1).clamp(min=0), number.sign(), places, signs)

    def initial_weights(self, generator: torch.Generator) -> Tensor:
        """Weights (n_weights) of one model, drawn in float64 on the CPU."""
        return torch.cat([_draw(weight, generator).flatten() for weight in self.weights])


def _find_places(
    number: Tensor, n_weights: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    places, signs = torch.zeros(2, n_weights, dtype=torch.long), torch.zeros(2, n_weights)
    seen = [0] * n_weights
    for place, signed in enumerate(number.tolist()):
        if signed:
            weight = abs(signed) - 1
            places[seen[weight], weight] = place
            signs[seen[weight], weight] = 1 if signed > 0 else -1
            seen[weight] += 1
    return (places[0], places[1]), (signs[0], signs[1])


def _draw(weight: Weight, generator: torch.Generator) -> Tensor:
    if not weight.fan_in:
        return torch.full(weight.shape, weight.initial, dtype=torch.float64)
    uniform = torch.rand(weight.shape, generator=generator, dtype=torch.float64)
    return (2 * uniform - 1) / math.sqrt(weight.fan_in)


def make_layout(architecture: Architecture, classes: int) -> Layout:
    """The layers of the network with that many classes, in the order of the reference."""
    layers = list(_layers(architecture, classes))
    ends = accumulate(layer.statistics for layer in layers)
    return Layout(
        layers={layer.name: layer for layer in layers},
        weights=[weight for layer in layers for weight in layer.weights()],
        statistics={
            layer.name: slice(end - layer.statistics, end)
            for layer, end in zip(layers, ends, strict=True)
        },
    )


def _layers(architecture: Architecture, classes: int) -> Iterator[Layer]:
    features = architecture.features
    yield from _embedding_layers(features, architecture.attention)
    yield from _resnet_layers("dijetResNetBlock", features)
    if architecture.attention:
        yield from _attention_layers("attention_oo", features)
        yield from _attention_layers("attention_do", features)
    yield from _resnet_layers("quadjetResNetBlock", features)
    yield Layer("select_q", features, 1, bias="none", symmetric=False)
    yield Layer("out", features, classes, bias="plain", symmetric=False)


def _embedding_layers(features: int, attention: bool) -> Iterator[Layer]:
    yield Layer("inputEmbed.ancillaryEmbed", 4, features, bias="none", embedding=True)
    inputs = {"jetEmbed": ("jetConv", 4)}
    if attention:
        inputs |= {"othJetEmbed": ("othJetConv", 4), "MdPhi_embed": ("MdPhi_conv", 3)}
    inputs |= {"dijetEmbed": ("dijetConv", 4), "quadjetEmbed": ("quadjetConv", 3)}
    for embed, (conv, size) in inputs.items():
        yield Layer(f"inputEmbed.{embed}", size, features, embedding=True)
        yield Layer(f"inputEmbed.{conv}", features, features, fixed=True)


def _resnet_layers(name: str, features: int) -> Iterator[Layer]:
    yield Layer(f"{name}.reinforce.0.conv", features, features, kernel=3)
    yield Layer(f"{name}.reinforce.1.conv", features, features, kernel=3, fixed=True)
    yield Layer(f"{name}.conv.0", features, features)


def _attention_layers(name: str, features: int) -> Iterator[Layer]:
    for part in ("q", "v", "qv"):
        yield Layer(f"{name}.{part}_GBN", features)
    yield Layer(f"{name}.score_GBN", HEADS)
    yield Layer(f"{name}.conv", features, features, fixed=True)
