"""Batch, learning rate and ghost batches as functions of finished epochs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hcrc.runtime.nn.normalization import Ghosts
from hcrc.runtime.nn.schedule import FixedStep
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
SCHEDULE = FixedStep(TRAINING, GHOST)


def test_batch_doubles_at_milestones() -> None:
    sizes = [SCHEDULE.batch(epoch) for epoch in range(12)]
    assert sizes == [1024, 2048, 2048, 4096, 4096, 4096] + [8192] * 4 + [16384] * 2


def test_learning_rate_falls_late() -> None:
    assert [SCHEDULE.learning_rate(epoch) for epoch in (0, 14)] == [0.01, 0.01]
    assert SCHEDULE.learning_rate(15) == pytest.approx(0.0025)
    assert SCHEDULE.learning_rate(19) == pytest.approx(0.01 * 0.25**5)


def test_ghost_batches_fall_to_none_and_the_fixed_part_keeps_its_own() -> None:
    counts = [SCHEDULE.ghosts(epoch) for epoch in (0, 1, 3, 6, 10, 15)]
    assert [ghosts.batches for ghosts in counts] == [64, 16, 4, 1, 0, 0]
    assert {ghosts.fixed for ghosts in counts} == {64}


def test_ghost_batches_are_floored() -> None:
    schedule = FixedStep(TRAINING, Ghost(batches=10, scale=0.25, milestones=[1, 2]))
    assert [schedule.ghosts(epoch).batches for epoch in range(3)] == [10, 2, 0]


def test_rounding_does_not_cost_an_integer() -> None:
    training = replace(TRAINING, batch=1000, batch_scale=1.1, batch_milestones=[1, 2])
    assert [FixedStep(training, GHOST).batch(epoch) for epoch in range(3)] == [1000, 1100, 1210]


def test_last_incomplete_batch_is_dropped() -> None:
    plan = SCHEDULE.plan(0, 5000)
    assert (plan.batch, plan.steps, plan.learning_rate) == (1024, 4, 0.01)
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
