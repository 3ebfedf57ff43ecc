"""The whole chain on real files: numbers that have to hold, and what is run again."""

import os
import re
import shutil

import numpy as np
import pytest
import torch
import uproot
from chain import Chain
from hcrc.runtime.data.cache import load_events
from hcrc.runtime.result import load_result

pytestmark = pytest.mark.slow
FRIEND = "ZZ4b_UL16_preVFP/HCR_input.root"
CELLS = {"cache", "train[offset=0]", "plot", "evaluate[offset=0]", "merge"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    chain = Chain.make(tmp_path_factory.mktemp("chain"))
    chain.run()
    return chain


@pytest.fixture
def chain(finished, tmp_path):
    """The finished chain as it was, whatever a test does to it."""
    kept = tmp_path / "kept"
    shutil.copytree(finished.folder, kept, symlinks=True)
    yield finished
    shutil.rmtree(finished.folder)
    shutil.move(kept, finished.folder)


def test_every_entry_has_one_prediction(finished):
    merged = finished.merged()
    assert len(merged) == 3
    for path, branches in merged.items():
        with uproot.open(path) as file:
            assert {len(values) for values in branches.values()} == {file["Events"].num_entries}


def test_probabilities_sum_to_one(finished):
    for branches in finished.merged().values():
        classes = branches["p_ttbar"] + branches["p_ZZ"] + branches["p_ggF"]
        views = branches["q_1234"] + branches["q_1324"] + branches["q_1423"]
        assert np.allclose(classes, 1, atol=1e-5)
        assert np.allclose(views, 1, atol=1e-5)
        assert np.allclose(branches["p_sig"], branches["p_ZZ"] + branches["p_ggF"], atol=1e-6)


def exact_auc(signal, background):
    """The area by pairs of (score, weight): how often a signal scores above a background."""
    order = np.argsort(np.concatenate([signal[0], background[0]]), kind="stable")
    weight = np.concatenate([np.zeros(len(signal[1])), background[1]])[order]
    below = (np.cumsum(weight) / weight.sum())[np.argsort(order)][: len(signal[0])]
    return np.average(below, weights=signal[1])


def test_the_merged_auc_is_good_and_the_one_in_the_result(finished):
    sides = {True: ([], []), False: ([], [])}
    for path, branches in finished.merged().items():
        with uproot.open(path) as file:
            tree = file["Events"].arrays(["passHLT", "fourTag", "weight"], library="np")
        selected = tree["passHLT"] & tree["fourTag"]
        weight = tree["weight"][selected] / tree["weight"][selected].sum()
        scores, weights = sides["TTTo" not in path]
        scores.append(branches["p_sig"][selected])
        weights.append(weight)
    auc = exact_auc(*([np.concatenate(part) for part in sides[side]] for side in (True, False)))
    written = finished.result("merge")["data"]["auc"]["signals"]
    assert written > 0.6
    assert written == pytest.approx(auc, abs=2e-3)


def test_no_event_was_scored_by_a_model_that_saw_it(finished):
    models = finished.result("train", "offset=0")["data"]["models"]
    folder = finished.folder / "chain" / "train" / "offset=0"
    files = finished.result("train", "offset=0")["files"]
    trained = [np.load(folder / files[model["ids"]]["path"])["event"] for model in models]
    for model, events in zip(models, trained, strict=True):
        assert len(events) == model["events_training"]
        assert not np.any(events % 3 == model["fold"])


def test_the_cache_counts_every_event(finished):
    result = finished.result("cache")["data"]
    events = load_events(load_result(finished.folder / "chain" / "cache" / "result.json"))
    entries = 0
    for path in finished.merged():
        with uproot.open(path) as file:
            entries += file["Events"].num_entries
    datasets = result["counts"]["datasets"]
    assert sum(row["events"] for row in datasets) == entries
    assert sum(row["selected"] for row in datasets) == len(events.label)
    assert float(events.weight.sum()) == pytest.approx(4, rel=1e-5)


def test_a_second_run_does_nothing(chain):
    before = chain.result("merge")["uuid"]
    out = chain.run()
    assert out.startswith("nothing to do: all 5 cells are up to date\n")
    assert re.search(r"^ +AUC signals 0\.\d+ ± 0\.\d+ over 3 folds$", out, re.MULTILINE)
    for name in ("index.html", "roc.png"):
        assert f" {chain.path('plot', name)}\n" in out
    assert chain.result("merge")["uuid"] == before


def test_a_touched_input_reruns_what_read_it(chain):
    os.utime(chain.folder / "data" / FRIEND)
    assert chain.planned() == CELLS


@pytest.mark.parametrize(
    ("arguments", "cells"),
    [
        (["--param", "memory=2 GB"], set()),
        (["--param", "std=true"], {"merge"}),
        (["--param", "epochs=3"], CELLS - {"cache"}),
        (
            ["--param", "offset=0-1"],
            {"train[offset=1]", "evaluate[offset=1]", "plot", "merge"},
        ),
        (["--only", "plot", "--force"], {"plot"}),
        (["--from", "evaluate"], {"evaluate[offset=0]", "merge"}),
        (["--force"], CELLS),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_a_change_reruns_exactly_what_it_decides(finished, arguments, cells):
    assert finished.planned(*arguments) == cells


def test_a_deleted_output_is_made_again_with_the_same_numbers(chain):
    before = chain.numbers()
    chain.path("train", "model-1", "offset=0").unlink()
    cells = CELLS - {"cache"}
    assert chain.planned() == cells
    cached = chain.result("cache")["uuid"]
    out = chain.run()
    assert "cache     1 up to date" in out
    assert chain.result("cache")["uuid"] == cached
    assert chain.numbers() == before
    assert chain.leftovers() == set()


def test_a_changed_field_runs_for_real(chain):
    trained = chain.result("train", "offset=0")["uuid"]
    chain.run("--param", "std=true")
    assert chain.result("train", "offset=0")["uuid"] == trained
    for branches in chain.merged().values():
        assert np.all(branches["p_ggF_std"] == 0)


def test_shuffled_labels_are_not_learned(chain):
    """Labels are dealt anew among the cached events; weights are 1, for few of them dominate."""
    paths = [chain.path("cache", f"chunk-{number:04}") for number in range(2)]
    chunks = [torch.load(path, weights_only=True) for path in paths]
    sizes = [len(chunk["label"]) for chunk in chunks]
    order = torch.randperm(sum(sizes), generator=torch.Generator().manual_seed(1))
    dealt = torch.cat([chunk["label"] for chunk in chunks])[order].split(sizes)
    for chunk, path, label in zip(chunks, paths, dealt, strict=True):
        weight = torch.ones_like(chunk["weight"])
        torch.save({**chunk, "label": label.clone(), "weight": weight}, path)
    chain.sign("cache")
    chain.run("--only", "train", "--force")
    models = chain.result("train", "offset=0")["data"]["models"]
    areas = [model["history"][-1]["validation"]["auc"]["signals"] for model in models]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.05)


def test_bad_data_are_one_line_and_stop_the_chain(chain):
    path = chain.folder / "data" / FRIEND
    path.write_bytes(path.read_bytes()[:5000])
    process = chain.start(stdout=-1, stderr=-1)
    _, errors = process.communicate()
    assert process.returncode == 1
    (line,) = errors.splitlines()
    assert "cache: bad-data (65)" in line
    assert FRIEND in line
