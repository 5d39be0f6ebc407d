"""The gradient of every unit is clipped by the size of its weights, as in a naive loop."""

import pytest
import torch
from torch import nn

from fitwell.errors import ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import AdaptiveClip
from fitwell.testing import RemedyContract


class TestAdaptiveClip(RemedyContract):
    def make_remedy(self):
        return AdaptiveClip(0.02)

    def make_stack(self):
        return [AdaptiveClip(*args) for args in ((1e-3,), (0.02, 1.0), (100.0,))]


class TestAdaptiveClipOfConvolutions(RemedyContract):
    def make_remedy(self):
        return AdaptiveClip(0.02)

    def make_stack(self):
        return [AdaptiveClip(*args) for args in ((1e-3,), (0.02, 1.0), (100.0,))]

    def make_model(self):
        return nn.Sequential(
            *(nn.Conv2d(1, 4, 2, stride=2), nn.ReLU(), nn.ConvTranspose2d(4, 2, 2, stride=2)),
            *(nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(128, 3)),
        )

    def make_batch(self):
        rows = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        return rows, torch.arange(8) % 3


def units_of(model):
    """Every unit of a network by hand, as pairs of a view of its weights and of its gradient."""
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            if p.dim() < 2:
                yield p, p.grad
            elif isinstance(module, nn.ConvTranspose2d) and name == "weight":
                for unit in range(p.shape[1]):
                    yield p[:, unit], p.grad[:, unit]
            else:
                for unit in range(p.shape[0]):
                    yield p[unit], p.grad[unit]


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.ConvTranspose2d(5, 4, 2)),
        *(nn.Flatten(), nn.Linear(4 * 49, 6), nn.Tanh(), nn.Linear(6, 3)),
    )


@pytest.mark.parametrize("ratio", [1e-3, 0.05, 10.0])
def test_a_step_is_that_of_a_naive_loop_over_the_units(ratio):
    x, y = torch.randn(8, 2, 8, 8), torch.arange(8) % 3
    model = network()
    treated = Recipe(AdaptiveClip(ratio)).apply(model, example_input=x)
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.5)
    nn.functional.cross_entropy(treated.model(x), y).backward()
    optimizer.step()
    nn.functional.cross_entropy(model(x), y).backward()
    fired = 0
    with torch.no_grad():
        for weight, gradient in units_of(model):
            limit = ratio * max(weight.square().sum().sqrt().item(), 1e-3)
            norm = gradient.square().sum().sqrt().item()
            if norm > limit:
                fired += 1
                gradient *= limit / max(norm, 1e-6)
    torch.optim.SGD(model.parameters(), lr=0.5).step()
    for p, q in zip(treated.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-7)
    assert fired > 0


def test_weights_of_zero_can_move_by_eps():
    given = {"b": torch.zeros(4)}
    new = AdaptiveClip(0.1, eps=0.01).on_gradients({"b": torch.ones(4)}, given, {})
    assert new["b"].norm().item() == pytest.approx(0.1 * 0.01)


def test_a_unit_whose_norm_is_not_finite_gets_a_gradient_of_zero_and_the_others_keep_theirs():
    weight = {"w": torch.ones(3, 2)}
    gradient = torch.tensor([[1.0, float("nan")], [1e-3, 0.0], [float("inf"), 0.0]])
    new = AdaptiveClip(0.1).on_gradients({"w": gradient}, weight, {})["w"]
    assert new.tolist() == [[0, 0], [pytest.approx(1e-3), 0], [0, 0]]


def test_stacked_runs_are_clipped_each_by_itself():
    weights, gradients = torch.randn(5, 4, 3), torch.randn(5, 4, 3)
    remedy = AdaptiveClip(0.3)

    def one(w, g):
        return remedy.on_gradients({"w": g}, {"w": w}, {})["w"]

    together = torch.vmap(one)(weights, gradients)
    for run in range(5):
        torch.testing.assert_close(together[run], one(weights[run], gradients[run]))


@pytest.mark.parametrize("options", [{"max_ratio": 0.0}, {"max_ratio": 101}, {"eps": 0.0}])
def test_arguments_out_of_range_are_refused(options):
    with pytest.raises(ThresholdError, match=next(iter(options))):
        AdaptiveClip(**options)
