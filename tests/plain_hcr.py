"""The HCR network written plainly: one model, float64, autograd, no stacking.

It shares no code with the product's network, so that each can be the other's oracle.
Weights and statistics are dictionaries under the names that reference files use.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, cross_entropy, silu

EPSILON = 1e-5
EMBEDDINGS = ("ancillaryEmbed", "jetEmbed", "dijetEmbed", "quadjetEmbed", "othJetEmbed")
FIXED_ENDINGS = ("jetConv", "othJetConv", "MdPhi_conv", "reinforce.1.conv")
JET_ORDER = [0, 1, 2, 3, 0, 2, 1, 3, 0, 3, 1, 2]


# Preparation -----------------------------------------------------------------------------


def four_vector(jets: Tensor) -> Tensor:
    """From rows pt, eta, phi, mass (N, 4, jets) to px, py, pz, E."""
    pt, eta, phi, mass = jets.unbind(1)
    px, py, pz = pt * torch.cos(phi), pt * torch.sin(phi), pt * torch.sinh(eta)
    return torch.stack([px, py, pz, torch.sqrt(px**2 + py**2 + pz**2 + mass**2)], 1)


def invariant_mass(p: Tensor) -> Tensor:
    return torch.relu(p[:, 3] ** 2 - p[:, 0] ** 2 - p[:, 1] ** 2 - p[:, 2] ** 2).sqrt()


def observables(p: Tensor) -> Tensor:
    """From px, py, pz, E to pt, eta, phi, mass."""
    pt = torch.sqrt(p[:, 0] ** 2 + p[:, 1] ** 2)
    sign = torch.where(p[:, 1] < 0, -1.0, 1.0).double()
    phi = torch.acos(p[:, 0] / (pt + 1e-5)) * sign
    return torch.stack([pt, torch.asinh(p[:, 2] / (pt + 1e-5)), phi, invariant_mass(p)], 1)


def delta_phi(a: Tensor, b: Tensor) -> Tensor:
    return torch.minimum((a - b) % (2 * torch.pi), (b - a) % (2 * torch.pi))


@dataclass
class Prepared:
    """What the network reads: each (N, features, pixels), masks True where masked."""

    jets: Tensor
    dijets: Tensor
    quadjets: Tensor
    ancillary: Tensor
    objects: Tensor
    object_mask: Tensor
    pairs: Tensor
    oo_mask: Tensor
    do_mask: Tensor


def prepare(canjet: Tensor, notcanjet: Tensor, ancillary: Tensor, *, slip: bool) -> Prepared:
    can, other, event = canjet.double(), notcanjet.double(), ancillary.double().clone()
    event[:, 1] = torch.log(event[:, 1] - 3)
    flip = torch.where(can[:, 1, 0] < 0, -1.0, 1.0)[:, None]
    can = torch.cat([can[:, :1], can[:, 1:2] * flip[:, None], can[:, 2:]], 1)
    other = torch.cat([other[:, :1], other[:, 1:2] * flip[:, None], other[:, 2:]], 1)
    p_jet = four_vector(can)[:, :, JET_ORDER]
    p_dijet = p_jet[:, :, 0::2] + p_jet[:, :, 1::2]
    p_quadjet = p_dijet[:, :, 0::2] + p_dijet[:, :, 1::2]
    jets, dijets, quadjets = (
        can[:, :, JET_ORDER].clone(),
        observables(p_dijet),
        observables(p_quadjet),
    )
    raw_phi = dijets[:, 2].clone()
    jets[:, 2] = delta_phi(raw_phi.repeat_interleave(2, 1), jets[:, 2])
    change = delta_phi(quadjets[:, 2].repeat_interleave(2, 1), raw_phi)
    dijets[:, 2] = change
    if slip:
        dijets[:, 2, 4], dijets[:, 2, 5] = change[:, 5], raw_phi[:, 5]
    for tensor in (jets, dijets, quadjets):
        tensor[:, [0, 3]] = torch.log(1 + tensor[:, [0, 3]])
    quadjets = quadjets[:, [0, 1, 3]]

    flags = torch.cat([torch.full_like(can[:, 0], 2.0), other[:, 4]], 1)
    every = torch.cat([can, other[:, :4]], 2)
    objects = torch.stack(
        [torch.log(1 + every[:, 0]), every[:, 1], torch.log(1 + every[:, 3]), flags], 1
    )
    objects = torch.where(objects.isinf(), -1.0, objects)
    masked = flags == -1
    p_object = four_vector(every)
    oo = pair_features(p_object, every[:, 2], p_object, every[:, 2], 0.0)
    do = pair_features(p_dijet, raw_phi, p_object, every[:, 2], 1.0)
    own = torch.zeros(6, 12, dtype=torch.bool)
    for pixel, jet in enumerate(JET_ORDER):
        own[pixel // 2, jet] = True
    oo_mask = masked[:, :, None] | masked[:, None, :] | torch.eye(12, dtype=torch.bool)
    do_mask = masked[:, None, :] | own
    pairs = torch.cat([oo.flatten(2), do.flatten(2)], 2)
    return Prepared(
        jets, dijets, quadjets, event[:, :, None], objects, masked, pairs, oo_mask, do_mask
    )


def pair_features(p_a: Tensor, phi_a: Tensor, p_b: Tensor, phi_b: Tensor, kind: float) -> Tensor:
    mass = invariant_mass(p_a[:, :, :, None] + p_b[:, :, None, :])
    angle = delta_phi(phi_a[:, :, None], phi_b[:, None, :])
    return torch.stack([torch.log(1 + mass), angle, torch.full_like(mass, kind)], 1)


# The network -----------------------------------------------------------------------------


def is_embedding(name: str) -> bool:
    return name.split(".")[-1] in (*EMBEDDINGS, "MdPhi_embed")


@dataclass
class PlainHCR:
    """Weights and statistics by name; `ghosts` holds every normalisation's count."""

    attention: bool
    weights: dict[str, Tensor]
    statistics: dict[str, Tensor]
    ghosts: dict[str, int]
    training: bool = True
    updates: dict[str, Tensor] = field(default_factory=dict)

    def normalise(
        self, name: str, x: Tensor, mask: Tensor | None = None, kernel: int = 1
    ) -> Tensor:
        n, features, pixels = x.shape
        count = self.ghosts[name] if self.training else 0
        split = x.reshape(max(count, 1), -1, features, pixels // kernel, kernel)
        if count == 0:
            m, s = (self.statistics[f"{name}.{k}"].reshape(kernel, features).T for k in "ms")
            return ((split - m[:, None]) / s[:, None]).reshape(x.shape)
        keep = torch.ones(n, 1, pixels) if mask is None else (~mask).reshape(n, 1, pixels)
        keep = keep.to(x.dtype).reshape(count, -1, 1, pixels // kernel, kernel)
        number = keep.sum((1, 3), keepdim=True)
        mean = (split * keep).sum((1, 3), keepdim=True) / number.clamp(min=1)
        variance = ((split - mean) ** 2 * keep).sum((1, 3), keepdim=True) / (number - 1).clamp(
            min=1
        )
        spread = (variance + EPSILON).sqrt()
        if not is_embedding(name):
            self.update(name, mean[:, 0, :, 0], spread[:, 0, :, 0])
        return ((split - mean) / spread).reshape(x.shape)

    def update(self, name: str, mean: Tensor, spread: Tensor) -> None:
        old_m, old_s = self.statistics[f"{name}.m"], self.statistics[f"{name}.s"]
        unset = bool((old_m == 0).all() and (old_s == 1).all())
        for key, old, new in (("m", old_m, mean), ("s", old_s, spread)):
            now = new.detach().mean(0).T.reshape(old.shape)
            self.statistics[f"{name}.{key}"] = now if unset else 0.9 * old + 0.1 * now

    def scaled(self, name: str, x: Tensor, mask: Tensor | None) -> Tensor:
        gamma, bias = self.weights[f"{name}.gamma"], self.weights[f"{name}.bias"]
        return self.normalise(name, x, mask) * gamma[:, None] + bias[:, None]

    def convolved(self, name: str, x: Tensor, mask: Tensor | None = None) -> Tensor:
        weight = self.weights[f"{name}.conv.module.weight"]
        kernel = weight.shape[2]
        y = conv1d(self.normalise(name, x, mask, kernel), weight, stride=kernel)
        if name == "select_q":
            return y
        if name == "out":
            return y + self.weights["out.conv.module.bias"][:, None]
        bias = self.weights.get(f"{name}.conv.bias", torch.zeros(()).double())
        return torch.cat([y, -y], 1) + bias

    def reinforce(self, name: str, x: Tensor, xx: Tensor) -> Tensor:
        first, second = x[:, :, 0::2], x[:, :, 1::2]
        if name.startswith("quadjet"):
            first, second = (first + second) / 2, (first - second).abs() / 2
        return self.convolved(f"{name}.conv", torch.stack([first, second, xx], 3).flatten(2))

    def block(
        self, name: str, x: Tensor, xx: Tensor, x0: Tensor, xx0: Tensor
    ) -> tuple[Tensor, Tensor]:
        xx = silu(self.reinforce(f"{name}.reinforce.0", x, xx) + xx0)
        x = silu(self.convolved(f"{name}.conv.0", x) + x0)
        xx = self.reinforce(f"{name}.reinforce.1", x, xx) + xx0
        return silu(xx), xx

    def attend(
        self, name: str, q: Tensor, v: Tensor, mask: Tensor, q0: Tensor, qv: Tensor
    ) -> tuple[Tensor, Tensor]:
        n, features, queries = q.shape
        q_mask, v_mask = mask.all(2), mask.all(1)
        q = self.scaled(f"{name}.q_GBN", q, q_mask)[:, :, :, None]
        v = self.scaled(f"{name}.v_GBN", v, v_mask)[:, :, None, :]
        qv = self.scaled(f"{name}.qv_GBN", qv, mask.flatten(1)).reshape(n, features, queries, -1)
        by_head = (q * v + qv).reshape(n, 2, features // 2, queries, -1).sum(2)
        score = self.scaled(f"{name}.score_GBN", by_head.flatten(2), mask.flatten(1)).reshape(
            by_head.shape
        )
        hidden = mask[:, None]
        weight = score.masked_fill(hidden, -1e9).softmax(3) * score.sigmoid()
        weight = weight.masked_fill(hidden, 0).repeat_interleave(features // 2, 1)
        result = self.convolved(f"{name}.conv", silu((weight * (v + qv)).sum(3)), q_mask)
        residual = result.masked_fill(q_mask[:, None], 0) + q0
        return silu(residual), residual

    def embed(self, name: str, x: Tensor, a: Tensor | float, mask: Tensor | None = None) -> Tensor:
        embedded = silu(self.convolved(f"inputEmbed.{name}Embed", x, mask) + a)
        return self.convolved(f"inputEmbed.{name}Conv", embedded, mask)

    def forward(self, x: Prepared) -> tuple[Tensor, Tensor]:
        a = self.convolved("inputEmbed.ancillaryEmbed", x.ancillary)
        j0, d0 = self.embed("jet", x.jets, a), self.embed("dijet", x.dijets, 0.0)
        q0 = self.embed("quadjet", x.quadjets, 0.0)
        d, d0 = self.block("dijetResNetBlock", silu(j0), silu(d0), j0, d0)
        if self.attention:
            o0 = self.embed("othJet", x.objects, a, x.object_mask)
            mask = torch.cat([x.oo_mask.flatten(1), x.do_mask.flatten(1)], 1)
            qv = silu(self.convolved("inputEmbed.MdPhi_embed", x.pairs, mask))
            qv = silu(self.convolved("inputEmbed.MdPhi_conv", qv, mask))
            o, _ = self.attend("attention_oo", silu(o0), silu(o0), x.oo_mask, o0, qv[:, :, :144])
            d, d0 = self.attend("attention_do", d, o, x.do_mask, d0, qv[:, :, 144:])
        q, _ = self.block("quadjetResNetBlock", d, silu(q0), d0, q0)
        views = self.convolved("select_q", q)[:, 0]
        event = (views.softmax(1)[:, None] * q).sum(2, keepdim=True)
        return self.convolved("out", event)[:, :, 0], views


def embedding_statistics(x: Prepared, *, attention: bool) -> dict[str, Tensor]:
    """m and s of the embeddings from one pass over all events."""
    pair_mask = torch.cat([x.oo_mask.flatten(1), x.do_mask.flatten(1)], 1)
    inputs = dict(
        zip(EMBEDDINGS, (x.ancillary, x.jets, x.dijets, x.quadjets, x.objects), strict=True)
    )
    inputs["MdPhi_embed"] = x.pairs
    masks = {"othJetEmbed": x.object_mask, "MdPhi_embed": pair_mask}
    statistics = {}
    for name, tensor in inputs.items():
        if name in masks and not attention:
            continue
        mask = masks.get(name, torch.zeros(len(tensor), tensor.shape[2], dtype=torch.bool))
        values = tensor.transpose(1, 2)[~mask]
        statistics[f"inputEmbed.{name}.m"] = values.mean(0).reshape(1, 1, 1, -1)
        # A feature that never varies has no scale of its own, and is not divided.
        spread = values.std(0).where(values.std(0) > 0, 1)
        statistics[f"inputEmbed.{name}.s"] = spread.reshape(1, 1, 1, -1)
    return statistics


# Reference files --------------------------------------------------------------------------

Arrays = dict[str, np.ndarray]


def load(reference: Arrays) -> PlainHCR:
    """The network with the weights and statistics before the first step."""
    state = {
        key[6:]: torch.tensor(value) for key, value in reference.items() if key.startswith("state/")
    }
    ghosts = {key[: -len(".nGhostBatches")]: int(v) for key, v in state.items() if "nGhost" in key}
    statistics = {key: v for key, v in state.items() if key.endswith((".m", ".s"))}
    weights = {
        key: v.double().requires_grad_()
        for key, v in state.items()
        if key not in statistics and "nGhost" not in key and "sym." not in key
    }
    return PlainHCR(bool(reference["attention"]), weights, statistics, ghosts)


def gradient_of(weight: Tensor) -> np.ndarray:
    assert weight.grad is not None
    return weight.grad.numpy().copy()


def figures(reference: Arrays) -> Arrays:
    """All that a reference file records about one training step, in its order."""
    model = load(reference)
    inputs = [torch.tensor(reference[key]) for key in ("canjet", "notcanjet", "ancillary")]
    x = prepare(inputs[0], inputs[1], inputs[2], slip=bool(reference["slip"]))
    labels, weights = (torch.tensor(reference[key]) for key in ("label", "weight"))
    found: Arrays = {}

    def record(prefix: str, *, loss: bool = False) -> Tensor:
        classes, views = model.forward(x)
        total = (weights * cross_entropy(classes, labels, reduction="none")).sum() / weights.sum()
        named = {"class_logits": classes, "quadjet_logits": views} | (
            {"loss": total} if loss else {}
        )
        found.update({f"{prefix}_{key}": value.detach().numpy() for key, value in named.items()})
        return total

    optimizer = torch.optim.Adam(list(model.weights.values()), lr=float(reference["learning_rate"]))
    torch.autograd.backward(record("train", loss=True))
    found |= {f"grad/{key}": gradient_of(value) for key, value in model.weights.items()}
    optimizer.step()
    record("step2", loss=True)
    after = model.weights | model.statistics
    found |= {f"after/{key}": value.detach().numpy().copy() for key, value in after.items()}
    model.ghosts = dict.fromkeys(model.ghosts, 0)
    record("off")
    model.training = False
    record("eval")
    return found


# Random reference files ---------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """What a generated reference file is made of."""

    n_classes: int = 4
    n_features: int = 8
    attention: bool = True
    slip: bool = False
    events: int = 256
    ghosts: int = 8
    ghosts_fixed: int = 16
    learning_rate: float = 0.01
    absent: float = 0.5
    negative: float = 0.0
    collinear: bool = False
    seed: int = 0


def random_events(case: Case, rng: np.random.Generator) -> Arrays:
    """Events with, in turn, the awkward kinds of jets; the rest as in data."""
    n = case.events
    pt = np.sort(40 + rng.exponential(60, (n, 4)))[:, ::-1]
    can = np.stack(
        [pt, rng.normal(0, 1.2, (n, 4)), rng.uniform(-np.pi, np.pi, (n, 4)), pt * 0.12], 1
    )
    can[1::8, 3, rng.integers(4)] = 0
    can[2::8, 2] = np.copysign(np.pi - 1e-3 * rng.random(can[2::8, 2].shape), can[2::8, 2])
    can[3::16, 2] = 0
    can[4::16, 3] = 0
    if case.collinear:
        can[5::16, 1:3, 1] = can[5::16, 1:3, 0]
        can[6::16, 1:3] = can[6::16, 1:3, :1]
    other = np.stack(
        [
            20 + rng.exponential(30, (n, 8)),
            rng.normal(0, 2, (n, 8)),
            rng.uniform(-np.pi, np.pi, (n, 8)),
            rng.exponential(6, (n, 8)),
            rng.integers(0, 2, (n, 8)),
        ],
        1,
    )
    other[4::16, 3] = 0
    n_present = rng.binomial(8, 1 - case.absent, n)
    n_present[0::16], n_present[7::16] = (8 if case.absent < 1 else 0), 0
    other = np.where(np.arange(8) < n_present[:, None, None], other, -1)
    event = np.stack(
        [rng.integers(16, 19, n), rng.integers(4, 13, n), *rng.normal(0, 2, (2, n))], 1
    )
    weight = rng.uniform(0.1, 2, n) * np.where(rng.random(n) < case.negative, -0.3, 1)
    arrays = {"canjet": can, "notcanjet": other, "ancillary": event}
    return {key: value.astype(np.float32) for key, value in arrays.items()} | {
        "label": rng.integers(0, case.n_classes, n),
        "weight": weight,
    }


def layers(case: Case) -> Iterator[tuple[str, int, int, int, str]]:
    """Name, features in and out, kernel and kind of every layer of the network."""
    f = case.n_features
    rows = {"jet": 4, "dijet": 4, "quadjet": 3} | ({"othJet": 4} if case.attention else {})
    yield "inputEmbed.ancillaryEmbed", 4, f // 2, 1, "no bias"
    for name, n_rows in rows.items():
        yield f"inputEmbed.{name}Embed", n_rows, f // 2, 1, "phase"
        yield f"inputEmbed.{name}Conv", f, f // 2, 1, "phase"
    for block in ("dijetResNetBlock", "quadjetResNetBlock"):
        yield f"{block}.reinforce.0.conv", f, f // 2, 3, "phase"
        yield f"{block}.reinforce.1.conv", f, f // 2, 3, "phase"
        yield f"{block}.conv.0", f, f // 2, 1, "phase"
    if case.attention:
        yield "inputEmbed.MdPhi_embed", 3, f // 2, 1, "phase"
        yield "inputEmbed.MdPhi_conv", f, f // 2, 1, "phase"
        for attention in ("attention_oo", "attention_do"):
            for part, features in {"q": f, "v": f, "qv": f, "score": 2}.items():
                yield f"{attention}.{part}_GBN", features, features, 1, "scale"
            yield f"{attention}.conv", f, f // 2, 1, "phase"
    yield "select_q", f, 1, 1, "no bias"
    yield "out", f, case.n_classes, 1, "bias"


def random_state(case: Case, rng: np.random.Generator) -> Arrays:
    state: Arrays = {}
    for name, n_in, n_out, kernel, kind in layers(case):
        fixed = name.endswith(FIXED_ENDINGS) or name in ("attention_oo.conv", "attention_do.conv")
        state[f"{name}.nGhostBatches"] = np.array(case.ghosts_fixed if fixed else case.ghosts)
        state[f"{name}.m"], state[f"{name}.s"] = (
            np.zeros((1, 1, kernel, n_in)),
            np.ones((1, 1, kernel, n_in)),
        )
        if kind == "scale":
            state[f"{name}.gamma"], state[f"{name}.bias"] = (
                rng.normal(1, 0.2, n_in),
                rng.normal(0, 0.2, n_in),
            )
            continue
        bound = (n_in * kernel) ** -0.5
        state[f"{name}.conv.module.weight"] = rng.uniform(-bound, bound, (n_out, n_in, kernel))
        if kind == "phase":
            state[f"{name}.conv.bias"] = rng.normal(0, 0.2, (1, 2 * n_out, 1))
        if kind == "bias":
            state[f"{name}.conv.module.bias"] = rng.normal(0, 0.2, n_out)
    return state


def generate(case: Case) -> Arrays:
    """Everything a reference file holds, for random events and weights."""
    rng = np.random.default_rng(case.seed)
    arrays = random_events(case, rng)
    state = random_state(case, rng)
    inputs = [torch.tensor(arrays[key]) for key in ("canjet", "notcanjet", "ancillary")]
    x = prepare(inputs[0], inputs[1], inputs[2], slip=case.slip)
    state |= {k: v.numpy() for k, v in embedding_statistics(x, attention=case.attention).items()}
    arrays |= {
        key: np.array(getattr(case, key))
        for key in ("n_classes", "n_features", "attention", "slip")
    }
    arrays |= {
        "learning_rate": np.array(case.learning_rate),
        "n_ghost_batches": np.array(case.ghosts),
    }
    arrays |= {"n_ghost_batches_fixed": np.array(case.ghosts_fixed)}
    arrays |= {f"state/{key}": value for key, value in state.items()}
    return arrays | figures(arrays)


def write(path: Path, case: Case) -> None:
    np.savez(path, **generate(case))  # type: ignore[arg-type]  # numpy types the keywords as one
