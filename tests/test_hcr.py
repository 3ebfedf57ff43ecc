"""The HCR network: the reference files, stacks of models, and what must not matter to it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import plain_hcr
import pytest
import torch
from hcrc.runtime.errors import DataError
from hcrc.runtime.nn import folds
from hcrc.runtime.nn.embedding import embedding_statistics, set_embedding_statistics
from hcrc.runtime.nn.hcr import HCR
from hcrc.runtime.nn.kernels import Grouping, Pixels, ghost_moments
from hcrc.runtime.nn.layers import make_layout
from hcrc.runtime.nn.model import Metadata, load_model, save_model
from hcrc.runtime.nn.normalization import OFF, Ghosts
from hcrc.runtime.nn.prepare import COLUMN_SLICES, COLUMNS, prepare
from hcrc.runtime.nn.state import export_state, import_state
from hcrc.runtime.spec import Architecture
from plain_hcr import Case

REFERENCES = sorted((Path(__file__).parent / "reference").glob("*.npz"))
CLASSES = 5


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def check_reference() -> ModuleType:
    path = Path(__file__).parent / "check_reference.py"
    spec = importlib.util.spec_from_file_location("check_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    with np.load(REFERENCES[0]) as loaded:
        return {name: loaded[name] for name in loaded.files}


def raw_inputs(file: dict[str, Any]) -> list[torch.Tensor]:
    names = ("canjet", "notcanjet", "ancillary")
    return [torch.from_numpy(file[name]).clone() for name in names]


def make_network(
    models: int = 1, *, attention: bool = True, slip: bool = False, dtype: torch.dtype
) -> HCR:
    architecture = Architecture(features=8, attention=attention, slip=slip)
    network = HCR(architecture, CLASSES, models).to(dtype)
    for model in range(models):
        network.initialize(model, torch.Generator().manual_seed(model))
    return network


@pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.stem)
def test_network_matches_reference(path: Path, check_reference: ModuleType) -> None:
    assert check_reference.main([str(path)]) == 0


# Between them: every size, switch and ghost number that the layers depend on. An event of each
# kind that formulas stumble over is in all of them, see plain_hcr.random_events.
CASES = [
    Case(n_classes=2, n_features=4, slip=True, events=192, ghosts=12, ghosts_fixed=1, seed=1),
    Case(n_classes=3, n_features=6, events=64, ghosts=1, ghosts_fixed=4, absent=0, seed=2),
    Case(n_classes=5, n_features=10, attention=False, slip=True, negative=0.2, seed=9),
    Case(n_classes=6, n_features=12, events=128, ghosts=1, ghosts_fixed=8, absent=0.9, seed=4),
    Case(n_classes=7, n_features=16, ghosts=6, ghosts_fixed=4, events=192, negative=0.2, seed=5),
    Case(n_classes=4, n_features=8, ghosts=2, ghosts_fixed=2, absent=1, collinear=True, seed=6),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.n_features}-{case.n_classes}")
def test_network_matches_plain_implementation(
    case: Case, check_reference: ModuleType, tmp_path: Path
) -> None:
    plain_hcr.write(tmp_path / "case.npz", case)
    assert check_reference.main([str(tmp_path / "case.npz")]) == 0


@pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.stem)
def test_plain_implementation_matches_reference(path: Path) -> None:
    with np.load(path) as loaded:
        reference = dict(loaded)
    for name, value in plain_hcr.figures(reference).items():
        expected = reference[name]
        assert np.abs(value - expected).max() <= 1e-7 * np.abs(expected).max(), name


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["train_class_logits", "after/out.m"])
def test_figure_that_is_no_number_is_refused(
    name: str, value: float, file: dict[str, Any], check_reference: ModuleType, tmp_path: Path
) -> None:
    broken = file[name].copy()
    broken.flat[0] = value
    np.savez(tmp_path / "broken.npz", **{**file, name: broken})
    assert check_reference.main([str(tmp_path / "broken.npz")]) == 1


def test_reference_without_a_group_is_compared_as_far_as_it_goes(
    file: dict[str, Any],
    check_reference: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    left = {name: value for name, value in file.items() if not name.startswith("off_")}
    np.savez(tmp_path / "less.npz", **left)
    assert check_reference.main([str(tmp_path / "less.npz")]) == 0
    assert "not in the file: off_class_logits, off_quadjet_logits" in capsys.readouterr().out


def test_every_file_is_checked_though_one_is_unusable(
    file: dict[str, Any],
    check_reference: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "text.npz").write_text("text")
    np.save(tmp_path / "array.npy", np.ones(3))
    np.savez(tmp_path / "less.npz", **{n: v for n, v in file.items() if n != "state/out.m"})
    paths = [*map(str, sorted(tmp_path.iterdir())), str(tmp_path / "none.npz")]
    assert check_reference.main([*paths, str(REFERENCES[0])]) == 2
    output = capsys.readouterr()
    assert [line.split(": ")[0] for line in output.err.splitlines()] == paths
    assert "'out.m' is missing" in output.err
    assert str(REFERENCES[0]) in output.out


@pytest.mark.parametrize(
    "name", ["eval_class_logits", "grad/out.conv.module.bias", "after/out.m", "step2_loss"]
)
def test_wrong_reference_is_refused(
    name: str, file: dict[str, Any], check_reference: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.npz"
    np.savez(path, **{**file, name: file[name] * 1.001})
    assert check_reference.main([str(path)]) == 1


def test_figure_without_counterpart_is_refused(
    file: dict[str, Any], check_reference: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "more.npz"
    np.savez(path, **{**file, "grad/other.conv.bias": np.ones(3)})
    assert check_reference.main([str(path)]) == 1


@pytest.mark.parametrize(("attention", "weights"), [(True, 1061), (False, 753)])
def test_parameters_are_as_many_as_published(attention: bool, weights: int) -> None:
    switches = Architecture(features=8, attention=attention, slip=False)
    assert make_layout(switches, CLASSES).n_weights == weights


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)], ids=str
)
@pytest.mark.parametrize("attention", [True, False])
def test_stack_gives_what_each_model_gives_alone(
    dtype: torch.dtype, tolerance: float, attention: bool, file: dict[str, Any]
) -> None:
    matrix = prepare(*raw_inputs(file), dtype=dtype)
    events = torch.stack([matrix[:128], matrix[128:], matrix[64:192]])
    stack = make_network(3, attention=attention, dtype=dtype)
    single = [stack.take([model]) for model in range(3)]
    for ghosts in (Ghosts(4, 8), Ghosts(2, 8), Ghosts(0, 8), OFF):
        classes, views = stack(events, ghosts)
        gradient = torch.autograd.grad(classes.square().sum() + views.sum(), stack.weights)[0]
        for model, network in enumerate(single):
            alone, alone_views = network(events[model], ghosts)
            loss = alone.square().sum() + alone_views.sum()
            alone_gradient = torch.autograd.grad(loss, network.weights)[0]
            close(classes[model], alone[0], tolerance)
            close(views[model], alone_views[0], tolerance)
            close(gradient[model], alone_gradient[0], tolerance)
    for model, network in enumerate(single):
        close(stack.eval()(matrix)[0][model], network.eval()(matrix)[0][0], tolerance)


def close(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> None:
    assert (a - b).abs().max() <= tolerance * b.abs().max()


def test_taken_models_come_back() -> None:
    stack = make_network(3, dtype=torch.float32)
    taken = stack.take([2, 0])
    with torch.no_grad():
        taken.weights.add_(1)
    before = stack.weights.detach().clone()
    stack.put([2, 0], taken)
    assert torch.equal(stack.weights[[2, 0]], before[[2, 0]] + 1)
    assert torch.equal(stack.weights[1], before[1])


def test_absent_jets_do_not_matter(file: dict[str, Any]) -> None:
    canjet, notcanjet, ancillary = raw_inputs(file)
    notcanjet[:, :, 6:] = -1
    network = make_network(slip=True, dtype=torch.float64)
    expected = network(prepare(canjet, notcanjet, ancillary, torch.float64), Ghosts(4, 8))
    other = prepare(canjet, notcanjet, ancillary, torch.float64)
    for name in ("object_pt", "object_eta", "object_mass"):
        place = COLUMN_SLICES[name]
        other[:, place.stop - 2 : place.stop] = 1e3
    moved = network(other, Ghosts(4, 8))
    assert torch.allclose(expected[0], moved[0], rtol=0, atol=1e-9)


def test_flag_of_a_jet_matters(file: dict[str, Any]) -> None:
    canjet, notcanjet, ancillary = raw_inputs(file)
    network = make_network(dtype=torch.float64)
    before = network(prepare(canjet, notcanjet, ancillary, torch.float64))[0]
    notcanjet[:, 4] = torch.where(notcanjet[:, 4] == 0, 1.0, notcanjet[:, 4])
    after = network(prepare(canjet, notcanjet, ancillary, torch.float64))[0]
    assert (before - after).abs().max() > 1e-3


def test_mirrored_events_are_the_same(file: dict[str, Any]) -> None:
    canjet, notcanjet, ancillary = raw_inputs(file)
    mirrored, others = canjet.clone(), notcanjet.clone()
    mirrored[:, 1] *= -1
    others[:, 1] = torch.where(others[:, 4] == -1, -1.0, -others[:, 1])
    assert torch.equal(prepare(canjet, notcanjet, ancillary), prepare(mirrored, others, ancillary))


def test_slip_changes_only_the_last_dijets(file: dict[str, Any]) -> None:
    matrix = prepare(*raw_inputs(file), torch.float64)
    with_slip, without = (make_network(slip=slip, dtype=torch.float64) for slip in (True, False))
    assert not torch.allclose(with_slip(matrix)[0], without(matrix)[0])
    matrix[:, COLUMN_SLICES["dijet_5_phi"]] = 0
    again = make_network(slip=False, dtype=torch.float64)
    assert torch.equal(without(matrix)[0], again(matrix)[0])


def test_prepared_events_are_float32_and_finite(file: dict[str, Any]) -> None:
    matrix = prepare(*raw_inputs(file))
    assert matrix.shape == (256, COLUMNS)
    assert matrix.dtype == torch.float32
    exact = prepare(*raw_inputs(file), torch.float64)
    assert torch.equal(matrix, exact.float())


def test_event_with_too_few_jets_is_refused(file: dict[str, Any]) -> None:
    canjet, notcanjet, ancillary = raw_inputs(file)
    ancillary[7, 1] = 3
    with pytest.raises(DataError, match="event 7 of the batch: ancillary is not a finite number"):
        prepare(canjet, notcanjet, ancillary)


def test_masked_moments_count_what_is_there() -> None:
    x = torch.randn(4, 2, 15, dtype=torch.float64)
    weight = (torch.rand(4, 1, 15) < 0.5).double()
    weight[2:] = 0
    moments = ghost_moments(x, Pixels(weight), Grouping(groups=2, blocks=4))
    counted = x[:2].transpose(0, 1)[:, weight[:2, 0] == 1]
    zero = torch.zeros(2, dtype=torch.float64)
    assert torch.allclose(moments.mean[0], counted.mean(1))
    assert torch.allclose(moments.variance[0], counted.var(1))
    assert torch.equal(moments.mean[1], zero)
    assert torch.equal(moments.variance[1], zero)


def test_sum_over_many_masked_pixels_is_exact_to_float32() -> None:
    random = torch.Generator().manual_seed(1)
    x = torch.rand(1, 4, 1_000_003, generator=random) + 2
    mask = (torch.rand(1, 1, x.shape[2], generator=random) < 0.5).float()
    exact = (x.double() * mask).sum(2)
    assert ((Pixels(mask).sum(x) - exact) / exact).abs().max() < 3e-7


def test_running_statistics_follow_only_ghost_batches(file: dict[str, Any]) -> None:
    matrix = prepare(*raw_inputs(file))
    network = make_network(dtype=torch.float32)
    network(matrix, OFF)
    network.eval()(matrix, Ghosts(4, 8))
    assert not network.is_set.any()
    network.train()(matrix, Ghosts(4, 8))
    first = network.mean.clone()
    network(matrix[:128], Ghosts(4, 8))
    second = network.mean.clone()
    assert not torch.equal(first, second)
    network(matrix, Ghosts(0, 8))
    fixed, moving = (network.layout.statistics[n] for n in ("inputEmbed.jetConv", "out"))
    assert torch.equal(network.mean[:, moving], second[:, moving])
    assert not torch.equal(network.mean[:, fixed], second[:, fixed])
    embedding = network.layout.statistics["inputEmbed.jetEmbed"]
    assert not network.is_set[:, embedding].any()


def test_state_comes_back_by_name(file: dict[str, Any]) -> None:
    matrix = prepare(*raw_inputs(file))
    network = make_network(2, dtype=torch.float32)
    network(matrix, Ghosts(4, 8))
    other = make_network(1, dtype=torch.float32)
    import_state(other, export_state(network, 1))
    assert torch.equal(other.weights[0], network.weights[1])
    assert torch.equal(other.is_set[0], network.is_set[1])
    assert torch.equal(other.mean[0], network.mean[1])
    state = export_state(network)
    del state["out.m"]
    with pytest.raises(KeyError, match=r"out\.m"):
        import_state(other, state)


def test_initial_weights_have_their_ranges() -> None:
    network = make_network(dtype=torch.float64)
    state = export_state(network)
    weight = state["dijetResNetBlock.reinforce.0.conv.conv.module.weight"]
    assert 0.8 * 24**-0.5 < weight.abs().max() <= 24**-0.5
    assert 0 < state["out.conv.module.bias"].abs().max() <= 8**-0.5
    assert not state["inputEmbed.jetEmbed.conv.bias"].any()
    assert (state["attention_oo.q_GBN.gamma"] == 1).all()
    assert not torch.equal(
        weight,
        export_state(make_network(2, dtype=torch.float64), 1)[
            "dijetResNetBlock.reinforce.0.conv.conv.module.weight"
        ],
    )


def save(path: Path, network: HCR, model: int = 0) -> Metadata:
    rule = folds.random_folds(3, "SvB", 4)
    metadata = Metadata(list("abcde"), network.architecture, rule, fold=2, seed=1, offset=4)
    save_model(path, network, model, metadata)
    return metadata


@pytest.mark.parametrize("batch", [7, 1000])
def test_saved_model_predicts_what_the_stack_does(
    batch: int, file: dict[str, Any], tmp_path: Path
) -> None:
    matrix = prepare(*raw_inputs(file))
    network = make_network(2, dtype=torch.float32)
    statistics = embedding_statistics(matrix, torch.arange(256), network.architecture)
    set_embedding_statistics(network, [0, 1], statistics)
    network(matrix, Ghosts(4, 8))
    metadata = save(tmp_path / "model.pt", network, 1)
    model = load_model(tmp_path / "model.pt")
    assert model.metadata == metadata
    assert (model.classes, model.kfolds, model.fold) == (list("abcde"), 3, 2)
    assert model.rule == metadata.rule
    classes, views = model.predict(matrix, batch)
    expected, expected_views = network.eval()(matrix)
    assert torch.allclose(classes, expected[1].softmax(1), atol=1e-5)
    assert torch.allclose(views, expected_views[1].softmax(1), atol=1e-5)
    assert (classes.shape, views.shape) == ((256, 5), (256, 3))


def test_model_of_other_columns_or_folds_is_refused(
    file: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.pt"
    save(path, make_network(dtype=torch.float32))
    with pytest.raises(DataError, match="prepared events have 340 columns, these 7"):
        load_model(path).predict(torch.zeros(3, 7), 10)
    monkeypatch.setitem(folds.VERSIONS, folds.RANDOM, 2)
    with pytest.raises(DataError, match=r"model.pt: folds by squares64-mod-k version 1 are not k"):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"])
def test_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"model\.pt: not a model of hcrc 1"):
        load_model(path)
    torch.save({"hcrc": 2}, path)
    with pytest.raises(DataError, match="version 2"):
        load_model(path)
