"""The weighted cross-entropy of a stack of models."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy


def weighted_sum(logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """Σ w·ce by model (K), of logits (K, N, classes), labels and weights (K, N)."""
    entropy = cross_entropy(logits.transpose(1, 2), label, reduction="none")
    return (weight * entropy).sum(1)


def weighted_loss(logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """Σ w·ce / Σ w by model (K); event weights may be negative."""
    return weighted_sum(logits, label, weight) / weight.sum(1)
