"""Dropout closes the gap between training and validation."""

from collections.abc import Sequence
from functools import partial
from statistics import fmean

import torch

from fitwell import Recipe
from fitwell import remedies as r
from fitwell.claims.claim import Claim, Smaller
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import final_gap, trained
from fitwell.records import Lines, Measured, Units
from fitwell.tasks.models import mlp
from fitwell.words import say

PLAIN, DROPOUT, GAP = say("plain"), say("dropout"), say("gap of the loss after the last epoch")


def experiment(seeds: Sequence[int]) -> Measured:
    """Train with and without dropout, and measure the gap."""
    task = digits_task(partial(mlp, (64, 128, 128, 10)), shares=(0.1, 0.2, 0.7), epochs=60)
    arms = {PLAIN: Recipe(), DROPOUT: Recipe(r.Dropout(0.5))}
    runs = {arm: [one.run for one in trained(task, seeds, recipe)] for arm, recipe in arms.items()}
    curves = tuple(
        (
            arm,
            epoch + 1,
            fmean(run.curves.validation_loss[epoch] - run.curves.train_loss[epoch] for run in of),
        )
        for arm, of in runs.items()
        for epoch in range(task.epochs)
    )
    torch.manual_seed(0)
    kept = tuple(tuple((torch.rand(12) >= 0.5).tolist()) for _ in range(3))
    return Measured(
        {GAP: {arm: tuple(map(final_gap, of)) for arm, of in runs.items()}},
        (
            Units(say("One step: every second hidden unit is dropped"), kept),
            Lines(say("The gap, epoch by epoch"), say("epoch"), GAP, curves),
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
        "their weights; in evaluation all units are there, and the scale was set right in training."
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
