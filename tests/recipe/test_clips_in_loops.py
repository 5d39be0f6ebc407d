"""Clips in every kind of loop: what they give is what a plain loop with torch's functions gives."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from fitwell.errors import BadInput
from fitwell.recipe import Recipe
from fitwell.remedies import AdaptiveClip, ClipNorm, ClipValue, PercentileClip

X = torch.randn(24, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(24) % 3


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()


class Naive:
    """The clips by hand, with torch's own functions where it has them."""

    def __init__(self):
        self.norms = []

    def norm(self, parameters):
        clip_grad_norm_(parameters, 0.05)

    def value(self, parameters):
        clip_grad_value_(parameters, 0.01)

    def adaptive(self, parameters):
        for p in parameters:
            if p.grad is None:
                continue
            rows = [(p, p.grad)] if p.dim() < 2 else zip(p, p.grad, strict=True)
            for weight, gradient in rows:
                limit = 0.02 * max(weight.norm().item(), 1e-3)
                if gradient.norm() > limit:
                    gradient *= limit / gradient.norm()

    def percentile(self, parameters):
        live = [p.grad for p in parameters if p.grad is not None]
        self.norms.append(torch.cat([g.flatten() for g in live]).norm().item())
        clip_grad_norm_(parameters, float(np.percentile(self.norms, 20.0)))


CLIPS = {
    "norm": ClipNorm(0.05),
    "value": ClipValue(0.01),
    "adaptive": AdaptiveClip(0.02),
    "percentile": PercentileClip(20.0),
}
every_clip = pytest.mark.parametrize("clip", CLIPS)


def pair(clip, model=None, *, example_input=X):
    """A treated network, a plain one with the same weights, and the clip by hand."""
    model = model or mlp()
    treated = Recipe(CLIPS[clip]).apply(model, example_input=example_input)
    by_hand = getattr(Naive(), clip)

    @torch.no_grad()
    def naive(optimizer):
        by_hand([p for group in optimizer.param_groups for p in group["params"]])

    return treated, model, naive


def assert_same(first, second, atol=1e-7):
    for p, q in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=atol)


def loss_of(model, rows=slice(None)):
    return 30 * F.cross_entropy(model(X[rows].to(model[0].weight.dtype)), Y[rows])


@every_clip
def test_gradients_that_were_accumulated_are_clipped_once_before_the_step(clip):
    treated, plain, naive = pair(clip)
    ours = treated.optimizer(torch.optim.SGD, lr=0.1)
    theirs = torch.optim.SGD(plain.parameters(), lr=0.1)
    for _ in range(4):
        ours.zero_grad()
        theirs.zero_grad()
        for part in range(3):
            rows = slice(8 * part, 8 * part + 8)
            (loss_of(treated.model, rows) / 3).backward()
            (loss_of(plain, rows) / 3).backward()
        ours.step()
        naive(theirs)
        theirs.step()
    assert_same(treated.model, plain)
    assert not torch.equal(plain[0].weight, mlp()[0].weight)


@every_clip
@pytest.mark.parametrize("fused", [True, False])
def test_scaled_gradients_are_clipped_at_their_true_size(clip, fused):
    treated, plain, naive = pair(clip)
    ours = treated.optimizer(torch.optim.Adam, lr=0.01, fused=fused)
    theirs = torch.optim.Adam(plain.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for _ in range(4):
        ours.zero_grad()
        scaler.scale(loss_of(treated.model)).backward()
        scaler.step(ours)
        scaler.update()
        theirs.zero_grad()
        loss_of(plain).backward()
        naive(theirs)
        theirs.step()
    assert_same(treated.model, plain, atol=1e-6)


@every_clip
@pytest.mark.parametrize("fused", [True, False])
def test_a_step_that_the_scaler_skips_leaves_no_trace(clip, fused):
    treated, plain, naive = pair(clip)
    ours = treated.optimizer(torch.optim.SGD, lr=0.1, fused=fused)
    theirs = torch.optim.SGD(plain.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=100)
    for step in range(6):
        skipped = step in (0, 3)
        ours.zero_grad()
        loss = loss_of(treated.model) * (float("inf") if skipped else 1.0)
        scaler.scale(loss).backward()
        scaler.step(ours)
        scaler.update()
        if not skipped:
            theirs.zero_grad()
            loss_of(plain).backward()
            naive(theirs)
            theirs.step()
    assert_same(treated.model, plain, atol=1e-6)


def test_a_skipped_step_with_finite_gradients_of_ours_is_not_remembered():
    """The scaler looks at all parameters of an optimizer, the recipe at those of its model."""
    treated, plain, naive = pair("percentile")
    other = nn.Parameter(torch.zeros(1))
    ours = treated.optimizer(lambda ps: torch.optim.SGD([*ps, other], lr=0.1, fused=True))
    theirs = torch.optim.SGD(plain.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    for step in range(4):
        ours.zero_grad()
        bad = float("inf") if step in (0, 2) else 1.0
        scaler.scale(loss_of(treated.model) * (1e-3 if step == 2 else 1) + other * bad).backward()
        scaler.step(ours)
        scaler.update()
        if step in (1, 3):
            theirs.zero_grad()
            loss_of(plain).backward()
            naive(theirs)
            theirs.step()
    assert_same(treated.model, plain, atol=1e-6)


@every_clip
def test_under_autocast_the_gradients_of_the_parameters_are_clipped(clip):
    treated, plain, naive = pair(clip, mlp().float(), example_input=X.float())
    ours = treated.optimizer(torch.optim.SGD, lr=0.1)
    theirs = torch.optim.SGD(plain.parameters(), lr=0.1)
    for _ in range(3):
        for model, optimizer in ((treated.model, ours), (plain, theirs)):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = loss_of(model)
            loss.backward()
        ours.step()
        naive(theirs)
        theirs.step()
    assert_same(treated.model, plain, atol=1e-6)


@every_clip
def test_the_norm_is_taken_over_all_groups_and_frozen_parameters_stay(clip):
    model = mlp()
    model[0].bias.requires_grad_(False)
    treated, plain, naive = pair(clip, model)

    def grouped(model):
        return torch.optim.SGD(
            [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.3}],
            lr=0.1,
        )

    ours = treated.optimizer(lambda _: grouped(treated.model))
    theirs = grouped(plain)
    for _ in range(3):
        for net, optimizer in ((treated.model, ours), (plain, theirs)):
            optimizer.zero_grad()
            loss_of(net).backward()
        ours.step()
        naive(theirs)
        theirs.step()
    assert_same(treated.model, plain)
    assert torch.equal(treated.model[0].bias, mlp()[0].bias)


@every_clip
def test_two_optimizers_of_a_pair_of_networks_are_clipped_each_by_itself(clip):
    torch.manual_seed(0)
    networks = nn.ModuleDict({"generator": nn.Linear(2, 6).double(), "critic": mlp()})
    treated, plain, _ = pair(clip, networks, example_input=None)
    naive = {name: getattr(Naive(), clip) for name in networks}
    noise = torch.randn(24, 2, dtype=torch.float64)

    def loss(model, turn):
        made = model["critic"](model["generator"](noise))
        real = model["critic"](X)
        return 20 * (made.mean() if turn == "generator" else (real - made).square().mean())

    def optimizers(model, make):
        return {n: make(partial(torch.optim.SGD, model[n].parameters(), lr=0.05)) for n in model}

    ours = optimizers(treated.model, lambda make: treated.optimizer(lambda _: make()))
    theirs = optimizers(plain, lambda make: make())
    for turn in ("critic", "generator") * 3:
        for model, kinds in ((treated.model, ours), (plain, theirs)):
            model.zero_grad()
            loss(model, turn).backward()
            if model is plain:
                with torch.no_grad():
                    naive[turn](list(plain[turn].parameters()))
            kinds[turn].step()
    assert_same(treated.model, plain)


@every_clip
def test_every_gradient_of_a_closure_is_clipped(clip):
    treated, plain, naive = pair(clip)
    ours = treated.optimizer(torch.optim.LBFGS, lr=0.1, max_iter=3)
    theirs = torch.optim.LBFGS(plain.parameters(), lr=0.1, max_iter=3)

    def closure(model, optimizer, clipped):
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        if clipped:
            naive(optimizer)
        return loss

    for _ in range(2):
        ours.step(partial(closure, treated.model, ours, False))
        theirs.step(partial(closure, plain, theirs, True))
    assert_same(treated.model, plain, atol=1e-6)


@every_clip
def test_a_sparse_gradient_is_refused_with_what_to_do(clip):
    model = nn.Sequential(nn.Embedding(5, 3, sparse=True), nn.Linear(3, 2))
    treated, _, _ = pair(clip, model, example_input=torch.arange(4))
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.1)
    treated.model(torch.arange(4)).sum().backward()
    with pytest.raises(BadInput, match=r"sparse gradient of 0.weight: make the layer"):
        optimizer.step()


@every_clip
def test_a_step_without_any_gradient_does_nothing(clip):
    treated, _, _ = pair(clip)
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.1)
    before = copy.deepcopy(treated.model.state_dict())
    optimizer.step()
    assert all(torch.equal(v, before[k]) for k, v in treated.model.state_dict().items())
