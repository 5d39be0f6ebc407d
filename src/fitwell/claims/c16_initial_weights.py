"""The initial weights alone decide whether a deep net trains."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn
from torch.optim import SGD

from fitwell.claims.claim import Claim, Larger
from fitwell.claims.courses import TEST, learning, tested
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import trained
from fitwell.records import Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

HALF, HE, TWICE = say("half of He's weights"), say("He's weights"), say("twice He's weights")


def scaled(scale: float) -> nn.Sequential:
    """Return ten hidden layers of ReLU whose weights are He's, times the scale."""
    network = mlp((64, *[64] * 10, 10))
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight).mul_(scale)
                nn.init.zeros_(layer.bias)
    return network


def experiment(seeds: Sequence[int]) -> Measured:
    """Train one net from the same random weights at three scales, with everything else alike."""
    runs = {}
    for arm, scale in {HALF: 0.5, HE: 1.0, TWICE: 2.0}.items():
        task = digits_task(partial(scaled, scale), epochs=15, optimizer=partial(SGD, lr=0.05))
        runs[arm] = trained(task, seeds)
    return Measured({TEST: tested(runs)}, (learning(runs),))


CLAIM = Claim(
    number=16,
    name="initial-weights",
    title=say("The initial weights alone decide whether a deep net trains"),
    question=say("Does a deep net train whose initial weights are half or twice as large?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Larger(HE, HALF, of=TEST, by=0.3),
        Larger(HE, TWICE, of=TEST, by=0.3),
    ),
    formula=r"\mathrm{Var}[z_L] \approx \mathrm{Var}[z_1] \; c^{2L}, \quad W = c \, W_\mathrm{He}",
    explanation=say(
        "Net, data, their order and the optimizer are the same, and even the random numbers behind "
        "the weights; only the scale differs. A factor c in each of ten layers is a factor of c to "
        "the tenth in signal and gradient: a thousandth with half of He's weights, a thousandfold "
        "with twice. The one stands still, the other takes a step so large that it never finds "
        "back. Adaptive optimizers such as Adam rescale the gradient and bear more; the claim is "
        "about plain gradient descent. (He et al. 2015; Mishkin and Matas 2016.)"
    ),
    torch="""
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
    """,
    keras="""
        keras.layers.Dense(64, activation="relu", kernel_initializer="he_normal")
    """,
)
