"""Dropout closes the gap between training and validation."""

from collections.abc import Sequence

import torch

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Smaller
from fitwell.claims.courses import GAP, TEST, finals, gaps, loss_gap, tested
from fitwell.claims.tasks import ADAMW, DIGITS, few_digits
from fitwell.claims.training import compared
from fitwell.recipe import Recipe
from fitwell.records import Measured, Units
from fitwell.words import say

PLAIN, DROPOUT = say("plain"), say("dropout")


def experiment(seeds: Sequence[int]) -> Measured:
    """Train with and without dropout, and measure the gap."""
    task = few_digits(128, 128, optimizer=ADAMW)
    arms = compared(task, seeds, {PLAIN: Recipe(), DROPOUT: Recipe(r.Dropout(0.5))})
    random = torch.Generator().manual_seed(0)
    kept = [tuple((torch.rand(12, generator=random) >= 0.5).tolist()) for _ in range(2)]
    there = (True,) * 10
    return Measured(
        {GAP: finals(arms, loss_gap), TEST: tested(arms)},
        (
            Units(say("One step: every second hidden unit is dropped"), (there, *kept, there)),
            gaps(arms),
        ),
    )


CLAIM = Claim(
    number=10,
    name="dropout",
    title=say("Dropout closes the gap"),
    question=say("Does switching hidden units off at random in training narrow the gap?"),
    data=DIGITS,
    experiment=experiment,
    expects=(Smaller(DROPOUT, PLAIN, of=GAP),),
    formula=r"\tilde h = \frac{m \odot h}{1 - p}, \quad m_i \sim \mathrm{Bernoulli}(1 - p)",
    explanation=say(
        "In every step each hidden unit is switched off with probability p, so that no unit can "
        "rely on another being there. What is learned is a crowd of thinned networks that share "
        "their weights. In evaluation all units are there, and dividing by 1 - p in training has "
        "set the scale right. It learns more slowly: here the gap closes, and the accuracy is no "
        "higher after as many epochs. (Srivastava et al., 2014.)"
    ),
    torch="nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10))",
    keras="""
        keras.Sequential([
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10),
        ])
    """,
)
