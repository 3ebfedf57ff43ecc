"""CPU time of a training step: folds as one stack against the same folds one after the other.

``python benchmarks/train.py [THREADS]`` prints a table. The yardstick, one after the other, is
measured in the same run and interleaved with the stack, as other work disturbs both alike.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from hcrc.runtime.nn.adam import Adam
from hcrc.runtime.nn.hcr import HCR
from hcrc.runtime.nn.loss import weighted_loss
from hcrc.runtime.nn.memory import keep_freed_memory
from hcrc.runtime.nn.normalization import Ghosts
from hcrc.runtime.nn.prepare import prepare
from hcrc.runtime.spec import Architecture

REPEATS = 7
CLASSES = 5


def make_events(number: int) -> torch.Tensor:
    """Random prepared events, with 0 to 8 jets beside the four candidates."""
    jets = torch.rand(number, 5, 12) * torch.tensor([200.0, 4, 6, 20, 1])[:, None]
    jets += torch.tensor([40.0, -2, -3, 5, 0])[:, None]
    absent = torch.arange(8) >= torch.randint(0, 9, (number, 1))
    others = torch.where(absent.unsqueeze(1), -1.0, jets[:, :, 4:])
    ancillary = torch.rand(number, 4) + torch.tensor([16.0, 4, 1, 1])
    return prepare(jets[:, :4, :4], others, ancillary)


def make_step(models: int, batch: int, attention: bool) -> Callable[[], None]:
    """One step of a stack of models, each with its own events."""
    network = HCR(Architecture(features=8, attention=attention, slip=False), CLASSES, models)
    for model in range(models):
        network.initialize(model, torch.Generator().manual_seed(model))
    matrix, optimizer = make_events(4 * batch), Adam(network.weights)
    label, weight = torch.randint(CLASSES, (models, batch)), torch.rand(models, batch)

    def step() -> None:
        rows = torch.randint(len(matrix), (models, batch))
        logits, _ = network(matrix[rows], Ghosts(64, 64))
        loss = weighted_loss(logits, label, weight).sum()
        optimizer.step(torch.autograd.grad(loss, network.weights)[0], 0.001)

    return step


def measure(models: int, batch: int, attention: bool) -> tuple[float, float]:
    """CPU milliseconds of a step of all models: one after the other, and as a stack."""
    single, stack = make_step(1, batch, attention), make_step(models, batch, attention)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        for step, repeats, found in ((single, models, times[0]), (stack, 1, times[1])):
            start = time.process_time()
            for _ in range(repeats):
                step()
            found.append(1000 * (time.process_time() - start))
    return min(times[0][1:]), min(times[1][1:])


def main() -> None:
    """Print the table."""
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    keep_freed_memory()
    print("attention  batch  models  one by one/ms  stack/ms  ratio")
    for attention in (True, False):
        for batch in (1024, 4096):
            for models in (3, 9):
                single, stack = measure(models, batch, attention)
                print(
                    f"{attention!s:9}{batch:7}{models:8}{single:15.1f}{stack:10.1f}"
                    f"{stack / single:7.2f}"
                )


if __name__ == "__main__":
    main()
