"""ROC curves of weighted events."""

from __future__ import annotations

import numpy as np
import pytest
from hcrc.runtime.nn.roc import roc

POSITIVE = np.array([True, True, False, False])


def test_perfect_and_reversed_separation() -> None:
    score = np.array([1.0, 0.9, 0.2, 0.0])
    assert roc(score, POSITIVE, np.ones(4)).auc == pytest.approx(1)
    assert roc(1 - score, POSITIVE, np.ones(4)).auc == pytest.approx(0)


def test_curve_runs_from_the_origin_to_one() -> None:
    curve = roc(np.array([0.8, 0.4, 0.6, 0.1]), POSITIVE, np.ones(4), bins=10)
    assert (curve.false_positive[0], curve.true_positive[0]) == (0, 0)
    assert (curve.false_positive[-1], curve.true_positive[-1]) == (1, 1)
    assert curve.true_positive[3] == pytest.approx(0.5)
    assert curve.false_positive[3] == 0
    assert curve.auc == pytest.approx(0.75)


def test_area_is_that_of_all_pairs() -> None:
    random = np.random.default_rng(1)
    is_positive = random.random(2000) < 0.4
    score = np.clip(random.normal(0.45 + 0.1 * is_positive, 0.15), 0, 1)
    weight = random.random(2000)
    pairs = score[is_positive][:, None] > score[~is_positive][None, :]
    outer = weight[is_positive][:, None] * weight[~is_positive][None, :]
    assert roc(score, is_positive, weight).auc == pytest.approx(
        (pairs * outer).sum() / outer.sum(), abs=1e-3
    )


def test_indistinguishable_scores_have_half_the_area() -> None:
    assert roc(np.full(4, 0.5), POSITIVE, np.ones(4)).auc == pytest.approx(0.5)


def test_negative_weights_cancel_positive_ones() -> None:
    score = np.array([0.9, 0.9, 0.1, 0.9, 0.9])
    is_positive = np.array([True, True, False, False, False])
    weight = np.array([2.0, -1.0, 1.0, 1.0, -1.0])
    assert roc(score, is_positive, weight).auc == pytest.approx(1)


@pytest.mark.parametrize("weight", [[1.0, 1, 0, 0], [1, -1, 1, 1]])
def test_side_without_weight_has_no_area(weight: list[float]) -> None:
    curve = roc(np.array([0.9, 0.8, 0.2, 0.1]), POSITIVE, np.array(weight))
    assert curve.auc is None
    assert len(curve.true_positive) == 0
    assert curve.thin(10) is curve


def test_thinned_curve_keeps_ends_and_area() -> None:
    random = np.random.default_rng(2)
    score, is_positive = random.random(500), random.random(500) < 0.5
    curve = roc(score, is_positive, np.ones(500))
    thin = curve.thin(50)
    assert len(thin.true_positive) == 50
    assert (thin.true_positive[0], thin.true_positive[-1]) == (0, 1)
    assert thin.auc == curve.auc
