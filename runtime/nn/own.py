"""Networks of the user's own: plain torch classes, named by entry points in ``hcrc.models``.

A class is one model: ``Model(classes, **options)`` is a :class:`torch.nn.Module`, and calling it
with the prepared columns of N events, a mapping of names to (N, size) as
:data:`~hcrc.runtime.nn.prepare.COLUMN_SLICES` lists them, gives class logits (N, classes) and the
logits of the three pairings (N, 3). Its parameters and buffers are all that it remembers. It is
imported from what is installed in the python that runs the job, never from a bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.metadata import EntryPoint, entry_points
from itertools import accumulate
from typing import Any, Final, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..errors import SpecError
from .network import Network
from .normalization import OFF, Ghosts
from .prepare import COLUMN_SLICES

GROUP: Final = "hcrc.models"
VIEWS: Final = 3
SEEDS: Final = 2**62


class Weight(NamedTuple):
    """A parameter of the class: its name, shape, and place among the weights of a model."""

    name: str
    shape: torch.Size
    place: slice


class OwnNetwork(Network):
    """K models of one class; each draws random numbers of its own when it trains.

    ``draws`` (K, 2) holds the seed and the count of training passes of each model.
    """

    draws: Tensor

    def __init__(self, make: Callable[[], nn.Module], classes: int, models: int = 1) -> None:
        super().__init__()
        self._make = make
        self.classes = classes
        with torch.random.fork_rng(devices=[]):
            # In a list, so that the parameters of the pattern are none of this module's.
            self._pattern = [make()]
        named = dict(self._pattern[0].named_parameters())
        ends = list(accumulate(value.numel() for value in named.values()))
        self.layout = [
            Weight(name, value.shape, slice(end - value.numel(), end))
            for (name, value), end in zip(named.items(), ends, strict=True)
        ]
        self.weights = nn.Parameter(torch.zeros(models, ends[-1] if ends else 0))
        self.kept = dict(self._pattern[0].named_buffers())
        for name, value in self.kept.items():
            self.register_buffer(_buffer(name), value.expand(models, *value.shape).clone())
        self.register_buffer("draws", torch.zeros(models, 2, dtype=torch.int64))

    def empty(self, models: int) -> Self:
        """A network of the same class, of so many models."""
        return type(self)(self._make, self.classes, models)

    @torch.no_grad()
    def initialize(self, model: int, generator: torch.Generator) -> None:
        """Make one model anew, with a seed from the generator."""
        seed = int(torch.randint(SEEDS, (), generator=generator))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = self._make()
        self.import_state({**dict(made.named_parameters()), **dict(made.named_buffers())}, model)
        self.draws[model] = torch.tensor([seed, 0])

    def forward(
        self, matrix: Tensor, ghosts: Ghosts = OFF, *, only_last: bool = False
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`Network.forward`; a class of one's own has no ghost batches."""
        matrix = matrix.expand(self.models, *matrix.shape[-2:])
        self._pattern[0].train(self.training)
        found = [
            self._call(model, events, only_last=only_last) for model, events in enumerate(matrix)
        ]
        logits, views = zip(*found, strict=True)
        return torch.stack(logits), torch.stack(views)

    def _call(self, model: int, events: Tensor, *, only_last: bool) -> tuple[Tensor, Tensor]:
        """The logits of one model (N, classes) and (N, 3); raises :class:`SpecError` for others."""
        state = self._state(model, only_last=only_last)
        columns = {name: events[:, place] for name, place in COLUMN_SLICES.items()}
        with self._own_draws(model) if self.training else nullcontext():
            found = functional_call(self._pattern[0], state, (columns,))
        wanted = [(len(events), self.classes), (len(events), VIEWS)]
        shapes = [tuple(part.shape) for part in found] if isinstance(found, tuple) else []
        if shapes != wanted:
            name = type(self._pattern[0]).__name__
            raise SpecError(f"{name} gives {shapes or type(found).__name__} and not {wanted}")
        return found[0], found[1]

    @contextmanager
    def _own_draws(self, model: int) -> Iterator[None]:
        """Random numbers that depend on the model and its training passes, and on nothing else."""
        self.draws[model, 1] += 1
        seed, passes = self.draws[model].tolist()
        with torch.random.fork_rng([self.draws.device] if self.draws.is_cuda else []):
            torch.manual_seed(seed + passes)
            yield

    def _state(self, model: int, *, only_last: bool) -> dict[str, Tensor]:
        last = [name for name, _ in self._pattern[0].named_children()][-1:]
        state = {}
        for weight in self.layout:
            value = self.weights[model, weight.place].reshape(weight.shape)
            frozen = only_last and weight.name.partition(".")[0] not in last
            state[weight.name] = value.detach() if frozen else value
        return state | {name: getattr(self, _buffer(name))[model] for name in self.kept}

    def export_state(self, model: int = 0) -> dict[str, Tensor]:
        """The parameters and buffers of one model by their names, as copies on the CPU."""
        state = self._state(model, only_last=False)
        return {name: value.detach().cpu().clone() for name, value in state.items()}

    @torch.no_grad()
    def import_state(self, state: Mapping[str, Tensor], model: int = 0) -> None:
        """Set one model; raises KeyError or RuntimeError if the state does not fit."""
        for name, value in self._state(model, only_last=False).items():
            value.copy_(state[name])


def _buffer(name: str) -> str:
    """What the stack calls a buffer: torch takes no dots."""
    return f"kept_{name.replace('.', '__')}"


def make_own(model: str, options: Mapping[str, Any], classes: int, models: int = 1) -> OwnNetwork:
    """A stack of models of a class; raises :class:`SpecError` for one that cannot be made."""
    found = {point.name: point for point in entry_points(group=GROUP)}
    if model not in found:
        there = f"there are {', '.join(found)}" if found else "none is installed"
        raise SpecError(f'no entry point of the group {GROUP} is called "{model}": {there}')
    kind = _load(found[model])

    def make() -> nn.Module:
        made = kind(classes, **options)
        if not isinstance(made, nn.Module):
            raise SpecError(f"{found[model].value} makes no torch.nn.Module")
        return made

    try:
        return OwnNetwork(make, classes, models)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{found[model].value}: {error}") from error


def _load(point: EntryPoint) -> Callable[..., Any]:
    try:
        kind: Callable[..., Any] = point.load()
    except (ImportError, AttributeError) as error:
        raise SpecError(f"{point.value}: {error}") from error
    return kind
