"""ReLU and Leaky ReLU train where sigmoid does not."""

from collections.abc import Sequence
from functools import partial

from torch import nn
from torch.optim import SGD

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Larger
from fitwell.claims.courses import TEST, learning, tested
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import trained
from fitwell.recipe import Recipe
from fitwell.records import Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

SIGMOID, FASTER = say("sigmoid"), say("sigmoid at ten times the rate")
RELU, LEAKY = say("ReLU"), say("Leaky ReLU")


def experiment(seeds: Sequence[int]) -> Measured:
    """Train ten hidden layers with each activation, and the weights that suit it."""
    network = partial(mlp, (64, *[64] * 10, 10), activation=nn.Sigmoid)
    task = digits_task(network, epochs=15, optimizer=partial(SGD, lr=0.05))
    init = r.Initialization("auto")
    runs = {
        SIGMOID: trained(task, seeds, Recipe(init)),
        FASTER: trained(task, seeds, Recipe(init), rate=10),
        RELU: trained(task, seeds, Recipe(r.Activation("relu"), init)),
        LEAKY: trained(task, seeds, Recipe(r.Activation("leaky_relu"), init)),
    }
    return Measured({TEST: tested(runs)}, (learning(runs),))


CLAIM = Claim(
    number=12,
    name="relu",
    title=say("ReLU and Leaky ReLU train where sigmoid does not"),
    question=say("Does another activation make a deep net trainable?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Larger(RELU, SIGMOID, of=TEST, by=0.3),
        Larger(LEAKY, SIGMOID, of=TEST, by=0.3),
        Larger(RELU, FASTER, of=TEST, by=0.3),
    ),
    formula=r"\mathrm{relu}(z) = \max(0, z), \quad \mathrm{leaky}(z) = \max(az, z), \; a = 0.01",
    explanation=say(
        "The slope of ReLU is 1 wherever the unit is active, so the gradient passes through ten "
        "layers as it is; that of a sigmoid is 1/4 at most, and a millionth arrives. The nets are "
        "alike in all else: each has the initial weights made for its activation, and sees the "
        "data in the same order. A rate ten times as large does not rescue the sigmoid, because "
        "the layers near the output would need another rate than those near the input. Few layers "
        "of sigmoid do train; the claim is about depth. (Glorot, Bordes and Bengio 2011; Maas et "
        "al. 2013.)"
    ),
    torch="nn.Sequential(nn.Linear(784, 128), nn.LeakyReLU(0.01), nn.Linear(128, 10))",
    keras="""
        keras.Sequential([
            keras.layers.Dense(128, kernel_initializer="he_normal"),
            keras.layers.LeakyReLU(negative_slope=0.01),
            keras.layers.Dense(10),
        ])
    """,
)
