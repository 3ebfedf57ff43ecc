"""The network's inner operations with gradients written by hand.

They read and write large tensors as few times as they can, which is what a step costs on a CPU,
and use no scattered additions, so that the same inputs give the same bits on a GPU as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import torch
from torch import Tensor
from torch.autograd import Function

from .layers import Expansion

# Elements of a temporary that a chunk may have: half a megabyte in float32.
CACHED_ELEMENTS: Final = 2**17
# Terms that a CPU adds one after the other: over millions float32 loses two digits.
SUMMED_TERMS: Final = 2**11


@dataclass(frozen=True)
class Grouping:
    """How blocks form ghost batches: ``groups`` of equally many neighbouring blocks each."""

    groups: int
    blocks: int

    def join(self, x: Tensor) -> Tensor:
        """Sums over the blocks of each group: (groups, …) from (blocks, …)."""
        if self.groups == self.blocks:
            return x
        return x.view(self.groups, -1, *x.shape[1:]).sum(1)

    def spread(self, x: Tensor) -> Tensor:
        """Each group's row for all its blocks: (blocks, …) from (groups, …)."""
        return repeat_rows(x, self.blocks // self.groups)


def repeat_rows(x: Tensor, repeats: int) -> Tensor:
    """Each row so many times; as an expansion, whose gradient is a sum in a fixed order."""
    if repeats == 1:
        return x
    return x.unsqueeze(1).expand(-1, repeats, *x.shape[1:]).reshape(-1, *x.shape[1:])


class Pixels:
    """How often each pixel counts in statistics: a mask (blocks, 1, L), or one number for all."""

    def __init__(self, times: Tensor | float = 1.0) -> None:
        self.times = times.flatten(2) if isinstance(times, Tensor) else times
        self._counts: dict[int, tuple[Tensor, Tensor]] = {}

    def sum(self, x: Tensor) -> Tensor:
        """Sums (blocks, features) of x (blocks, features, L) over the pixels that count."""
        if isinstance(self.times, Tensor):
            return _sum_products(x, self.times)
        total = x.sum(2)
        return total if self.times == 1 else total * self.times

    def sum_squares(self, x: Tensor) -> Tensor:
        """Sums (blocks, features) of the squares of x (blocks, features, L)."""
        if isinstance(self.times, Tensor):
            return self.sum(x.square())
        norm: Tensor = torch.linalg.vector_norm(x, dim=2)
        return norm.square() * self.times

    def counts(
        self, length: int, grouping: Grouping
    ) -> tuple[Tensor, Tensor] | tuple[float, float]:
        """max(n, 1) and max(n - 1, 1) for the n pixels of each ghost batch, (groups, 1)."""
        if not isinstance(self.times, Tensor):
            n = self.times * length * grouping.blocks / grouping.groups
            return max(n, 1.0), max(n - 1, 1.0)
        if grouping.groups not in self._counts:
            count = grouping.join(self.times.sum(2))
            self._counts[grouping.groups] = count.clamp(min=1), (count - 1).clamp(min=1)
        return self._counts[grouping.groups]


def _sum_products(x: Tensor, times: Tensor) -> Tensor:
    """Σ x·times (blocks, features), of x (blocks, features, L) and times (blocks, 1, L)."""
    if x.shape[2] <= SUMMED_TERMS or x.device.type != "cpu":
        return torch.bmm(x, times.transpose(1, 2)).squeeze(2)
    pieces = (torch.split(part, SUMMED_TERMS, dim=2) for part in (x, times))
    sums = [torch.bmm(a, b.transpose(1, 2)) for a, b in zip(*pieces, strict=True)]
    return torch.cat(sums, dim=2).sum(2)


@dataclass(frozen=True)
class Moments:
    """Ghost moments of x (blocks, features, L), and x less its mean.

    ``mean`` and ``variance`` are (groups, features).
    """

    centered: Tensor
    mean: Tensor
    variance: Tensor


def ghost_moments(x: Tensor, pixels: Pixels, grouping: Grouping) -> Moments:
    """Mean and unbiased variance of x (blocks, features, L) by ghost batch.

    The mean divides by max(n, 1), the variance by max(n - 1, 1).
    """
    count, count_less_one = pixels.counts(x.shape[2], grouping)
    mean = grouping.join(pixels.sum(x)) / count
    centered = x - grouping.spread(mean).unsqueeze(2)
    square = grouping.join(pixels.sum_squares(centered))
    return Moments(centered, mean, square / count_less_one)


class GhostConvolution(Function):
    """Normalise by ghost moments and convolve: y = kernel · (x - mean) · inverse + bias.

    Its gradient goes through the moments. With d = x - mean, k = kernel · inverse and
    P = Σ dy·d over the pixels, dx = kᵀ dy + times · (slope · d + offset), where
    slope = -inverse² · Σ k·P / (n - 1) and offset = -kᵀ Σ dy / n.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        kernel: Tensor,
        bias: Tensor,
        centered: Tensor,
        inverse: Tensor,
        pixels: Pixels,
        grouping: Grouping,
    ) -> Tensor:
        """Compute, and keep what the gradient needs."""
        repeats = grouping.blocks // len(kernel)
        spread = grouping.spread(inverse).unsqueeze(1)
        scaled = repeat_rows(kernel, repeats) * spread
        ctx.save_for_backward(centered, spread, scaled)
        ctx.pixels, ctx.grouping, ctx.models = pixels, grouping, len(kernel)
        return torch.baddbmm(repeat_rows(bias, repeats).unsqueeze(2), scaled, centered)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the arguments, in their order."""
        (gradient,) = gradients
        centered, spread, scaled = ctx.saved_tensors
        by_model = Grouping(ctx.models, len(scaled))
        product = torch.bmm(gradient, centered.transpose(1, 2))
        total = gradient.sum(2)
        d_kernel = by_model.join(product * spread)
        d_bias = by_model.join(total)
        d_x = None
        if ctx.needs_input_grad[0]:
            d_x = _through_moments(ctx, centered, spread, scaled, product, total)
            d_x.baddbmm_(scaled.transpose(1, 2), gradient)
        return d_x, d_kernel, d_bias, None, None, None, None


def _through_moments(
    ctx: Any, centered: Tensor, spread: Tensor, scaled: Tensor, product: Tensor, total: Tensor
) -> Tensor:
    """times · (slope · d + offset) of :class:`GhostConvolution`."""
    grouping, times = ctx.grouping, ctx.pixels.times
    count, count_less_one = ctx.pixels.counts(centered.shape[2], grouping)
    steepness = grouping.spread(grouping.join((scaled * product).sum(1)) / count_less_one)
    slope = spread.square().mul_(steepness.unsqueeze(1)).transpose(1, 2)
    sums = torch.bmm(total.unsqueeze(1), scaled).squeeze(1)
    offset = grouping.spread(grouping.join(sums) / count).unsqueeze(2)
    if isinstance(times, Tensor):
        return torch.addcmul(offset, centered, slope).mul_(times).neg_()
    return torch.addcmul(offset * -times, centered, slope, value=-times)


def ghost_convolve(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor,
    moments: Moments,
    inverse: Tensor,
    pixels: Pixels,
    grouping: Grouping,
) -> Tensor:
    """(blocks, out, L) from x (blocks, in, L), kernels (K, out, in) and biases (K, out).

    ``moments`` must be those of x, without gradients of their own, and ``inverse`` what its
    distance from the mean is multiplied with, 1/sqrt(variance + eps).
    """
    arguments = (x, kernel, bias, moments.centered, inverse, pixels, grouping)
    return cast(Tensor, GhostConvolution.apply(*arguments))  # type: ignore[no-untyped-call]


class ExpandWeights(Function):
    """Kernels and biases (K, entries) of all layers from weights (K, n)."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, expansion: Expansion) -> Tensor:
        """Compute, and keep what the gradient needs."""
        ctx.expansion = expansion
        return weights.index_select(1, expansion.index) * expansion.sign

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the arguments, in their order."""
        (gradient,) = gradients
        (one, two), (sign, other) = ctx.expansion.places, ctx.expansion.signs
        total = gradient.index_select(1, one) * sign
        return total.addcmul_(gradient.index_select(1, two), other), None


def expand_weights(weights: Tensor, expansion: Expansion) -> Tensor:
    """See :class:`ExpandWeights`."""
    return cast(Tensor, ExpandWeights.apply(weights, expansion))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Grid:
    """Pairs as a grid of queries and values: where each place's pair is, and the way back.

    ``expand`` (queries * values) are the pairs' places; ``fold`` are, for each place of the grid
    that a pair stands for, the (pairs) places. Places of no pair repeat another and are masked.
    """

    expand: Tensor
    fold: tuple[Tensor, ...]

    def spread(self, pairs: Tensor) -> Tensor:
        """(blocks, features, queries * values, n) from (blocks, features, pairs, n)."""
        return pairs.index_select(2, self.expand)

    def collect(self, grid: Tensor) -> Tensor:
        """The gradient of :meth:`spread`, for a gradient that is 0 at masked places."""
        total = grid.index_select(2, self.fold[0])
        for places in self.fold[1:]:
            total += grid.index_select(2, places)
        return total


def chunk_blocks(grid: Tensor, features: int) -> Iterator[slice]:
    """Ranges of blocks for whose (features, queries, values, n) the fast cache has room.

    ``grid`` is (B, heads, queries, values, n). A GPU takes all blocks at once.
    """
    blocks = len(grid)
    if grid.device.type == "cpu":
        elements = grid[0].numel() * features
        step = max(1, CACHED_ELEMENTS // max(1, elements))
    else:
        step = blocks
    for start in range(0, blocks, step):
        yield slice(start, start + step)


class PairScore(Function):
    """Σ over a head's features of query·value, plus the pair's own score.

    Query and value are (B, heads, features, pixels, n), pairs (B, heads, pairs, n); the score
    is (B, heads, queries, values, n).
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, value: Tensor, pairs: Tensor, grid: Grid) -> Tensor:
        """Compute, and keep what the gradient needs."""
        ctx.save_for_backward(query, value)
        ctx.grid = grid
        blocks, heads, features, queries, n = query.shape
        score = grid.spread(pairs).view(blocks, heads, queries, -1, n)
        for rows in chunk_blocks(score, features):
            score[rows] += (query[rows].unsqueeze(4) * value[rows].unsqueeze(3)).sum(2)
        return score

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the arguments, in their order."""
        (gradient,) = gradients
        query, value = ctx.saved_tensors
        d_query, d_value = torch.empty_like(query), torch.empty_like(value)
        for rows in chunk_blocks(gradient, query.shape[2]):
            wide = gradient[rows].unsqueeze(2)
            d_query[rows] = (wide * value[rows].unsqueeze(3)).sum(4)
            d_value[rows] = (wide * query[rows].unsqueeze(4)).sum(3)
        return d_query, d_value, ctx.grid.collect(gradient.flatten(2, 3)), None


class GatedSoftmax(Function):
    """softmax over values of the score, times its sigmoid; 0 where the grid is not valid."""

    @staticmethod
    def forward(ctx: Any, score: Tensor, valid: Tensor, masked_score: float) -> Tensor:
        """Compute, and keep what the gradient needs."""
        soft = score.masked_fill(valid == 0, masked_score).softmax(dim=3)
        gate = score.sigmoid()
        weights = (soft * gate).mul_(valid)
        ctx.save_for_backward(soft, gate, weights)
        return weights

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the arguments, in their order."""
        (gradient,) = gradients
        soft, gate, weights = ctx.saved_tensors
        change = gradient * weights
        total = change.sum(3, keepdim=True)
        d_score = (2 - gate).mul_(change).addcmul_(soft, total, value=-1)
        return d_score, None, None


class PairSum(Function):
    """Σ over values of weight · (value + pair).

    Weights are (B, heads, queries, values, n), values (B, heads, features, values, n), pairs
    (B, heads * features, pairs, n); gives (B, heads, features, queries, n).
    """

    @staticmethod
    def forward(ctx: Any, weights: Tensor, value: Tensor, pairs: Tensor, grid: Grid) -> Tensor:
        """Compute, and keep what the gradient needs."""
        ctx.save_for_backward(weights, value, pairs)
        ctx.grid = grid
        blocks, heads, features, _, n = value.shape
        result = value.new_empty(blocks, heads, features, weights.shape[2], n)
        for rows in chunk_blocks(weights, features):
            terms = _terms(value[rows], pairs[rows], grid)
            result[rows] = terms.mul_(weights[rows].unsqueeze(2)).sum(4)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the arguments, in their order."""
        (gradient,) = gradients
        weights, value, pairs = ctx.saved_tensors
        d_weights, d_value, d_pairs = (torch.empty_like(x) for x in (weights, value, pairs))
        for rows in chunk_blocks(weights, value.shape[2]):
            wide = gradient[rows].unsqueeze(4)
            terms = _terms(value[rows], pairs[rows], ctx.grid)
            d_weights[rows] = terms.mul_(wide).sum(2)
            d_terms = torch.mul(weights[rows].unsqueeze(2), wide, out=terms)
            d_value[rows] = d_terms.sum(3)
            d_pairs[rows] = ctx.grid.collect(d_terms.flatten(3, 4).flatten(1, 2))
        return d_weights, d_value, d_pairs, None


def _terms(value: Tensor, pairs: Tensor, grid: Grid) -> Tensor:
    """value + pair, (B, heads, features, queries, values, n)."""
    blocks, heads, features, values, n = value.shape
    terms = grid.spread(pairs).view(blocks, heads, features, -1, values, n)
    return terms.add_(value.unsqueeze(3))


def pair_score(query: Tensor, value: Tensor, pairs: Tensor, grid: Grid) -> Tensor:
    """See :class:`PairScore`."""
    return cast(Tensor, PairScore.apply(query, value, pairs, grid))  # type: ignore[no-untyped-call]


def gated_softmax(score: Tensor, valid: Tensor, masked_score: float) -> Tensor:
    """See :class:`GatedSoftmax`."""
    arguments = (score, valid, masked_score)
    return cast(Tensor, GatedSoftmax.apply(*arguments))  # type: ignore[no-untyped-call]


def pair_sum(weights: Tensor, value: Tensor, pairs: Tensor, grid: Grid) -> Tensor:
    """See :class:`PairSum`."""
    return cast(Tensor, PairSum.apply(weights, value, pairs, grid))  # type: ignore[no-untyped-call]
