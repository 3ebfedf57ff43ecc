"""Compare the HCR network with reference files: ``check_reference.py FILE.npz…``.

Prints the largest relative deviation, max |Δ| / max |reference|, of each group of figures, with
everything in float64 and with the preparation in float64 and the rest in float32. All switches
and sizes are read from the file; figures that a file does not hold are named and left out. Every
file is looked at. Exits 1 if a figure is above its tolerance, 2 if a file is no reference file.
"""

from __future__ import annotations

import math
import sys
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from hcrc.runtime.errors import DataError
from hcrc.runtime.nn.adam import Adam
from hcrc.runtime.nn.embedding import embedding_statistics
from hcrc.runtime.nn.hcr import HCR
from hcrc.runtime.nn.loss import weighted_loss
from hcrc.runtime.nn.normalization import OFF, Ghosts
from hcrc.runtime.nn.prepare import prepare
from hcrc.runtime.nn.state import export_state, import_state, name_weights
from hcrc.runtime.spec import Architecture

TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-4}
EMBEDDING_TOLERANCE = 2e-6
OK, DIFFERENT, UNUSABLE = 0, 1, 2
# What reading a file and using its arrays raises where they are not those of a reference file.
UNREADABLE = (
    DataError,
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    RuntimeError,
    zipfile.BadZipFile,
)
Arrays = Mapping[str, Any]


class Comparison:
    """The largest deviation of each group of figures, and what the file does not hold."""

    def __init__(self, reference: Arrays) -> None:
        self.reference = reference
        self.largest: dict[str, tuple[float, str]] = {}
        self.compared: set[str] = set()
        self.absent: set[str] = set()

    def add(self, group: str, name: str, value: torch.Tensor) -> None:
        if name not in self.reference:
            self.absent.add(name)
            return
        self.compared.add(name)
        deviation = relative_deviation(value.detach().double().numpy(), self.reference[name])
        if deviation >= self.largest.get(group, (0.0, ""))[0]:
            self.largest[group] = (deviation, name)


def relative_deviation(found: Any, reference: Any) -> float:
    """max |Δ| / max |reference|; infinite for another shape, and where a number is not one."""
    expected = np.asarray(reference, dtype=np.float64)
    if found.shape != expected.shape:
        return math.inf
    if not np.isfinite(expected).all():
        return math.inf
    scale = np.abs(expected).max(initial=0)
    deviation = float(np.abs(found - expected).max(initial=0) / (scale if scale > 0 else 1))
    return deviation if math.isfinite(deviation) else math.inf


def architecture(file: Arrays) -> Architecture:
    return Architecture(
        features=int(file["n_features"]),
        attention=bool(file["attention"]),
        slip=bool(file["slip"]),
    )


def load_network(file: Arrays, dtype: torch.dtype) -> HCR:
    network = HCR(architecture(file), int(file["n_classes"])).to(dtype)
    names = [name for name in file if name.startswith("state/")]
    for layer in network.layout.layers.values():
        count = "n_ghost_batches_fixed" if layer.fixed else "n_ghost_batches"
        number = int(file.get(f"state/{layer.name}.nGhostBatches", file[count]))
        if number != int(file[count]):
            raise ValueError(f"{layer.name} has {number} ghost batches, {count} is {file[count]}")
    import_state(network, {n.removeprefix("state/"): torch.from_numpy(file[n]) for n in names})
    return network


def compare(file: Arrays, dtype: torch.dtype) -> Comparison:
    """All figures of one file, in one precision."""
    found = Comparison(file)
    raw = (torch.from_numpy(file[name]) for name in ("canjet", "notcanjet", "ancillary"))
    matrix = prepare(*raw, dtype=dtype)
    network = load_network(file, dtype)
    ghosts = Ghosts(int(file["n_ghost_batches"]), int(file["n_ghost_batches_fixed"]))
    _compare_embeddings(found, matrix, architecture(file))
    _compare_training(found, network, matrix, ghosts)
    with torch.no_grad():
        _forward(found, "ghost batches off", "off", network, matrix, OFF)
        network.eval()
        _forward(found, "evaluation", "eval", network, matrix, OFF)
    return found


def _compare_training(
    found: Comparison, network: HCR, matrix: torch.Tensor, ghosts: Ghosts
) -> None:
    loss = _forward(found, "first step", "train", network, matrix, ghosts)
    loss.sum().backward()
    gradient = network.weights.grad
    assert gradient is not None
    for name, value in name_weights(network, gradient[0]).items():
        found.add("gradients", f"grad/{name}", value)
    Adam(network.weights).step(gradient, float(found.reference["learning_rate"]))
    _forward(found, "second step", "step2", network, matrix, ghosts)
    for name, value in export_state(network).items():
        group = "statistics after" if name.endswith((".m", ".s")) else "weights after"
        found.add(group, f"after/{name}", value)


def _forward(
    found: Comparison, group: str, prefix: str, network: HCR, matrix: torch.Tensor, ghosts: Ghosts
) -> torch.Tensor:
    classes, views = network(matrix, ghosts)
    found.add(group, f"{prefix}_class_logits", classes[0])
    found.add(group, f"{prefix}_quadjet_logits", views[0])
    label = torch.from_numpy(found.reference["label"]).long().unsqueeze(0)
    weight = torch.from_numpy(found.reference["weight"]).unsqueeze(0).to(classes)
    loss = weighted_loss(classes, label, weight)
    if prefix in ("train", "step2"):
        found.add(group, f"{prefix}_loss", loss[0])
    return loss


def _compare_embeddings(found: Comparison, matrix: torch.Tensor, switches: Architecture) -> None:
    events = torch.arange(len(matrix))
    for name, (mean, scale) in embedding_statistics(matrix, events, switches, chunk=100).items():
        key = f"state/inputEmbed.{name}"
        shape = found.reference[f"{key}.m"].shape
        found.add("embedding statistics", f"{key}.m", mean.reshape(shape))
        found.add("embedding statistics", f"{key}.s", scale.reshape(shape))


def load(path: str) -> Arrays:
    """The arrays of a file; raises one of UNREADABLE if it is not an NPZ file."""
    loaded = np.load(path, allow_pickle=False)
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        raise ValueError("not an NPZ file")
    with loaded:
        return {name: loaded[name] for name in loaded.files}


def check(path: str) -> int:
    """Print the comparison with one file; gives OK, DIFFERENT or UNUSABLE."""
    try:
        file = load(path)
        comparisons = {dtype: compare(file, dtype) for dtype in TOLERANCES}
        if not _figures(file):
            raise ValueError("holds no figures to compare")
    except UNREADABLE as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        print(f"{path}: not a reference file: {what.partition(chr(10))[0]}", file=sys.stderr)
        return UNUSABLE
    ok = [_print_comparison(path, dtype, found) for dtype, found in comparisons.items()]
    return OK if all(ok) else DIFFERENT


def _print_comparison(path: str, dtype: torch.dtype, found: Comparison) -> bool:
    ok = True
    for group, (deviation, name) in found.largest.items():
        limit = TOLERANCES[dtype]
        if group == "embedding statistics":
            limit = max(limit, EMBEDDING_TOLERANCE)
        good = deviation <= limit
        ok &= good
        verdict = "ok" if good else "TOO LARGE"
        print(f"{path}  {dtype}  {group:22}{deviation:9.1e}  of {limit:.0e}  {verdict}  {name}")
    if found.absent:
        print(f"{path}  {dtype}  not in the file: {', '.join(sorted(found.absent))}")
    missing = _figures(found.reference) - found.compared
    if missing:
        print(f"{path}  {dtype}  not compared: {', '.join(sorted(missing))}")
    return ok and not missing


def _figures(file: Arrays) -> set[str]:
    """The names that have to be compared: all results, less counts and constants."""
    prefixes = ("train_", "step2_", "off_", "eval_", "grad/", "after/")
    constants = (".nGhostBatches", ".sym.weight", ".antisym.weight")
    return {n for n in file if n.startswith(prefixes) and not n.endswith(constants)}


def main(paths: list[str]) -> int:
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    return max([check(path) for path in paths])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
