"""The datasets of the analysis on simulated events beside the repository, where they are there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hcrc.compiler.cli import main
from hcrc.runtime.data.cache import Events, load_events
from hcrc.runtime.job import JobOptions
from hcrc.runtime.job import main as run_job
from hcrc.runtime.result import Result, load_result

from .data_files import simulated_data

KL = (0.0, 1.0, 2.45, 5.0)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A job that runs in this process sets handlers of its own."""
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def cached(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[Result, Events]:
    """The cache of a workflow that ships, from all simulated events."""
    values = [f"base={simulated_data()}", f"store={folder}", "user=me", *words]
    parameters = [word for value in values for word in ("--param", value)]
    assert main(["compile", name, "-o", str(folder), *parameters]) == 0
    bundle = Path(capsys.readouterr().out.strip())
    shutil.rmtree(folder / "dataset", ignore_errors=True)
    assert run_job(bundle / "jobs.jsonl", 0, JobOptions()) == 0
    result = load_result(folder / "dataset" / "default" / "result.json")
    return result, load_events(result)


def weights(events: Events, label: str) -> np.ndarray:
    chosen = events.label == events.labels.index(label)
    return events.weight[chosen].double().numpy()


def test_svb_balances_background_and_six_signals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, events = cached("svb", tmp_path, capsys)
    background = weights(events, "data").sum() + weights(events, "ttbar").sum()
    assert background == pytest.approx(6, rel=1e-5)
    assert weights(events, "ZZ").sum() == pytest.approx(1, rel=1e-5)
    assert weights(events, "ZH").sum() == pytest.approx(1, rel=1e-5)
    kl, is_ggf = events.columns["kl"], events.label == events.labels.index("ggF")
    assert torch.equal(kl.isnan(), ~is_ggf)
    for value in KL:
        assert float(events.weight[kl == value].double().sum()) == pytest.approx(1, rel=1e-5)
    assert bool((kl[is_ggf].unsqueeze(1) == torch.tensor(KL, dtype=torch.float64)).any(1).all())


def test_fvt_prescales_three_tag_ttbar_and_keeps_its_weight(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, thinned = cached("fvt", tmp_path, capsys)
    result, whole = cached("fvt", tmp_path, capsys, "prescale=1")
    for label in ("d3", "d4", "t4"):
        np.testing.assert_array_equal(
            np.sort(weights(thinned, label)), np.sort(weights(whole, label))
        )
    kept, all_of_them = weights(thinned, "t3"), weights(whole, "t3")
    assert len(kept) == pytest.approx(len(all_of_them) / 10, abs=5 * len(all_of_them) ** 0.5)
    spread = (kept**2).sum() ** 0.5
    assert kept.sum() == pytest.approx(all_of_them.sum(), abs=5 * spread)
    four_tag_data = whole.label == whole.labels.index("d4")
    assert not (whole.columns["SR"] & four_tag_data).any()
    assert (whole.columns["SR"] & ~four_tag_data).any()
    sums = {row["label"]: row["weight_sum"] for row in result.data["counts"]["labels"]}
    for label, total in sums.items():
        assert weights(whole, label).sum() == pytest.approx(total, rel=1e-5)
