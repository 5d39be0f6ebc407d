"""The range test finds the rate where the loss falls fastest, and leaves everything as it was."""

import copy
import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from fitwell.errors import BadInput, ThresholdError
from fitwell.recipe import RangeTest, Recipe
from fitwell.remedies import BatchNorm, ClipNorm, Dropout, Mixup, WeightAverage

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def apply(*remedies):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    return Recipe(*remedies).apply(model, example_input=X)


def batches():
    return list(zip(X.split(16), Y.split(16), strict=True))


def test_the_rates_rise_by_the_same_factor_and_the_losses_are_those_of_a_plain_loop():
    treated = apply()
    found = treated.range_test(
        batches(), F.cross_entropy, torch.optim.SGD, low=1e-3, high=0.1, steps=9
    )
    assert found.rates == pytest.approx([1e-3 * 10 ** (n / 4) for n in range(9)])
    plain, losses = copy.deepcopy(treated.model), []
    for number, rate in enumerate(found.rates):
        x, y = batches()[number % 4]
        loss = F.cross_entropy(plain(x), y)
        plain.zero_grad()
        loss.backward()
        torch.optim.SGD(plain.parameters(), lr=rate).step()
        losses.append(loss.item())
    assert found.losses == pytest.approx(losses)


def test_the_suggestion_is_a_rate_that_trains_and_the_test_ends_when_the_loss_explodes():
    found = apply().range_test(batches(), F.cross_entropy, torch.optim.SGD, high=1e6, steps=200)
    assert isinstance(found, RangeTest)
    assert 0.01 < found.suggestion < 10
    assert len(found.rates) == len(found.losses) < 200
    assert all(map(math.isfinite, found.losses))


def test_a_quadratic_falls_fastest_just_below_twice_its_inverse_curvature():
    """SGD on ½ c w² shrinks w by |1 - rate c|, and explodes from a rate of 2 / c on."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False))
    treated = Recipe().apply(model, example_input=torch.ones(1, 1))
    found = treated.range_test(
        [(torch.full((1, 1), 10.0), torch.zeros(1, 1))], nn.MSELoss(), torch.optim.SGD, steps=400
    )
    assert 1e-4 < found.suggestion < 2 / 200  # the curvature is 2 · 10²
    assert found.rates[-1] < 1.0


def test_model_random_state_counts_and_batches_stay_as_they_were():
    treated = apply(BatchNorm(), Dropout(), Mixup(), ClipNorm(), WeightAverage())
    before = copy.deepcopy(treated.model.state_dict())
    given = batches()
    kept = copy.deepcopy(given)
    state, modes = torch.get_rng_state(), [m.training for m in treated.model.modules()]
    treated.range_test(given, F.cross_entropy, partial(torch.optim.SGD, momentum=0.9))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in treated.model.state_dict().items())
    assert all(p.grad is None for p in treated.model.parameters())
    assert [m.training for m in treated.model.modules()] == modes
    for (x, y), (a, b) in zip(given, kept, strict=True):
        assert torch.equal(x, a)
        assert torch.equal(y, b)
    assert treated.unused() == ("batch", "loss", "optimizer", "finish")
    first = treated.batch(*given[0])[0]
    assert torch.equal(first, apply(Mixup()).batch(*given[0])[0])


def test_a_loader_that_shuffles_is_gone_through_again_and_again():
    loader = DataLoader(TensorDataset(X, Y), batch_size=32, shuffle=True)
    state = torch.get_rng_state()
    found = apply().range_test(loader, F.cross_entropy, torch.optim.SGD, high=0.1, steps=11)
    assert len(found.rates) == 11
    assert torch.equal(torch.get_rng_state(), state)


def test_an_iterator_is_gone_through_once():
    found = apply().range_test(iter(batches()), F.cross_entropy, torch.optim.SGD, high=0.1)
    assert len(found.rates) == 4


def test_a_loss_that_never_falls_suggests_nothing():
    def flat(outputs, targets):
        return outputs.sum() * 0.0 + 1.0

    assert apply().range_test(batches(), flat, torch.optim.SGD).suggestion is None


def test_a_loss_that_is_never_finite_is_refused():
    def lost(outputs, targets):
        return outputs.sum() * float("nan")

    for given, loss_fn in ((batches(), lost), ([], F.cross_entropy)):
        with pytest.raises(BadInput, match="saw no finite loss"):
            apply().range_test(given, loss_fn, torch.optim.SGD)


@pytest.mark.parametrize("options", [{"low": 0.0}, {"high": 1e-8}, {"steps": 1}, {"steps": 2.5}])
def test_arguments_out_of_range_are_refused(options):
    with pytest.raises(ThresholdError, match=next(iter(options))):
        apply().range_test(batches(), F.cross_entropy, torch.optim.SGD, **options)
