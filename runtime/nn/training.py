"""The state of a training: each model beside its row of the stack, and all of them together."""

from __future__ import annotations

import hashlib
import math
from dataclasses import astuple, dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from ..data.histograms import Floats
from .benchmark import Figures
from .checkpoint import State
from .folds import FoldRule
from .network import Network
from .normalization import OFF, Ghosts
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


@dataclass(frozen=True)
class Choice:
    """Which models are kept, and when one stops: by their validation losses, epoch by epoch.

    With ``keep_best`` a stage ends with each model as it was after its best epoch. After
    ``patience`` epochs without a better one a model stops; None is never.
    """

    keep_best: bool = False
    patience: int | None = None

    @property
    def needs_loss(self) -> bool:
        """Whether a validation loss has to be there."""
        return self.keep_best or self.patience is not None


KEEP_LAST: Final = Choice()


@dataclass
class Training:
    """The state of one model's training, beside its row of the stack.

    ``held_out`` (N) bool on the CPU are the events it is validated on, ``part`` the rows of those
    it trains on, ``order`` those of the present epoch. ``plans`` are the epochs of all stages; one
    that ``stopped`` makes no step in those that are left of the stage. ``best_epoch`` of the stage
    is that of its ``best_loss``. ``scores`` are the last histograms of :class:`ScoreHistograms`.
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
    scores: Floats | None = None
    order: Tensor = field(default_factory=lambda: torch.empty(0))
    best_loss: float = math.inf
    best_epoch: int = -1
    stopped: bool = False

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
            "plans": [[plan.batch, plan.steps, *astuple(plan.ghosts)] for plan in self.plans],
            "best": [self.best_loss, self.best_epoch],
            "stopped": self.stopped,
        }

    def restore(self, state: State) -> None:
        """Go on from a state of the same model, whose rate has just started."""
        self.generator.set_state(state["generator"])
        for name, value in state["rate"].items():
            setattr(self.rate, name, value)
        self.done, self.history = state["done"], state["history"]
        self.plans = [
            Epoch(batch, steps, Ghosts(*ghosts)) for batch, steps, *ghosts in state["plans"]
        ]
        self.best_loss, self.best_epoch = state["best"]
        self.stopped = state["stopped"]

    def note_loss(self) -> bool:
        """Whether the last epoch was the best one of the stage so far."""
        figures = self.history[-1]["validation"]
        loss = figures["loss"] if figures else None
        if loss is None or loss >= self.best_loss:
            return False
        self.best_loss, self.best_epoch = loss, self.epoch - 1
        return True

    def stop(self, left: int) -> None:
        """Make no step in the epochs that are left of the stage."""
        rest = Epoch(batch=0, steps=0, ghosts=OFF)
        self.plans[self.epoch : self.epoch + left] = [rest] * left
        self.stopped = True


@dataclass
class Run:
    """All models of a training between two epochs: ``epoch`` of stage ``stage`` is the next one.

    ``networks`` are the stacks at the end of the stages before, ``best`` is the stack of each
    model's best epoch so far, where that is the one to keep.
    """

    network: Network
    optimizer: Optimizer
    trainings: list[Training]
    choice: Choice = KEEP_LAST
    best: Network | None = None
    networks: list[Network] = field(default_factory=list)
    stage: int = 0
    epoch: int = 0

    def start_stage(self, schedule: Schedule) -> None:
        """Begin with the first epoch of a stage."""
        self.epoch, self.optimizer = 0, schedule.start_optimizer(self.network.weights)
        self.best = self.network.take(self._all) if self.choice.keep_best else None
        for training in self.trainings:
            training.rate, training.stopped = schedule.start_rate(), False
            training.best_loss, training.best_epoch = math.inf, training.epoch - 1

    @property
    def is_over(self) -> bool:
        """Whether no model goes on in this stage."""
        return all(training.stopped for training in self.trainings)

    def finish_epoch(self, left: int) -> None:
        """Note which models are at their best, and which stop; ``left`` epochs are to come."""
        self.epoch += 1
        better = [model for model in self._all if self.trainings[model].note_loss()]
        if self.best is not None and better:
            self.best.put(better, self.network.take(better))
        patience = self.choice.patience
        for training in self.trainings:
            if patience is not None and training.epoch - 1 - training.best_epoch >= patience:
                training.stop(left)
        if self.is_over:
            for training in self.trainings:
                del training.plans[training.epoch : training.epoch + left]

    def end_stage(self) -> None:
        """Keep the models as they are at the end of a stage, or as they were at their best."""
        if self.best is not None:
            self.network.put(self._all, self.best)
        self.networks.append(self.network.take(self._all).eval())
        self.stage, self.epoch = self.stage + 1, 0

    @property
    def _all(self) -> list[int]:
        return list(range(self.network.models))

    def state(self) -> State:
        """What :meth:`restore` goes on from: tensors and plain values."""
        return {
            "stage": self.stage,
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "networks": [network.state_dict() for network in self.networks],
            "best": None if self.best is None else self.best.state_dict(),
            "optimizer": self.optimizer.state(),
            "trainings": [training.state() for training in self.trainings],
        }

    @torch.no_grad()
    def restore(self, state: State, stages: tuple[Schedule, ...]) -> None:
        """Go on from a state of the same training."""
        self.stage = state["stage"]
        for kept in state["networks"]:
            network = self.network.take(self._all).eval()
            network.load_state_dict(kept)
            self.networks.append(network)
        self.network.load_state_dict(state["network"])
        self.start_stage(stages[self.stage])
        self.epoch = state["epoch"]
        if self.best is not None:
            self.best.load_state_dict(state["best"])
        for name, value in self.optimizer.state().items():
            value.copy_(state["optimizer"][name])
        for training, kept in zip(self.trainings, state["trainings"], strict=True):
            training.restore(kept)
