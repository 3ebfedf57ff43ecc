"""What a training step asks of torch: as many calls for nine models as for two, no read back."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from hcrc.runtime.nn.schedule import Schedule
from hcrc.runtime.nn.train import Report, train
from hcrc.runtime.nn.training import Trainee
from hcrc.runtime.spec import Ghost, Training
from torch.utils._python_dispatch import TorchDispatchMode

from .training import CLASSIFIER, DATA, EVENT, RULE, SETTINGS

GHOST = Ghost(batches=4, scale=1.0, milestones=[])
EVENTS = 64


pytestmark = pytest.mark.usefixtures("one_thread")


class Calls(TorchDispatchMode):
    """Counts the calls of each operator, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def calls(models: int, batch: int, schedule: str) -> Counter[str]:
    """The calls of an epoch, with what comes before and after it."""
    trainees = [Trainee(0, seed, 0, 0, RULE) for seed in range(models)]
    training = Training(
        schedule=schedule,  # type: ignore[arg-type]
        epochs=1,
        batch=batch,
        batch_scale=1,
        batch_milestones=[],
        learning_rate=0.01,
        learning_rate_scale=0.5,
        learning_rate_milestones=[],
    )
    settings = replace(
        SETTINGS,
        classifier=replace(CLASSIFIER, rocs=[]),
        stages=(Schedule(training, GHOST, "finetuning" if "Fine" in schedule else "training"),),
        benchmark=False,
        stack_events=10**6,
    )
    with Calls() as counted:
        train(DATA, EVENT, trainees, settings, Report())
    return counted.counts


def step(models: int, schedule: str) -> Counter[str]:
    """The calls of four steps more, on as many events."""
    few, many = calls(models, EVENTS // 4, schedule), calls(models, EVENTS // 8, schedule)
    more = Counter(many)
    more.subtract(few)
    return Counter({name: count for name, count in more.items() if count})


def test_a_step_of_nine_models_calls_what_a_step_of_two_calls() -> None:
    """A single model takes other copies, as an axis of one is contiguous in more ways."""
    two, nine = step(2, "FixedStep"), step(9, "FixedStep")
    assert sum(two.values()) > 100
    assert nine == two
    alone = step(1, "FixedStep")
    assert sum(nine.values()) < 1.05 * sum(alone.values())


def test_no_step_reads_a_tensor_back() -> None:
    for schedule in ("FixedStep", "FinetuneStepSGD"):
        found = step(9, schedule)
        assert found["_local_scalar_dense"] == found["item"] == found["nonzero"] == 0


def test_the_count_sees_what_a_step_would_read() -> None:
    with Calls() as counted:
        torch.ones(2).sum().item()
    assert counted.counts["_local_scalar_dense"] == 1
