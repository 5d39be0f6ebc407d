"""Many runs at once go the same courses as each of them alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.recipe import Recipe, StackedRecipe
from fitwell.remedies import (
    L1,
    L2,
    AdaptiveClip,
    Augment,
    ClipNorm,
    ClipValue,
    CutMix,
    LabelSmoothing,
    LearningRate,
    Mixup,
    PercentileClip,
    WeightAverage,
)

ROWS, FEATURES, CLASSES = 16, 6, 3


def make_model(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, CLASSES))


def treated_by(*recipes):
    x = torch.zeros(4, FEATURES)
    return [
        recipe.apply(make_model(seed), example_input=x, seed=seed)
        for seed, recipe in enumerate(recipes)
    ]


def mean_losses(outputs, targets):
    return torch.stack([F.cross_entropy(o, t) for o, t in zip(outputs, targets, strict=True)])


def batches(steps):
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        yield (
            torch.randn(3, ROWS, FEATURES, generator=generator),
            torch.randint(CLASSES, (3, ROWS), generator=generator),
        )


def alone(treated, rates, steps):
    """Train each run by itself; return losses (runs, steps) and the final parameters."""
    losses, optimizers, loss_fns = [], [], []
    for each, rate in zip(treated, rates, strict=True):
        optimizers.append(each.optimizer(torch.optim.SGD, lr=rate, momentum=0.9))
        loss_fns.append(each.loss(F.cross_entropy))
    schedulers = [e.scheduler(o) for e, o in zip(treated, optimizers, strict=True)]
    for xs, ys in batches(steps):
        row = []
        for run, each in enumerate(treated):
            x, y = each.batch(xs[run], ys[run])
            optimizers[run].zero_grad()
            loss = loss_fns[run](each.model(x), y)
            loss.backward()
            optimizers[run].step()
            schedulers[run].step()
            row.append(loss.detach())
        losses.append(torch.stack(row))
    return torch.stack(losses, dim=1)


def stacked(treated, rates, steps):
    """Train all runs as one, by the plainest loop there is."""
    stack = StackedRecipe(treated)
    states = [dict(each.model.named_parameters()) for each in treated]
    weights = {n: torch.stack([s[n].detach() for s in states]) for n in states[0]}
    velocity = {n: torch.zeros_like(w) for n, w in weights.items()}
    loss_fn, model = stack.loss(mean_losses), treated[0].model
    losses = []
    for number, (xs, ys) in enumerate(batches(steps)):
        x, y = stack.batch(xs, ys)
        live = {n: w.clone().requires_grad_() for n, w in weights.items()}
        outputs = torch.func.vmap(lambda w, rows: torch.func.functional_call(model, w, rows))(
            live, x
        )
        loss = loss_fn(outputs, y)
        found = torch.autograd.grad(loss.sum(), list(live.values()))
        gradients = stack.change_gradients(dict(zip(live, found, strict=True)), weights)
        factors = stack.rate_factors(number)
        now = [rate * factor for rate, factor in zip(rates, factors, strict=True)]
        for name, gradient in gradients.items():
            velocity[name] = 0.9 * velocity[name] + gradient
            rate = torch.tensor(now).view(-1, *[1] * (gradient.dim() - 1))
            weights[name] = weights[name] - rate * velocity[name]
        weights = stack.change_parameters(weights, now)
        stack.end_step(weights)
        losses.append(loss.detach())
    return stack, torch.stack(losses, dim=1), weights


RECIPES = [
    [Recipe(), Recipe(), Recipe()],
    [Recipe(L2(s)) for s in (0.0, 0.5, 30.0)],
    [Recipe(L2(s, decoupled=False)) for s in (0.0, 0.5, 3.0)],
    [Recipe(L1(s)) for s in (0.0, 0.1, 3.0)],
    [Recipe(ClipNorm(s)) for s in (0.1, 0.5, 100.0)],
    [Recipe(ClipValue(s)) for s in (0.01, 0.05, 100.0)],
    [Recipe(AdaptiveClip(s)) for s in (0.001, 0.01, 1.0)],
    [Recipe(PercentileClip(s, window=5)) for s in (1.0, 33.0, 100.0)],
    [Recipe(LabelSmoothing(s)) for s in (0.0, 0.1, 1.0)],
    [Recipe(LearningRate(*s)) for s in ((1.0, 0), (2.0, 3), (0.5, 3, "cosine", 9))],
    [Recipe(WeightAverage(decay=s)) for s in (0.0, 0.5, 0.999)],
    [Recipe(WeightAverage("swa", start=4))] * 3,
    [Recipe(Mixup(s)) for s in (0.1, 0.2, 5.0)],
    [Recipe(CutMix(s)) for s in (0.1, 1.0, 5.0)],
    [Recipe(Augment(s)) for s in (0.1, 0.5, 1.0)],
    [Recipe(ClipNorm(s), L2(s), Mixup(s), LabelSmoothing(s), Augment(s)) for s in (0.1, 0.5, 1.0)],
]


@pytest.mark.parametrize("recipes", RECIPES, ids=lambda recipes: str(recipes[1]) or "empty")
def test_a_stack_trains_as_each_run_alone(recipes):
    singles, together = treated_by(*recipes), treated_by(*recipes)
    rates = (0.05, 0.1, 0.1)
    expected = alone(singles, rates, 12)
    stack, losses, weights = stacked(together, rates, 12)
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-6)
    averages = stack.averages()
    for run, single in enumerate(singles):
        for name, parameter in single.model.named_parameters():
            torch.testing.assert_close(weights[name][run], parameter.data, rtol=1e-3, atol=1e-5)
        for name, average in single._averages().items():
            torch.testing.assert_close(averages[name][run], average, rtol=1e-3, atol=1e-5)
