"""The averages are those of torch's AveragedModel, and come and go without a trace."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from fitwell.errors import BadInput, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import EarlyStopping, WeightAverage
from fitwell.testing import RemedyContract

X = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(16) % 3


class TestWeightAverage(RemedyContract):
    def make_remedy(self):
        return WeightAverage(decay=0.9)

    def make_stack(self):
        return [WeightAverage(decay=decay) for decay in (0.0, 0.15, 0.9)]


class TestEqualAverage(RemedyContract):
    def make_remedy(self):
        return WeightAverage("swa")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def step(model, optimizer):
    optimizer.zero_grad()
    F.cross_entropy(model(X.to(model[0].weight.dtype)), Y).backward()
    optimizer.step()


def apply(*remedies, model=None):
    return Recipe(*remedies).apply(model or network(), example_input=X)


def warm(decay):
    def averaged(old, new, count):
        share = min(decay, (1 + float(count)) / (10 + float(count)))
        return share * old + (1 - share) * new if old.is_floating_point() else new

    return averaged


ORACLES = {
    "ema(0.3)": (WeightAverage(decay=0.3), warm(0.3)),
    "ema(0.9)": (WeightAverage(decay=0.9), warm(0.9)),
    "swa": (WeightAverage("swa"), lambda old, new, n: old + (new - old) / (n + 1)),
}


@pytest.mark.parametrize("case", ORACLES)
def test_weights_and_statistics_are_those_of_an_averaged_model(case):
    remedy, function = ORACLES[case]
    treated, plain = apply(remedy), network()
    oracle = AveragedModel(plain, avg_fn=function, use_buffers=True)
    ours = treated.optimizer(torch.optim.SGD, lr=0.3)
    theirs = torch.optim.SGD(plain.parameters(), lr=0.3)
    for _ in range(12):
        step(treated.model, ours)
        step(plain, theirs)
        oracle.update_parameters(plain)
    trained = copy.deepcopy(treated.model.state_dict())
    with treated.averaged() as model:
        assert model is treated.model
        for name, value in oracle.module.state_dict().items():
            if value.is_floating_point():
                torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=1e-6)
        assert not torch.equal(model[0].weight, trained["0.weight"])
        assert model[1].num_batches_tracked == 12
    assert all(torch.equal(v, trained[k]) for k, v in treated.model.state_dict().items())
    assert all(
        torch.equal(p, q) for p, q in zip(model.parameters(), plain.parameters(), strict=True)
    )


def test_equal_weights_are_the_mean_of_what_was_there_from_start_on():
    treated = apply(WeightAverage("swa", start=3))
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.3)
    seen = []
    for number in range(7):
        step(treated.model, optimizer)
        weight = treated.model[3].weight.detach().clone()
        seen.append(weight)
        with treated.averaged():
            mean = torch.stack(seen[3:]).mean(0) if number >= 3 else weight
            torch.testing.assert_close(treated.model[3].weight, mean)


def test_finish_puts_the_average_into_the_model():
    treated = apply(WeightAverage("swa"))
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.3)
    for _ in range(4):
        step(treated.model, optimizer)
    with treated.averaged():
        expected = copy.deepcopy(treated.model.state_dict())
    for _ in range(2):
        treated.finish()
        assert all(torch.equal(v, expected[k]) for k, v in treated.model.state_dict().items())


def test_the_best_weights_that_early_stopping_keeps_are_averages():
    treated = apply(WeightAverage(decay=0.5), EarlyStopping(2))
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.3)
    kept = []
    for loss in (3.0, 1.0, 2.0):
        step(treated.model, optimizer)
        with treated.averaged():
            kept.append(copy.deepcopy(treated.model.state_dict()))
            if loss == 2.0:
                treated.should_stop(val_loss=loss)
        if loss != 2.0:
            treated.should_stop(val_loss=loss)
    treated.finish()
    assert all(torch.equal(v, kept[1][k]) for k, v in treated.model.state_dict().items())


def test_without_averaging_the_model_is_shown_as_it_is():
    treated = apply()
    before = treated.model[0].weight
    with treated.averaged() as model:
        assert model[0].weight is before
    treated.finish()
    assert treated.unused() == ()


def test_what_is_raised_inside_leaves_the_weights_as_they_were():
    treated = apply(WeightAverage("swa"))
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.3)
    for _ in range(3):
        step(treated.model, optimizer)
    before = copy.deepcopy(treated.model.state_dict())
    with pytest.raises(RuntimeError, match="inside"), treated.averaged(), treated.averaged():
        raise RuntimeError("inside")
    assert all(torch.equal(v, before[k]) for k, v in treated.model.state_dict().items())


def test_two_optimizers_average_each_what_they_hold_and_buffers_once():
    treated = apply(WeightAverage("swa"))
    kinds = [
        treated.optimizer(
            lambda _, part=part: torch.optim.SGD(treated.model[part].parameters(), lr=0.3)
        )
        for part in (0, 3)
    ]
    first, last, statistics = [], [], []
    for number in range(4):
        step(treated.model, kinds[0])
        first.append(treated.model[0].weight.detach().clone())
        statistics.append(treated.model[1].running_mean.clone())
        if number % 2:
            kinds[1].step()
            last.append(treated.model[3].weight.detach().clone())
    treated.finish()
    torch.testing.assert_close(treated.model[0].weight, torch.stack(first).mean(0))
    torch.testing.assert_close(treated.model[3].weight, torch.stack(last).mean(0))
    torch.testing.assert_close(treated.model[1].running_mean, torch.stack(statistics).mean(0))


def test_an_optimizer_that_takes_over_averages_anew():
    treated = apply(WeightAverage("swa"))
    for _ in range(2):
        optimizer = treated.optimizer(torch.optim.SGD, lr=0.3)
        seen = []
        for _ in range(3):
            step(treated.model, optimizer)
            seen.append(copy.deepcopy(treated.model.state_dict()))
    treated.finish()
    for name in ("0.weight", "1.running_mean"):
        mean = torch.stack([state[name] for state in seen]).mean(0)
        torch.testing.assert_close(treated.model.state_dict()[name], mean)


def test_tied_weights_stay_tied():
    model = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False), nn.Linear(6, 3))
    model[1].weight = model[0].weight
    treated = apply(WeightAverage("swa"), EarlyStopping(), model=model)
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.3)
    seen = []
    for _ in range(3):
        step(treated.model, optimizer)
        seen.append(treated.model[0].weight.detach().clone())
    treated.should_stop(val_loss=1.0)
    treated.finish()
    torch.testing.assert_close(treated.model[0].weight, torch.stack(seen).mean(0))
    assert treated.model[1].weight is treated.model[0].weight


def test_half_precision_is_averaged_in_single():
    """At decay 0.999 a step of bfloat16 would be lost to rounding."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False)).bfloat16()
    remedy = WeightAverage(decay=0.999)
    averages = {}
    for number in range(20_000):
        value = {"w": torch.full_like(model[0].weight, 1.0 if number < 15_000 else 1.5)}
        averages = remedy.average(averages, value, number)
    assert averages["w"].dtype == torch.float32
    assert averages["w"].item() == pytest.approx(1.5 - 0.5 * 0.999**5000, abs=1e-3)


def test_a_step_that_a_scaler_skips_is_not_averaged():
    treated = apply(WeightAverage(decay=0.5))
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.3, fused=True)
    step(treated.model, optimizer)
    step(treated.model, optimizer)
    with treated.averaged():
        before = treated.model[3].weight.detach().clone()
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    scaler.scale(F.cross_entropy(treated.model(X), Y) * float("inf")).backward()
    scaler.step(optimizer)
    with treated.averaged():
        assert torch.equal(treated.model[3].weight, before)


def test_what_was_done_and_what_was_forgotten_is_told():
    treated = apply(WeightAverage())
    assert treated.unused() == ("optimizer", "finish")
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.3)
    for _ in range(3):
        step(treated.model, optimizer)
    with treated.averaged():
        pass
    assert treated.unused() == ("finish",)
    treated.finish()
    assert treated.unused() == ()
    (said,) = treated.effects()
    assert said == "WeightAverage averaged the weights over 3 steps, and they were shown 2 times"


def test_arguments_out_of_range_are_refused():
    with pytest.raises(BadInput, match="Unknown kind of average 'mean'"):
        WeightAverage("mean")
    with pytest.raises(ThresholdError, match="decay"):
        WeightAverage(decay=1.0)
    with pytest.raises(ThresholdError, match="start must be a whole number"):
        WeightAverage("swa", start=1.5)
