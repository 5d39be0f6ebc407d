"""The penalties do in closed form what they promise."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso, Ridge
from torch import nn

from fitwell.errors import ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import L1, L2
from fitwell.testing import RemedyContract


class TestL1(RemedyContract):
    def make_remedy(self):
        return L1(1e-3)

    def make_stack(self):
        return [L1(strength) for strength in (0.0, 1e-3, 2.0)]


class TestL2(RemedyContract):
    def make_remedy(self):
        return L2(1e-3)

    def make_stack(self):
        return [L2(strength) for strength in (0.0, 1e-3, 30.0)]


class TestL2Coupled(RemedyContract):
    def make_remedy(self):
        return L2(1e-3, decoupled=False)

    def make_stack(self):
        return [L2(strength, decoupled=False) for strength in (0.0, 1e-3, 2.0)]


@pytest.mark.parametrize("as_rate", [float, torch.tensor])
def test_the_proximal_step_is_soft_thresholding_with_exact_zeros(as_rate):
    w = torch.tensor([[0.5, -0.5, 0.01, -0.01, 0.02, 0.0]])
    (new,) = L1(0.2).after_update({"w": w}, as_rate(0.1)).values()
    expected = np.sign(w.numpy()) * np.maximum(np.abs(w.numpy()) - 0.02, 0)
    assert np.allclose(new.numpy(), expected)
    assert new[0, 2:].tolist() == [0.0] * 4


@pytest.mark.parametrize("as_rate", [float, torch.tensor])
def test_decoupled_decay_is_a_factor_that_never_turns_negative(as_rate):
    w = torch.tensor([2.0, -4.0])
    assert L2(0.5).after_update({"w": w}, as_rate(0.1))["w"].tolist() == pytest.approx([1.9, -3.8])
    assert L2(50.0).after_update({"w": w}, as_rate(0.1))["w"].abs().tolist() == [0, 0]
    assert L2(0.5).on_gradients({"w": w}, {"w": w}, {})["w"] is w


def test_coupled_decay_is_the_gradient_of_half_lambda_w_squared():
    w = torch.tensor([2.0, -4.0], requires_grad=True)
    (0.5 * 0.3 * w.square().sum()).backward()
    new = L2(0.3, decoupled=False).on_gradients({"w": torch.ones(2)}, {"w": w.detach()}, {})
    assert torch.allclose(new["w"], 1 + w.grad)
    assert L2(0.3, decoupled=False).after_update({"w": w}, 0.1)["w"] is w


def trained(remedy, x, y, *, steps, rate):
    model = nn.Sequential(nn.Linear(x.shape[1], 1, dtype=x.dtype))
    treated = Recipe(remedy).apply(model, example_input=x)
    optimizer = treated.optimizer(torch.optim.SGD, lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * (treated.model(x).squeeze(1) - y).square().mean()).backward()
        optimizer.step()
    return treated.model[0].weight.detach().numpy()[0]


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 12))
    y = x[:, :4] @ [2.0, -1.5, 1.0, 0.4] + 0.3 * rng.normal(size=80)
    return torch.tensor(x), torch.tensor(y)


def test_l1_finds_the_weights_of_the_lasso_with_the_same_support(regression):
    x, y = regression
    lasso = Lasso(alpha=0.1, tol=1e-12, max_iter=100_000).fit(x.numpy(), y.numpy())
    weights = trained(L1(0.1), x, y, steps=1500, rate=0.1)
    assert set(np.flatnonzero(weights)) == set(np.flatnonzero(lasso.coef_))
    assert 0 < np.count_nonzero(weights) < 12
    assert np.allclose(weights, lasso.coef_, atol=1e-6)


def test_l2_finds_the_weights_of_ridge_and_none_is_zero(regression):
    x, y = regression
    ridge = Ridge(alpha=0.1 * len(x), tol=1e-12).fit(x.numpy(), y.numpy())
    coupled = trained(L2(0.1, decoupled=False), x, y, steps=1500, rate=0.1)
    assert np.allclose(coupled, ridge.coef_, atol=1e-6)
    assert np.count_nonzero(coupled) == 12


def test_l2_finds_the_closed_form_of_ridge(regression):
    x, y = (given.numpy() for given in regression)
    centred, shift = x - x.mean(0), y - y.mean()
    strength = 0.1 * len(x) * np.eye(x.shape[1])
    closed = np.linalg.solve(centred.T @ centred + strength, centred.T @ shift)
    coupled = trained(L2(0.1, decoupled=False), *regression, steps=1500, rate=0.1)
    assert np.allclose(coupled, closed, atol=1e-8)


def test_decoupled_l2_under_sgd_finds_ridge_of_a_slightly_larger_strength(regression):
    x, y = regression
    ridge = Ridge(alpha=0.1 / (1 - 0.1 * 0.1) * len(x), tol=1e-12).fit(x.numpy(), y.numpy())
    assert np.allclose(trained(L2(0.1), x, y, steps=1500, rate=0.1), ridge.coef_, atol=1e-6)


@pytest.mark.parametrize("remedy", [L1(0.5), L2(0.5), L2(0.5, decoupled=False)])
def test_biases_and_normalisation_are_not_penalised(remedy):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    treated = Recipe(remedy).apply(model, example_input=torch.randn(2, 3))
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.1)
    for p in treated.model.parameters():
        p.grad = torch.zeros_like(p)
    before = {n: p.detach().clone() for n, p in treated.model.named_parameters()}
    optimizer.step()
    moved = {n for n, p in treated.model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {"0.weight", "2.weight"}


@pytest.mark.parametrize("remedy", [L1, L2])
@pytest.mark.parametrize("strength", [-1e-9, 1000.1, float("inf"), float("nan"), None])
def test_a_strength_out_of_range_is_refused(remedy, strength):
    with pytest.raises(ThresholdError, match="strength"):
        remedy(strength)


@pytest.mark.parametrize("remedy", [L1(0.5), L2(0.5), L2(0.5, decoupled=False)], ids=str)
def test_a_parameter_group_of_biases_alone_is_not_penalised(remedy):
    model = nn.Linear(3, 2)
    treated = Recipe(remedy).apply(model, example_input=torch.ones(4, 3))
    optimizer = treated.optimizer(
        lambda _: torch.optim.SGD(
            [{"params": [treated.model.weight]}, {"params": [treated.model.bias]}], lr=0.1
        )
    )
    biases = treated.optimizer(lambda _: torch.optim.SGD([treated.model.bias], lr=0.1))
    for each, steps in ((optimizer, 1), (biases, 2)):
        each.zero_grad()
        treated.model(torch.ones(4, 3)).sum().backward()
        each.step()
        assert torch.allclose(treated.model.bias, model.bias - 0.1 * 4 * steps)
    assert not torch.allclose(treated.model.weight, model.weight - 0.1 * 4)
