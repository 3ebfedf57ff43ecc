"""Batch, learning rate and ghost batches as functions of finished epochs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hcrc.runtime.nn.adam import Adam
from hcrc.runtime.nn.normalization import Ghosts
from hcrc.runtime.nn.schedule import Schedule
from hcrc.runtime.nn.sgd import SGD
from hcrc.runtime.spec import Ghost, Training

TRAINING = Training(
    schedule="FixedStep",
    epochs=20,
    batch=1024,
    batch_scale=2,
    batch_milestones=[1, 3, 6, 10],
    learning_rate=0.01,
    learning_rate_scale=0.25,
    learning_rate_milestones=list(range(15, 25)),
)
GHOST = Ghost(batches=64, scale=0.25, milestones=[1, 3, 6, 10, 15])
SCHEDULE = Schedule(TRAINING, GHOST)


def test_batch_doubles_at_milestones() -> None:
    sizes = [SCHEDULE.batch(epoch) for epoch in range(12)]
    assert sizes == [1024, 2048, 2048, 4096, 4096, 4096] + [8192] * 4 + [16384] * 2


def test_learning_rate_falls_late() -> None:
    rate, values = SCHEDULE.start_rate(), []
    for _ in range(20):
        values.append(rate.value)
        rate.finish_epoch(None)
    assert values[:15] == [0.01] * 15
    assert values[15] == pytest.approx(0.0025)
    assert values[19] == pytest.approx(0.01 * 0.25**5)


def test_ghost_batches_fall_to_none_and_the_fixed_part_keeps_its_own() -> None:
    counts = [SCHEDULE.ghosts(epoch) for epoch in (0, 1, 3, 6, 10, 15)]
    assert [ghosts.batches for ghosts in counts] == [64, 16, 4, 1, 0, 0]
    assert {ghosts.fixed for ghosts in counts} == {64}


def test_ghost_batches_are_floored() -> None:
    schedule = Schedule(TRAINING, Ghost(batches=10, scale=0.25, milestones=[1, 2]))
    assert [schedule.ghosts(epoch).batches for epoch in range(3)] == [10, 2, 0]


def test_rounding_does_not_cost_an_integer() -> None:
    training = replace(TRAINING, batch=1000, batch_scale=1.1, batch_milestones=[1, 2])
    assert [Schedule(training, GHOST).batch(epoch) for epoch in range(3)] == [1000, 1100, 1210]


def test_last_incomplete_batch_is_dropped() -> None:
    plan = SCHEDULE.plan(0, 5000)
    assert (plan.batch, plan.steps) == (1024, 4)
    assert plan.ghosts == Ghosts(64, 64)


def test_small_part_is_one_batch_with_ghost_batches_that_divide_it() -> None:
    plan = SCHEDULE.plan(0, 900)
    assert (plan.batch, plan.steps) == (900, 1)
    assert plan.ghosts == Ghosts(60, 60)
    assert SCHEDULE.plan(3, 907).ghosts == Ghosts(1, 1)
    assert SCHEDULE.plan(10, 900).ghosts == Ghosts(0, 60)


def test_no_events_are_no_steps() -> None:
    assert SCHEDULE.plan(0, 0).steps == 0


@pytest.mark.parametrize(("ghosts", "blocks"), [((64, 64), 64), ((0, 64), 64), ((4, 6), 12)])
def test_blocks_are_common_to_all_ghost_batches(ghosts: tuple[int, int], blocks: int) -> None:
    assert Ghosts(*ghosts).blocks == blocks


AUTO = Training(
    schedule="AutoStep",
    epochs=20,
    batch=1024,
    batch_scale=2,
    batch_milestones=[],
    learning_rate=0.01,
    learning_rate_scale=0.25,
    learning_rate_threshold=1e-4,
    learning_rate_patience=1,
    learning_rate_cooldown=1,
    learning_rate_minimum=2e-4,
)
FINETUNE = replace(
    AUTO,
    schedule="FinetuneStep",
    learning_rate=1e-4,
    learning_rate_scale=0.5,
    learning_rate_threshold=1e-3,
    learning_rate_patience=0,
    learning_rate_cooldown=0,
    learning_rate_minimum=1e-9,
)


@pytest.mark.parametrize("training", [AUTO, FINETUNE, replace(AUTO, learning_rate_cooldown=3)])
@pytest.mark.parametrize("falling", [0.0, 2e-4, 2e-3])
def test_plateau_is_that_of_torch(training: Training, falling: float) -> None:
    random = torch.Generator().manual_seed(5)
    losses = 1 - falling * torch.arange(60) + 2e-3 * torch.randn(60, generator=random)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=training.learning_rate)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        factor=training.learning_rate_scale,
        patience=training.learning_rate_patience,
        threshold=training.learning_rate_threshold,
        cooldown=training.learning_rate_cooldown,
        min_lr=training.learning_rate_minimum,
    )
    rate = Schedule(training, GHOST).start_rate()
    found = []
    for loss in losses.tolist():
        reference.step(loss)
        rate.finish_epoch(loss)
        found.append(rate.value)
        assert rate.value == optimizer.param_groups[0]["lr"]
    if falling == 0:
        assert len(set(found)) > 2
        assert found[-1] < training.learning_rate / 10


def test_each_schedule_has_its_optimizer() -> None:
    weights = torch.zeros(2, 3)
    kinds = ("FixedStep", "AutoStep", "FinetuneStep", "FinetuneStepSGD")
    schedules = [Schedule(replace(AUTO, schedule=kind), GHOST) for kind in kinds]
    optimizers = [type(schedule.start_optimizer(weights)) for schedule in schedules]
    assert optimizers == [Adam, Adam, Adam, SGD]
    assert [schedule.needs_loss for schedule in schedules] == [False, True, True, True]
