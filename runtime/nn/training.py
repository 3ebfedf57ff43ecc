"""The state of a training: each model beside its row of the stack, and all of them together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .benchmark import Figures
from .checkpoint import State
from .folds import FoldRule
from .network import Network
from .rate import Rate
from .schedule import Epoch, Optimizer, Schedule


@dataclass(frozen=True)
class Trainee:
    """A model to train: its place among the cells of the job, its seed and its fold.

    The cells of a job may have different folds, each by a rule of its own.
    """

    cell: int
    seed: int
    offset: int
    fold: int
    rule: FoldRule

    @property
    def generator(self) -> torch.Generator:
        """A new generator of the model's own, for its first weights and the order of events.

        Its seed is the first 63 bits of sha256("hcrc/<seed + offset>/<fold>").
        """
        text = f"hcrc/{self.seed + self.offset}/{self.fold}"
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return torch.Generator().manual_seed(number >> 1)


@dataclass
class Training:
    """The state of one model's training, beside its row of the stack.

    ``held_out`` (N) bool on the CPU are the events it is validated on, ``part`` the rows of those
    it trains on, ``order`` those of the present epoch. ``plans`` are the epochs of all stages.
    """

    trainee: Trainee
    held_out: Tensor
    part: Tensor
    generator: torch.Generator
    plans: list[Epoch]
    rate: Rate
    done: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    last: Figures | None = None
    order: Tensor = field(default_factory=lambda: torch.empty(0))

    @property
    def epoch(self) -> int:
        """The number of finished epochs, of all stages."""
        return len(self.history)

    @property
    def steps(self) -> int:
        """The steps of all epochs."""
        return sum(plan.steps for plan in self.plans)

    def state(self) -> State:
        """What it remembers of the epochs so far, beside its row of the stack."""
        return {
            "generator": self.generator.get_state(),
            "rate": self.rate.state(),
            "done": self.done,
            "history": self.history,
        }

    def restore(self, state: State) -> None:
        """Go on from a state of the same model, whose rate has just started."""
        self.generator.set_state(state["generator"])
        for name, value in state["rate"].items():
            setattr(self.rate, name, value)
        self.done, self.history = state["done"], state["history"]


@dataclass
class Run:
    """All models of a training between two epochs: ``epoch`` of stage ``stage`` is the next one.

    ``networks`` are the stacks at the end of the stages before.
    """

    network: Network
    optimizer: Optimizer
    trainings: list[Training]
    networks: list[Network] = field(default_factory=list)
    stage: int = 0
    epoch: int = 0

    def start_stage(self, schedule: Schedule) -> None:
        """Begin with the first epoch of a stage."""
        self.epoch, self.optimizer = 0, schedule.start_optimizer(self.network.weights)
        for training in self.trainings:
            training.rate = schedule.start_rate()

    def end_stage(self) -> None:
        """Keep the models as they are at the end of a stage."""
        self.networks.append(self.network.take(list(range(self.network.models))).eval())
        self.stage += 1

    def state(self) -> State:
        """What :meth:`restore` goes on from: tensors and plain values."""
        return {
            "stage": self.stage,
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "networks": [network.state_dict() for network in self.networks],
            "optimizer": self.optimizer.state(),
            "trainings": [training.state() for training in self.trainings],
        }

    @torch.no_grad()
    def restore(self, state: State, stages: tuple[Schedule, ...]) -> None:
        """Go on from a state of the same training."""
        self.stage = state["stage"]
        for kept in state["networks"]:
            network = self.network.take(list(range(self.network.models))).eval()
            network.load_state_dict(kept)
            self.networks.append(network)
        self.network.load_state_dict(state["network"])
        self.start_stage(stages[self.stage])
        self.epoch = state["epoch"]
        for name, value in self.optimizer.state().items():
            value.copy_(state["optimizer"][name])
        for training, kept in zip(self.trainings, state["trainings"], strict=True):
            training.restore(kept)
