"""Training: the loop, and stacks against single models."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hcrc.runtime.errors import DataError
from hcrc.runtime.nn.adam import Adam
from hcrc.runtime.nn.benchmark import Data, measure, score_events, sides
from hcrc.runtime.nn.embedding import embedding_statistics
from hcrc.runtime.nn.folds import FoldRule
from hcrc.runtime.nn.memory import keep_freed_memory
from hcrc.runtime.nn.schedule import Schedule
from hcrc.runtime.nn.sgd import SGD
from hcrc.runtime.nn.train import (
    Report,
    schedule_stacks,
    start_network,
    start_training,
    train,
)
from hcrc.runtime.nn.training import Trainee

from .training import (
    CLASSES,
    CLASSIFIER,
    DATA,
    EVENT,
    GHOST,
    RULE,
    SETTINGS,
    TRAINEES,
    TRAINING,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def test_stack_trains_each_model_as_if_alone() -> None:
    (network,), together = train(DATA, EVENT, TRAINEES, SETTINGS, Report())
    for model, trainee in enumerate(TRAINEES):
        (alone,), (single,) = train(DATA, EVENT, [trainee], SETTINGS, Report())
        for row, own in zip(together[model].history, single.history, strict=True):
            assert row["batch_loss"] == pytest.approx(own["batch_loss"], rel=1e-5)
            for part in ("training", "validation"):
                assert row[part]["loss"] == pytest.approx(own[part]["loss"], rel=1e-5)
        assert torch.allclose(network.weights[model], alone.weights[0], atol=1e-3)


def test_one_after_the_other_is_the_same_as_alone_bit_by_bit() -> None:
    settings = replace(SETTINGS, stack_events=1)
    (network,), _ = train(DATA, EVENT, TRAINEES[:3], settings, Report())
    (alone,), _ = train(DATA, EVENT, TRAINEES[1:2], settings, Report())
    assert torch.equal(network.weights[1], alone.weights[0])


def test_same_seed_gives_the_same_bits() -> None:
    (first,), _ = train(DATA, EVENT, TRAINEES[:2], SETTINGS, Report())
    (second,), _ = train(DATA, EVENT, TRAINEES[:2], SETTINGS, Report())
    assert torch.equal(first.weights, second.weights)
    assert torch.equal(first.scale, second.scale)


def test_trainees_have_generators_of_their_own() -> None:
    trainees = [*TRAINEES, Trainee(0, 8, 2, 0, RULE)]
    numbers = {int(torch.randint(2**40, (), generator=t.generator)) for t in trainees}
    assert len(numbers) == len(trainees)
    assert (
        Trainee(0, 7, 1, 2, RULE).generator.initial_seed()
        == Trainee(1, 8, 0, 2, RULE).generator.initial_seed()
    )


def test_models_with_fewer_steps_wait() -> None:
    event = torch.cat([torch.zeros(64), torch.ones(64), torch.full((96,), 2)]).long()
    fold = RULE.assign(event)
    trainings = [
        start_training(Trainee(0, 0, 0, fold_, RULE), fold, SETTINGS) for fold_ in range(3)
    ]
    assert [training.plans[0].steps for training in trainings] == [5, 5, 4]
    stacks = list(schedule_stacks(trainings, 0, replace(SETTINGS, stack_events=96)))
    assert stacks == [([0, 1, 2], range(4)), ([0, 1], range(4, 5))]
    assert list(schedule_stacks(trainings, 0, replace(SETTINGS, stack_events=95))) == [
        ([0, 1], range(5)),
        ([2], range(4)),
    ]
    alone = list(schedule_stacks(trainings, 0, replace(SETTINGS, stack_events=1)))
    assert alone == [([0], range(5)), ([1], range(5)), ([2], range(4))]
    pairs = list(schedule_stacks(trainings, 0, replace(SETTINGS, max_trainers=2)))
    assert pairs == [([0, 1], range(5)), ([2], range(4))]


def test_models_with_other_batches_are_no_stack() -> None:
    settings = replace(SETTINGS, stages=(Schedule(replace(TRAINING, batch=1024), GHOST),))
    fold = RULE.assign(torch.arange(100))
    trainings = [
        start_training(Trainee(0, 0, 0, fold_, RULE), fold, settings) for fold_ in range(3)
    ]
    assert [models for models, _ in schedule_stacks(trainings, 0, SETTINGS)] == [[0], [1, 2]]


def test_freed_memory_is_kept_by_glibc() -> None:
    assert keep_freed_memory() is (platform.libc_ver()[0] == "glibc")


def test_history_records_the_schedule() -> None:
    _, (training,) = train(DATA, EVENT, TRAINEES[:1], SETTINGS, Report())
    rows = training.history
    assert [row["batch"] for row in rows] == [32, 64, 64]
    assert [row["steps"] for row in rows] == [5, 2, 2]
    assert [row["ghost_batches"] for row in rows] == [4, 2, 2]
    assert [row["ghost_batches_fixed"] for row in rows] == [4, 4, 4]
    assert [row["learning_rate"] for row in rows] == [0.01, 0.01, 0.005]


def test_training_learns() -> None:
    schedule = Schedule(replace(TRAINING, epochs=12), GHOST)
    _, (training,) = train(
        DATA, EVENT, TRAINEES[:1], replace(SETTINGS, stages=(schedule,)), Report()
    )
    first, last = training.history[0], training.history[-1]
    assert last["training"]["loss"] < first["training"]["loss"]
    assert last["validation"]["auc"]["signal"] > 0.7
    assert training.last is not None
    assert training.last.curves["signal"].auc == last["validation"]["auc"]["signal"]


def test_without_benchmark_there_are_only_the_batches_losses() -> None:
    _, (training,) = train(DATA, EVENT, TRAINEES[:1], replace(SETTINGS, benchmark=False), Report())
    assert training.last is None
    assert {row["validation"] for row in training.history} == {None}
    assert all(row["batch_loss"] > 0 for row in training.history)


def test_benchmark_is_the_weighted_mean_over_each_part() -> None:
    fold = RULE.assign(EVENT)
    trainings = [start_training(trainee, fold, SETTINGS) for trainee in TRAINEES[:2]]
    network = start_network(DATA, trainings, SETTINGS)
    scores = score_events(network, DATA, CLASSES, CLASSIFIER.rocs, 40)
    part = (fold == 1).numpy()
    figures = measure(scores, 1, part, sides(CLASSES, CLASSIFIER.rocs))
    logits = network.eval()(DATA.matrix[fold == 1])[0][1].detach()
    entropy = torch.nn.functional.cross_entropy(logits, DATA.label[fold == 1], reduction="none")
    weight = DATA.weight[fold == 1]
    assert figures.loss == pytest.approx(float((weight * entropy).sum() / weight.sum()), rel=1e-5)
    assert measure(scores, 0, np.zeros(250, dtype=bool), {}).loss is None


def test_embedding_statistics_are_those_of_the_training_part() -> None:
    fold = RULE.assign(EVENT)
    trainings = [start_training(trainee, fold, SETTINGS) for trainee in TRAINEES[:2]]
    network = start_network(DATA, trainings, SETTINGS)
    place = network.layout.statistics["inputEmbed.ancillaryEmbed"]
    for model in range(2):
        ancillary = DATA.matrix[fold != model][:, 85:88].double()
        assert torch.allclose(network.mean[model, place][1:].double(), ancillary.mean(0))
        assert torch.allclose(network.scale[model, place][1:].double(), ancillary.std(0))
    whole = embedding_statistics(DATA.matrix, torch.arange(250), CLASSIFIER.architecture)
    parts = embedding_statistics(DATA.matrix, torch.arange(250), CLASSIFIER.architecture, 30)
    for name, (mean, scale) in whole.items():
        assert torch.allclose(mean, parts[name][0], rtol=1e-12)
        assert torch.allclose(scale, parts[name][1], rtol=1e-12)


def test_feature_that_does_not_vary_keeps_a_scale() -> None:
    statistics = embedding_statistics(DATA.matrix, torch.arange(250), CLASSIFIER.architecture)
    mean, scale = statistics["ancillaryEmbed"]
    assert (mean[0], scale[0]) == (18, 1)


def test_adam_is_that_of_torch() -> None:
    weights = torch.randn(2, 50, dtype=torch.float64)
    ours, theirs = weights.clone(), torch.nn.Parameter(weights.clone())
    adam, reference = Adam(ours), torch.optim.Adam([theirs], lr=0.01)
    for _ in range(5):
        theirs.grad = torch.randn(2, 50, dtype=torch.float64)
        adam.step(theirs.grad, 0.01)
        reference.step()
    assert torch.allclose(ours, theirs, rtol=1e-12)


def test_gradient_descent_is_that_of_torch() -> None:
    weights = torch.randn(2, 50, dtype=torch.float64)
    ours, theirs = weights.clone(), torch.nn.Parameter(weights.clone())
    gradient = torch.randn(2, 50, dtype=torch.float64)
    theirs.grad = gradient
    torch.optim.SGD([theirs], lr=0.01).step()
    SGD(ours).step(gradient, 0.01)
    assert torch.allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("kind", [Adam, SGD])
def test_each_model_has_its_learning_rate(kind: type[Adam] | type[SGD]) -> None:
    gradient, rates = torch.randn(2, 50), (0.01, 0.3)
    together = torch.zeros(2, 50)
    kind(together).step(gradient, torch.tensor(rates, dtype=torch.float64).unsqueeze(1))
    for model, rate in enumerate(rates):
        alone = torch.zeros(1, 50)
        kind(alone).step(gradient[model : model + 1], rate)
        assert torch.equal(together[model], alone[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.weight.__setitem__(slice(None), 0.0), "fold 0, epoch 0, step 0: the weights"),
        (lambda d: d.weight.__setitem__(4, float("nan")), r"fold 0, epoch 0, step \d: the loss is"),
        (lambda d: d.matrix.__setitem__(4, float("nan")), r"fold 0, epoch 0, step \d: the loss is"),
    ],
)
def test_wrong_data_end_the_training(change: Callable[[Data], None], message: str) -> None:
    data = Data(DATA.matrix.clone(), DATA.label, DATA.weight.clone())
    change(data)
    with pytest.raises(DataError, match=message):
        train(data, EVENT, TRAINEES[:1], SETTINGS, Report())


@pytest.mark.parametrize(("kfolds", "epochs"), [(1, 3), (3, 0)])
def test_training_of_no_step_is_refused(kfolds: int, epochs: int) -> None:
    schedule = Schedule(replace(TRAINING, epochs=epochs), GHOST)
    settings = replace(SETTINGS, stages=(schedule,))
    with pytest.raises(DataError, match="no step to train"):
        train(DATA, EVENT, [Trainee(0, 7, 0, 0, FoldRule(kfolds))], settings, Report())
