"""Batch norm makes a deep sigmoid or tanh network trainable."""

from collections.abc import Sequence
from functools import partial

from torch import nn
from torch.optim import SGD

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Larger
from fitwell.claims.courses import TEST, Runs, learning, point, tested
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import trained
from fitwell.claims.watching import first_gradients
from fitwell.recipe import Recipe
from fitwell.records import Lines, Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

SIGMOID, SIGMOID_BN = say("sigmoid"), say("sigmoid with batch norm")
TANH, TANH_BN = say("tanh"), say("tanh with batch norm")
ARMS = {
    SIGMOID: (nn.Sigmoid, Recipe()),
    SIGMOID_BN: (nn.Sigmoid, Recipe(r.BatchNorm())),
    TANH: (nn.Tanh, Recipe()),
    TANH_BN: (nn.Tanh, Recipe(r.BatchNorm())),
}


def experiment(seeds: Sequence[int]) -> Measured:
    """Train ten hidden layers with and without batch norm, and read the first gradients."""
    runs: Runs = {}
    gradients = []
    for arm, (activation, recipe) in ARMS.items():
        network = partial(mlp, (64, *[64] * 10, 10), activation=activation)
        task = digits_task(network, epochs=10, optimizer=partial(SGD, lr=0.1))
        runs[arm] = trained(task, seeds, recipe)
        layers = zip(*(first_gradients(task, recipe, seed) for seed in seeds), strict=True)
        gradients += [point(arm, layer, values) for layer, values in enumerate(layers, 1)]
    title = say("Gradient of each hidden layer in the first step")
    size = say("norm of the gradient")
    first = Lines(title, say("layer, from the input"), size, tuple(gradients), log_y=True)
    return Measured({TEST: tested(runs)}, (first, learning(runs)))


CLAIM = Claim(
    number=19,
    name="deep-batch-norm",
    title=say("Batch norm makes a deep sigmoid or tanh network trainable"),
    question=say("Do ten layers of sigmoid or tanh units learn with batch norm, and not without?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Larger(SIGMOID_BN, SIGMOID, of=TEST, by=0.3),
        Larger(TANH_BN, TANH, of=TEST, by=0.3),
    ),
    formula=r"h_l = f\bigl(\mathrm{BN}(W_l h_{l-1})\bigr)",
    explanation=say(
        "Without it the signal shrinks from layer to layer, and with it the gradient: the first "
        "layers learn nothing. Batch norm stretches every unit to deviation γ before the "
        "activation, wherever the weights began, so that units stay in the steep part of their "
        "curve and the gradient that reaches the first layer has a useful size. It does not make "
        "it level: with hundreds of layers it grows again, which skip connections cure "
        "(Ioffe & Szegedy, 2015; Yang et al., 2019)."
    ),
    torch="""
        def block(inputs, units):  # no bias: the offset β of the norm takes its place
            return [nn.Linear(inputs, units, bias=False), nn.BatchNorm1d(units), nn.Sigmoid()]

        hidden = [layer for _ in range(10) for layer in block(64, 64)]
        network = nn.Sequential(*hidden, nn.Linear(64, 10))
    """,
    keras="""
        network = keras.Sequential()
        for _ in range(10):
            network.add(keras.layers.Dense(64, use_bias=False))
            network.add(keras.layers.BatchNormalization())
            network.add(keras.layers.Activation("sigmoid"))
        network.add(keras.layers.Dense(10))
    """,
)
