"""Folds: by the event number, or at random by words and an offset."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hcrc.runtime.errors import DataError
from hcrc.runtime.nn.folds import FoldRule, hash_counters, make_key, random_folds


def test_folds_are_event_number_modulo_k() -> None:
    event = torch.tensor([0, 1, 2, 3, 2**40 + 1])
    assert FoldRule(3).assign(event).tolist() == [0, 1, 2, 0, 2]


def test_random_folds_are_those_of_the_older_tool() -> None:
    rule = random_folds(3, "FvT random", 0)
    assert rule.words == ("kfold", "FvT", "random", 0)
    assert rule.assign(torch.arange(10)).tolist() == [2, 1, 1, 1, 0, 0, 0, 2, 2, 0]


def test_first_word_is_kfold() -> None:
    assert random_folds(3, "kfold", 2).words == ("kfold", 2)
    assert random_folds(3, " kfold  FvT random ", 0) == random_folds(3, "FvT random", 0)


def test_random_folds_depend_on_words_and_offset_and_have_equal_parts() -> None:
    event = torch.arange(2**40, 2**40 + 30_000)  # Two blocks.
    rules = [random_folds(3, seed, offset) for seed in ("kfold", "FvT") for offset in (0, 1)]
    found = [rule.assign(event) for rule in rules]
    for index, fold in enumerate(found):
        assert torch.bincount(fold).tolist() == pytest.approx([10_000] * 3, abs=400)
        for other in found[:index]:
            assert 0.3 < float((fold == other).double().mean()) < 0.37


def test_key_follows_the_rules_of_its_author() -> None:
    for offset in range(50):
        digits = f"{make_key(('kfold', offset)):016x}"
        assert "0" not in digits
        assert len(set(digits[8:])) == len(set(digits[:8])) == 8
        assert int(digits[-1], 16) % 2 == 1
        assert digits[7] != digits[8]


def test_hash_is_squares_of_64_bits() -> None:
    key, mask = make_key(("kfold", 0)), 2**64 - 1
    for counter in (0, 1, 12345, 2**63 + 5):
        y = x = counter * key & mask
        z = (y + key) & mask
        for shift in (y, z, y):
            x = (x * x + shift) & mask
            x = (x >> 32 | x << 32) & mask
        t = x = (x * x + z) & mask
        x = (x >> 32 | x << 32) & mask
        expected = t ^ (((x * x + y) & mask) >> 32)
        assert int(hash_counters(np.array([counter], np.uint64), key)[0]) == expected


def test_rule_is_what_was_described_whatever_the_words_give_now() -> None:
    rule = random_folds(3, "FvT random", 1)
    value = rule.describe()
    assert value["words"] == ["kfold", "FvT", "random", 1]
    assert FoldRule.read(3, value) == rule
    assert FoldRule.read(3, value | {"key": "0x1"}).key == 1
    assert FoldRule(4).describe() == {"algorithm": "event-mod-k", "version": 1}
    assert FoldRule.read(4, FoldRule(4).describe()) == FoldRule(4)


@pytest.mark.parametrize(("algorithm", "version"), [("event-mod-k", 2), ("md5", 1)])
def test_unknown_rule_is_refused(algorithm: str, version: int) -> None:
    with pytest.raises(DataError, match=f"folds by {algorithm} version {version} are not known"):
        FoldRule.read(3, {"algorithm": algorithm, "version": version})


@pytest.mark.parametrize("key", ["", "key", "-0x1", f"{2**64:#x}"])
def test_key_that_is_none_is_refused(key: str) -> None:
    value = random_folds(3, "FvT random", 0).describe()
    with pytest.raises(ValueError, match=r"key|literal"):
        FoldRule.read(3, value | {"key": key})


def test_event_numbers_may_be_of_32_bits() -> None:
    rule, event = random_folds(3, "FvT random", 0), torch.arange(10)
    assert torch.equal(rule.assign(event.int()), rule.assign(event))
