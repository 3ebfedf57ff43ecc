"""CPU time of the network on one thread: a training step and an evaluation, against a plain one.

    python benchmarks/network.py [--rounds N]

The yardstick is ``tests/plain_hcr.py`` in float32: the same network for one model, its layers,
ghost batches and attention written one by one, with autograd and torch's Adam. Its events are
prepared beforehand, as ours are. Both sides run in turn; the table holds the median of the rounds
in ms, and how many times as fast ours is. The targets are those of the project.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from hcrc.runtime.nn.adam import Adam
from hcrc.runtime.nn.hcr import HCR
from hcrc.runtime.nn.loss import weighted_loss
from hcrc.runtime.nn.memory import keep_freed_memory
from hcrc.runtime.nn.normalization import Ghosts
from hcrc.runtime.nn.prepare import prepare
from hcrc.runtime.spec import Architecture
from torch import Tensor
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import plain_hcr

CLASSES, FEATURES, GHOSTS = 4, 8, 64
STEP_BATCH, EVALUATE_BATCH = 1024, 2048
TARGETS = {"train step": 3.0, "evaluate": 2.0}
Pair = tuple[Callable[[], object], Callable[[], object]]


def make_raw(events: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random events as both prepare them."""
    case = plain_hcr.Case(n_classes=CLASSES, n_features=FEATURES, events=events)
    found = plain_hcr.random_events(case, np.random.default_rng(1))
    canjet, notcanjet, ancillary = (
        torch.tensor(found[key]).float() for key in ("canjet", "notcanjet", "ancillary")
    )
    return canjet, notcanjet, ancillary


def make_plain(raw: tuple[Tensor, Tensor, Tensor]) -> tuple[plain_hcr.PlainHCR, plain_hcr.Prepared]:
    """The plain network, and the events as it reads them, all in float32."""
    case = plain_hcr.Case(
        n_classes=CLASSES, n_features=FEATURES, ghosts=GHOSTS, ghosts_fixed=GHOSTS
    )
    state = plain_hcr.random_state(case, np.random.default_rng(2))
    network = plain_hcr.load(
        {f"state/{key}": value for key, value in state.items()} | {"attention": np.array(True)}
    )
    network.weights = {
        key: value.detach().float().requires_grad_() for key, value in network.weights.items()
    }
    network.statistics = {key: value.float() for key, value in network.statistics.items()}
    prepared = plain_hcr.prepare(*raw, slip=False)
    parts = {each.name: getattr(prepared, each.name) for each in dataclasses.fields(prepared)}
    single = {key: v.float() if v.is_floating_point() else v for key, v in parts.items()}
    return network, plain_hcr.Prepared(**single)


def make_ours(raw: tuple[Tensor, Tensor, Tensor]) -> tuple[HCR, Tensor]:
    """Our network with one model, and the events as it reads them."""
    network = HCR(Architecture(features=FEATURES, attention=True, slip=False), CLASSES, 1)
    network.initialize(0, torch.Generator().manual_seed(1))
    return network, prepare(*raw)


def make_steps(batch: int) -> Pair:
    """A training step: forward, backward, and the optimiser's."""
    raw = make_raw(batch)
    label, weight = torch.randint(CLASSES, (batch,)), torch.rand(batch)
    ours, matrix = make_ours(raw)
    optimizer = Adam(ours.weights)

    def our_step() -> None:
        logits, _ = ours(matrix, Ghosts(GHOSTS, GHOSTS))
        loss = weighted_loss(logits, label.unsqueeze(0), weight.unsqueeze(0)).sum()
        optimizer.step(torch.autograd.grad(loss, ours.weights)[0], 0.001)

    plain, events = make_plain(raw)
    adam = torch.optim.Adam(list(plain.weights.values()), lr=0.001)

    def plain_step() -> None:
        adam.zero_grad()
        logits, _ = plain.forward(events)
        loss = (weight * cross_entropy(logits, label, reduction="none")).sum() / weight.sum()
        torch.autograd.backward(loss)
        adam.step()

    return our_step, plain_step


def make_evaluations(batch: int) -> Pair:
    """Scoring a batch of events."""
    raw = make_raw(batch)
    ours, matrix = make_ours(raw)
    ours.eval()
    plain, events = make_plain(raw)
    plain.training = False

    @torch.inference_mode()
    def our_scores() -> Tensor:
        logits, _ = ours(matrix)
        return logits.softmax(2)

    @torch.inference_mode()
    def plain_scores() -> Tensor:
        return plain.forward(events)[0].softmax(1)

    return our_scores, plain_scores


def measure(pair: Pair, rounds: int) -> tuple[float, float]:
    """The median CPU milliseconds of either side, which run in turn; the first round warms up."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for run, found in zip(pair, times, strict=True):
            start = time.process_time()
            run()
            found.append(1000 * (time.process_time() - start))
    ours, plain = (statistics.median(found[1:]) for found in times)
    return ours, plain


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    keep_freed_memory()
    pairs = {
        "train step": (STEP_BATCH, make_steps(STEP_BATCH)),
        "evaluate": (EVALUATE_BATCH, make_evaluations(EVALUATE_BATCH)),
    }
    print(f"{'what':<12}{'batch':>6}{'ours/ms':>10}{'plain/ms':>10}{'times':>7}  target")
    for name, (batch, pair) in pairs.items():
        ours, plain = measure(pair, rounds)
        print(
            f"{name:<12}{batch:>6}{ours:>10.1f}{plain:>10.1f}{plain / ours:>7.2f}"
            f"  ≥ {TARGETS[name]:g}"
        )


if __name__ == "__main__":
    main()
