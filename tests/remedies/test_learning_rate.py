"""The schedules are torch's own, and act once an update."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from fitwell.errors import BadInput, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import LearningRate
from fitwell.testing import RemedyContract


class TestLearningRate(RemedyContract):
    def make_remedy(self):
        return LearningRate(warmup=5)

    def make_stack(self):
        return [
            LearningRate(warmup=3),
            LearningRate(2.0, warmup=0),
            LearningRate(0.5, 1, "cosine", 9),
        ]


def optimizer_of(*rates):
    return torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": r} for r in rates])


def theirs(schedule, optimizer):
    """A warm-up over 5 updates and 20 more, of torch's parts."""
    rise = LinearLR(optimizer, 1 / 5, 1.0, total_iters=4)
    fall = (
        CosineAnnealingLR(optimizer, 20, eta_min=0.1)
        if schedule == "cosine"
        else LinearLR(optimizer, 1.0, 0.1, total_iters=20)
    )
    return SequentialLR(optimizer, [rise, fall], [5])


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_warm_up_and_a_fall_are_those_of_torch(schedule):
    remedy = LearningRate(warmup=5, schedule=schedule, steps=25, min_factor=0.1)
    oracle = optimizer_of(1.0)
    scheduler = theirs(schedule, oracle)
    for step in range(26):
        assert remedy.rate_factor(step) == pytest.approx(oracle.param_groups[0]["lr"]), step
        oracle.step()
        scheduler.step()
    assert remedy.rate_factor(1000) == pytest.approx(0.1)


def test_a_constant_rate_is_warmed_up_from_a_line_through_zero():
    factors = [LearningRate(2.0, warmup=4).rate_factor(step) for step in range(6)]
    assert factors == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert LearningRate(3.0, warmup=0).rate_factor(0) == 3.0


def test_the_scheduler_scales_the_rate_of_every_group():
    treated = Recipe(LearningRate(0.5, warmup=2)).apply(
        nn.Sequential(nn.Linear(1, 1)), example_input=torch.ones(1, 1)
    )
    optimizer = treated.optimizer(
        lambda _: torch.optim.SGD(
            [
                {"params": [treated.model[0].weight], "lr": 1.0},
                {"params": [treated.model[0].bias], "lr": 8.0},
            ]
        )
    )
    scheduler = treated.scheduler(optimizer)
    seen = []
    for _ in range(3):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    assert seen == [[0.25, 2.0], [0.5, 4.0], [0.5, 4.0]]
    assert treated.effects() == (
        "LearningRate moved the learning rate in 3 steps, to 0.5 times its value",
    )
    assert set(scheduler.state_dict()["lr_lambdas"][0]) == set()


def test_a_scheduler_that_was_never_made_or_never_stepped_is_named():
    treated = Recipe(LearningRate()).apply(nn.Sequential(nn.Linear(1, 1)), example_input=None)
    assert treated.unused() == ("scheduler",)
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.1)
    scheduler = treated.scheduler(optimizer)
    for _ in range(199):
        optimizer.step()
    assert treated.unused() == ("scheduler",)
    with pytest.warns(UserWarning, match=r"never used treated.scheduler\(\)\."):
        optimizer.step()
    scheduler.step()
    assert treated.unused() == ()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"factor": 0.0}, "factor"),
        ({"warmup": -1}, "warmup"),
        ({"warmup": 1.5}, "warmup must be a whole number"),
        ({"min_factor": 1.1}, "min_factor"),
        ({"schedule": "cosine"}, r"steps must exceed warmup \(100\) for a cosine schedule, got 0"),
        ({"schedule": "linear", "warmup": 9, "steps": 9}, "steps must exceed warmup"),
    ],
)
def test_arguments_out_of_range_are_refused(options, said):
    with pytest.raises(ThresholdError, match=said):
        LearningRate(**options)
    with pytest.raises(BadInput, match="Unknown schedule 'step'"):
        LearningRate(schedule="step")
