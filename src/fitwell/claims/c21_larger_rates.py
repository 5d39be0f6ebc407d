"""Batch norm allows a much larger learning rate."""

from collections.abc import Sequence
from functools import partial
from math import log10

from torch.optim import SGD

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Larger
from fitwell.claims.courses import Values, by_setting, point
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import test_accuracies, trained
from fitwell.recipe import Recipe
from fitwell.records import Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

PLAIN, BATCH_NORM = say("plain"), say("batch norm")
LARGEST = say("largest learning rate that trains, as a power of ten")
AT_ONE = say("accuracy on test rows at a learning rate of 1")
RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def experiment(seeds: Sequence[int]) -> Measured:
    """Train at rates from 0.03 to 10, with He's initial weights, with and without batch norm."""
    network = partial(mlp, (64, 64, 64, 64, 64, 10))
    task = digits_task(network, epochs=8, optimizer=partial(SGD, lr=1.0))
    arms = {
        PLAIN: Recipe(r.Initialization()),
        BATCH_NORM: Recipe(r.Initialization(), r.BatchNorm()),
    }
    largest: Values = {}
    at_one: Values = {}
    rows = []
    for arm, recipe in arms.items():
        by_rate = [test_accuracies(trained(task, seeds, recipe, rate=rate)) for rate in RATES]
        largest[arm] = tuple(map(_largest, zip(*by_rate, strict=True)))
        at_one[arm] = by_rate[RATES.index(1.0)]
        rows += [point(arm, rate, found) for rate, found in zip(RATES, by_rate, strict=True)]
    picture = by_setting(say("Accuracy by learning rate"), say("learning rate"), rows)
    return Measured({LARGEST: largest, AT_ONE: at_one}, (picture,))


def _largest(accuracies: Sequence[float]) -> float:
    enough = max(accuracies) - 0.05
    return max(log10(rate) for rate, a in zip(RATES, accuracies, strict=True) if a >= enough)


CLAIM = Claim(
    number=21,
    name="larger-rates",
    title=say("Batch norm allows a much larger learning rate"),
    question=say("Is the largest learning rate that still trains more than three times as large?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Larger(BATCH_NORM, PLAIN, of=LARGEST, by=0.5),
        Larger(BATCH_NORM, PLAIN, of=AT_ONE, by=0.3),
    ),
    formula=r"\frac{\partial \mathrm{BN}((aW)x)}{\partial (aW)} = "
    r"\frac{1}{a} \cdot \frac{\partial \mathrm{BN}(Wx)}{\partial W}",
    explanation=say(
        "A step that is too long makes the weights larger; larger weights before a norm leave its "
        "output as it was and get a smaller gradient, so that the next step is shorter by itself. "
        "Without a norm the same step raises the outputs and the gradients of every layer above, "
        "and the loss explodes. It is the range of rates that grows: the best accuracy over all "
        "rates may be no better (Ioffe & Szegedy, 2015, section 3.3; Bjorck et al., 2018). A rate "
        "counts as one that trains if its accuracy is within 0.05 of the best that the arm reached."
    ),
    torch="""
        hidden = nn.Linear(784, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU()
        network = nn.Sequential(*hidden, nn.Linear(64, 10))
        optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    """,
    keras="""
        layers = keras.layers
        hidden = [layers.Dense(64, use_bias=False), layers.BatchNormalization(), layers.ReLU()]
        network = keras.Sequential([*hidden, layers.Dense(10)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(keras.optimizers.SGD(1.0), loss)
    """,
)
