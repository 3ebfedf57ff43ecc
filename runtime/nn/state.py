"""The state of one model as named tensors, in the names and shapes of the reference.

``{name}.m`` and ``{name}.s`` are the running statistics of a layer, (1, 1, kernel, features);
weights are ``{name}.conv.module.weight`` (out, in, kernel), the biases, ``gamma`` and ``bias``.
A mean of 0 and a scale of 1 everywhere in a layer count as not set yet.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .hcr import HCR
from .layers import Layer, Weight


def export_state(network: HCR, model: int = 0) -> dict[str, Tensor]:
    """The weights and statistics of one model of the stack, as copies on the CPU."""
    state = name_weights(network, network.weights.detach()[model])
    for layer in network.layout.layers.values():
        place = network.layout.statistics[layer.name]
        for key, running in (("m", network.mean), ("s", network.scale)):
            state[f"{layer.name}.{key}"] = running[model, place].reshape(_shape(layer))
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def name_weights(network: HCR, flat: Tensor) -> dict[str, Tensor]:
    """One model's weights, or their gradients, (n_weights) by the names of the reference."""
    parts = network.layout.split(flat)
    return {
        weight.name: weight.to_reference(parts[weight.name]) for weight in network.layout.weights
    }


@torch.no_grad()
def import_state(network: HCR, state: Mapping[str, Tensor], model: int = 0) -> None:
    """Set one model of the stack; raises KeyError or ValueError if the state does not fit.

    Further names, such as the reference's constants, are left aside.
    """
    flat = [_take(weight, state).flatten() for weight in network.layout.weights]
    network.weights[model] = torch.cat(flat).to(network.weights)
    for layer in network.layout.layers.values():
        place = network.layout.statistics[layer.name]
        mean, scale = (_statistics(layer, key, state) for key in ("m", "s"))
        network.mean[model, place] = mean.to(network.mean)
        network.scale[model, place] = scale.to(network.scale)
        network.is_set[model, place] = bool((mean != 0).any() or (scale != 1).any())


def _take(weight: Weight, state: Mapping[str, Tensor]) -> Tensor:
    return weight.from_reference(state[weight.name])


def _statistics(layer: Layer, key: str, state: Mapping[str, Tensor]) -> Tensor:
    value = state[f"{layer.name}.{key}"]
    if tuple(value.shape) != _shape(layer):
        raise ValueError(f"{layer.name}.{key}: shape {tuple(value.shape)}, not {_shape(layer)}")
    return value.flatten()


def _shape(layer: Layer) -> tuple[int, ...]:
    return (1, 1, layer.kernel, layer.features)
