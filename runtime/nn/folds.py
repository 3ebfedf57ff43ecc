"""Which fold an event belongs to: a pure function of its number, written into every model.

By event: the number modulo k. At random: a hash of the number modulo k, Widynski's Squares with 64
bits (arXiv:2004.06278), the number being the counter. Its key comes from words and an offset.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import DataError

EVENT: Final = "event-mod-k"
RANDOM: Final = "squares64-mod-k"
VERSIONS: Final = {EVENT: 1, RANDOM: 1}
FIRST_WORD: Final = "kfold"
# Hashes that a processor keeps in its cache: ten times as fast as ten million at once.
BLOCK: Final = 2**14
KEY_BITS: Final = 64
HALF: Final = np.uint64(32)
HEX_DIGITS: Final = 8

Words = tuple[str | int, ...]
Counters = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class FoldRule:
    """The fold, 0 to kfolds - 1, of an event by its number.

    Model i is validated on the events of fold i and trained on all others. Random folds have the
    ``words`` of their seed and the ``key`` drawn from them; the key is what counts, so that a
    model keeps its folds with any version of NumPy.
    """

    kfolds: int
    algorithm: str = EVENT
    version: int = VERSIONS[EVENT]
    words: Words = ()
    key: int = 0

    def assign(self, event: Tensor) -> Tensor:
        """The folds (N) of event numbers (N), integers on the CPU."""
        if self.algorithm == EVENT:
            return event % self.kfolds
        counter = event.long().numpy().view(np.uint64)
        fold = np.empty(len(counter), np.int64)
        for start in range(0, len(counter), BLOCK):
            rows = slice(start, start + BLOCK)
            fold[rows] = hash_counters(counter[rows], self.key) % np.uint64(self.kfolds)
        return torch.from_numpy(fold)

    def describe(self) -> dict[str, Any]:
        """Algorithm and version, and the words and the hexadecimal key of random folds."""
        seed = {"words": list(self.words), "key": f"{self.key:#018x}"} if self.words else {}
        return {"algorithm": self.algorithm, "version": self.version, **seed}

    @classmethod
    def read(cls, kfolds: int, value: dict[str, Any]) -> FoldRule:
        """The rule that :meth:`describe` described; raises :class:`DataError` for an unknown one.

        What else is wrong with the value raises KeyError, TypeError or ValueError.
        """
        algorithm, version = value["algorithm"], value["version"]
        if VERSIONS.get(algorithm) != version:
            raise DataError(f"folds by {algorithm} version {version} are not known here")
        if algorithm == EVENT:
            return cls(kfolds)
        key = int(value["key"], 16)
        if key >> KEY_BITS:
            raise ValueError(f"a key of more than {KEY_BITS} bits")
        return cls(kfolds, algorithm, version, tuple(value["words"]), key)


def random_folds(kfolds: int, seed: str, offset: int) -> FoldRule:
    """Random folds of the words of a seed and an offset: ``FvT random``, 0.

    The first word is always ``kfold``, whether the seed has it or not.
    """
    words = seed.split()
    start = [] if words[:1] == [FIRST_WORD] else [FIRST_WORD]
    every: Words = (*start, *words, offset)
    return FoldRule(kfolds, RANDOM, VERSIONS[RANDOM], every, make_key(every))


def make_key(words: Words) -> int:
    """The key of 64 bits that words give.

    Strings, as the two little-endian words of their MD5, and integers seed NumPy's PCG64. It draws
    hexadecimal digits as the author of Squares asks for: none is 0, those of a half differ, the
    lowest is odd, and the two where the halves meet differ.
    """
    generator = np.random.Generator(np.random.PCG64(_entropy(words)))
    digits = np.arange(1, 16, dtype=np.uint64)
    low = generator.choice(digits, HEX_DIGITS, replace=False)
    low = np.roll(low, -int(np.flatnonzero(low % 2)[0]))
    first = generator.choice(digits[digits != low[-1]], 1)
    rest = generator.choice(digits[digits != first[0]], HEX_DIGITS - 1, replace=False)
    number = [int(digit) for digit in (*low, *first, *rest)]
    return sum(digit << 4 * place for place, digit in enumerate(number))


def _entropy(words: Words) -> list[int]:
    entropy: list[int] = []
    for word in words:
        if isinstance(word, int):
            entropy.append(word)
            continue
        digest = hashlib.md5(word.encode(), usedforsecurity=False).digest()
        entropy += [int.from_bytes(digest[half : half + 8], "little") for half in (0, 8)]
    return entropy


def hash_counters(counter: Counters, key: int) -> Counters:
    """Squares of counters (N): five rounds of squaring modulo 2**64, and 64 bits each."""
    weyl = counter * np.uint64(key)
    shifted = weyl + np.uint64(key)
    x = weyl
    for shift in (weyl, shifted, weyl):
        x = _swap(x * x + shift)
    fourth: Counters = x * x + shifted
    x = _swap(fourth)
    fourth ^= (x * x + weyl) >> HALF
    return fourth


def _swap(x: Counters) -> Counters:
    """The two halves of each number, swapped."""
    return (x >> HALF) | (x << HALF)
