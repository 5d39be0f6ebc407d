"""Clipping agrees with torch's own, and one overflow does not end a run."""

import pytest
import torch
from torch import nn

from fitwell.errors import ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import ClipNorm, ClipValue
from fitwell.remedies.clip_norm import global_norm
from fitwell.testing import RemedyContract


class TestClipNorm(RemedyContract):
    def make_remedy(self):
        return ClipNorm(0.25)

    def make_stack(self):
        return [ClipNorm(limit) for limit in (0.01, 0.25, 100.0)]


class TestClipValue(RemedyContract):
    def make_remedy(self):
        return ClipValue(0.01)

    def make_stack(self):
        return [ClipValue(limit) for limit in (1e-3, 0.01, 100.0)]


def parameters(scale, dtype=torch.float32):
    torch.manual_seed(0)
    made = {"a": nn.Parameter(torch.randn(5, 3, dtype=dtype)), "b": nn.Parameter(torch.zeros(7))}
    for p in made.values():
        p.grad = scale * torch.randn_like(p)
    return made


@pytest.mark.parametrize("scale", [1e-3, 0.2, 1.0, 1e4, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_clip_norm_is_torchs_own(scale, dtype):
    made = parameters(scale, dtype)
    gradients = {n: p.grad.clone() for n, p in made.items()}
    new = ClipNorm(1.5).on_gradients(gradients, made, {})
    torch.nn.utils.clip_grad_norm_(made.values(), 1.5)
    for name, p in made.items():
        mixed = dtype == torch.bfloat16
        torch.testing.assert_close(new[name], p.grad, rtol=5e-3 if mixed else 1e-6, atol=0)


@pytest.mark.parametrize("scale", [0.1, 100.0])
def test_clip_value_is_torchs_own(scale):
    made = parameters(scale)
    new = ClipValue(0.3).on_gradients({n: p.grad.clone() for n, p in made.items()}, made, {})
    torch.nn.utils.clip_grad_value_(made.values(), 0.3)
    assert all(torch.equal(new[name], p.grad) for name, p in made.items())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_norm_that_is_not_finite_gives_a_gradient_of_zero(bad):
    gradients = {"a": torch.tensor([1.0, bad]), "b": torch.ones(3)}
    new = ClipNorm(1.0).on_gradients(gradients, gradients, {})
    assert [g.tolist() for g in new.values()] == [[0, 0], [0, 0, 0]]


def test_clip_value_brings_infinity_to_the_limit():
    g = {"a": torch.tensor([float("inf"), -float("inf"), 0.1])}
    assert ClipValue(0.5).on_gradients(g, g, {})["a"].tolist() == pytest.approx([0.5, -0.5, 0.1])


def test_gradients_within_the_limit_are_handed_on_as_they_are():
    g = {"a": torch.tensor([0.3, 0.4])}
    assert ClipNorm(0.5001).on_gradients(g, g, {})["a"] is g["a"]
    assert ClipNorm(1.0).on_gradients({}, {}, {}) == {}


def test_the_effect_tells_how_often_it_fired():
    model = nn.Sequential(nn.Linear(2, 1))
    treated = Recipe(ClipNorm(1.0)).apply(model, example_input=torch.ones(1, 2))
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.0)
    for scale in (0.1, 10.0, 0.1, 10.0, 10.0):
        for p in treated.model.parameters():
            p.grad = torch.full_like(p, scale)
        optimizer.step()
    assert treated.effects() == ("ClipNorm fired in 3 of 5 steps",)


@pytest.mark.parametrize("remedy", [ClipNorm, ClipValue])
@pytest.mark.parametrize("limit", [0.0, -1.0, float("inf"), float("nan"), "1"])
def test_a_limit_out_of_range_is_refused(remedy, limit):
    with pytest.raises(ThresholdError, match="max_"):
        remedy(limit)


@pytest.mark.parametrize("tensors", [1, 3, 6, 9, 40])
def test_the_norm_of_a_run_is_the_same_in_every_bit_whatever_it_is_stacked_with(tensors):
    generator = torch.Generator().manual_seed(tensors)
    sizes = [1 + 7 * number % 50 for number in range(tensors)]
    stack = {str(n): torch.randn(16, size, generator=generator) for n, size in enumerate(sizes)}
    norms = global_norm(stack, lead=1)
    for runs in (1, 2, 5):
        part = {name: tensor[:runs].clone() for name, tensor in stack.items()}
        assert torch.equal(global_norm(part, lead=1), norms[:runs])
    alone = [
        global_norm({name: tensor[run] for name, tensor in stack.items()}) for run in range(16)
    ]
    torch.testing.assert_close(norms, torch.stack(alone))
