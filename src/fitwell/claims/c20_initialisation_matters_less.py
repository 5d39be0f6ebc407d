"""Batch norm makes a network less sensitive to its initial weights."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn
from torch.optim import SGD

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Smaller
from fitwell.claims.courses import Values, by_setting, point
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import test_accuracies, trained
from fitwell.recipe import Recipe
from fitwell.records import Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

PLAIN, BATCH_NORM = say("plain"), say("batch norm")
SPREAD = say("best accuracy less worst accuracy over the initial scales")
SCALES = (0.1, 0.3, 1.0, 3.0, 10.0)


def scaled(scale: float) -> nn.Sequential:
    """Return four hidden layers of ReLU units with He's initial weights times a scale."""
    network = mlp((64, 64, 64, 64, 64, 10))
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
            with torch.no_grad():
                layer.weight.mul_(scale)
    return network


def experiment(seeds: Sequence[int]) -> Measured:
    """Train from initial weights of five scales, with and without batch norm."""
    arms = {PLAIN: Recipe(), BATCH_NORM: Recipe(r.BatchNorm())}
    spread: Values = {}
    rows = []
    for arm, recipe in arms.items():
        found = []
        for scale in SCALES:
            task = digits_task(partial(scaled, scale), epochs=10, optimizer=partial(SGD, lr=0.1))
            found.append(test_accuracies(trained(task, seeds, recipe)))
            rows.append(point(arm, scale, found[-1]))
        spread[arm] = tuple(max(of) - min(of) for of in zip(*found, strict=True))
    title, x = (
        say("Accuracy by the scale of the initial weights"),
        say("multiple of He's deviation"),
    )
    return Measured({SPREAD: spread}, (by_setting(title, x, rows),))


CLAIM = Claim(
    number=20,
    name="initialisation-matters-less",
    title=say("With batch norm the initial weights matter less"),
    question=say("Does the accuracy depend less on the scale of the initial weights?"),
    data=DIGITS,
    experiment=experiment,
    expects=(Smaller(BATCH_NORM, PLAIN, of=SPREAD, by=0.1),),
    formula=r"\mathrm{BN}(a W x) = \mathrm{BN}(W x) \quad \text{for every } a > 0",
    explanation=say(
        "The layer before a norm can be multiplied by any number: the norm divides it out again. "
        "Too small or too large a start therefore neither starves nor blows up the layers above. "
        "It is less sensitive, not insensitive: the gradient with respect to a larger weight is "
        "smaller, so that from a scale much too large it learns slowly, and the output layer, "
        "which no norm follows, still feels its scale (Ioffe & Szegedy, 2015, section 3.3)."
    ),
    torch="""
        weight, rows = torch.randn(64, 64), torch.randn(32, 64)
        norm = nn.BatchNorm1d(64)
        assert torch.allclose(norm(rows @ weight), norm(rows @ (10 * weight)), atol=1e-4)
    """,
    keras="""
        weight, rows = keras.random.normal((64, 64)), keras.random.normal((32, 64))
        norm = keras.layers.BatchNormalization(epsilon=1e-5)
        small = norm(keras.ops.matmul(rows, weight), training=True)
        large = norm(keras.ops.matmul(rows, 10 * weight), training=True)
        assert keras.ops.max(keras.ops.abs(large - small)) < 1e-3
    """,
)
