"""Dropout is off in evaluation, and its mean over many passes is close to the plain output."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Close, Larger, Smaller
from fitwell.claims.courses import TEST, point
from fitwell.claims.measures import accuracy, distance
from fitwell.claims.tasks import DIGITS, QUICK, digits_task
from fitwell.claims.training import trained
from fitwell.monte_carlo import monte_carlo
from fitwell.recipe import Recipe
from fitwell.records import Lines, Measured
from fitwell.tasks import Split
from fitwell.tasks.models import mlp
from fitwell.words import say

TRAINING, EVALUATION, PLAIN = say("training mode"), say("evaluation mode"), say("plain output")
ONE, MANY = say("one pass"), say("mean of {passes} passes", passes="100")
PASSES = {ONE: 1, **{say("mean of {passes} passes", passes=f"{n}"): n for n in (3, 10, 30, 100)}}
REPEATED = say("difference of two passes, as a share of the output")
DISTANCE = say("distance to the plain output, as a share of it")


def experiment(seeds: Sequence[int]) -> Measured:
    """Pass the test rows through trained networks many times, with dropout on and off."""
    task = digits_task(partial(mlp, (64, 64, 64, 10)), optimizer=QUICK)
    found = [look(one.model, task.data.test) for one in trained(task, seeds, Recipe(r.Dropout()))]
    values = {
        measure: {arm: tuple(seen[measure][arm] for seen in found) for arm in arms}
        for measure, arms in found[0].items()
    }
    lines = tuple(point(DISTANCE, n, values[DISTANCE][arm]) for arm, n in PASSES.items())
    title, passes = say("The more passes, the closer their mean"), say("passes")
    return Measured(values, (Lines(title, passes, DISTANCE, lines, log_x=True, log_y=True),))


@torch.no_grad()
def look(model: nn.Module, rows: Split) -> dict[str, dict[str, float]]:
    """Return of one network: measure -> arm -> value."""
    plain, again = model(rows.x), model(rows.x)
    passes = monte_carlo(model, rows.x, samples=100).samples
    means = {arm: passes[:n].mean(dim=0) for arm, n in PASSES.items()}
    return {
        REPEATED: {TRAINING: distance(passes[0], passes[1]), EVALUATION: distance(again, plain)},
        DISTANCE: {arm: distance(mean, plain) for arm, mean in means.items()},
        TEST: {PLAIN: accuracy(plain, rows.y), MANY: accuracy(means[MANY], rows.y)},
    }


CLAIM = Claim(
    number=9,
    name="evaluation",
    title=say("Dropout is off in evaluation, and close to the mean of many passes"),
    question=say("How far is the plain output from the mean over many passes with units dropped?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Close(EVALUATION, 0.0, of=REPEATED, within=1e-6),
        Larger(TRAINING, 0.1, of=REPEATED),
        Smaller(MANY, 0.1, of=DISTANCE),
        Close(MANY, PLAIN, of=TEST, within=0.01),
    ),
    formula=r"\mathbb{E}_m[f(x; m)] \approx f(x; \mathbb{E}\, m)",
    explanation=say(
        "In evaluation every unit is there and nothing is random: two passes give the same "
        "numbers. That one pass stands for the mean of all thinned networks, exactly for a single "
        "linear layer and nearly for a deep one; the mean of many passes comes close and stays a "
        "little off, however many there are. Probabilities differ more than outputs do, since the "
        "mean is less sure of itself; how the passes scatter tells how unsure. (Srivastava et "
        "al., 2014; Gal & Ghahramani, 2016.)"
    ),
    torch="""
        network = nn.Sequential(*model[:2], nn.Dropout(0.5), model[2])
        plain = network.eval()(x)
        network.train()  # batch norm, if there is any, must stay in evaluation
        mean = torch.stack([network(x) for _ in range(100)]).mean(0)
    """,
    keras="""
        network = keras.Sequential([model.layers[0], keras.layers.Dropout(0.5), model.layers[1]])
        plain = network(x, training=False)
        mean = sum(network(x, training=True) for _ in range(100)) / 100
    """,
)
