"""Xavier keeps the variance of activations and gradients level across tanh layers."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from fitwell.claims.claim import Claim, Close, Larger, Smaller
from fitwell.claims.courses import point
from fitwell.claims.tasks import DIGITS
from fitwell.claims.watching import straight
from fitwell.records import Lines, Measured
from fitwell.tasks.builtin.digits import digits
from fitwell.tasks.models import mlp
from fitwell.words import say

SCALES = {
    (HALF := say("half of Xavier's weights")): 0.5,
    (XAVIER := say("Xavier's weights")): 1.0,
    (TWICE := say("twice Xavier's weights")): 2.0,
}
SIGNAL = say("log10 of the factor a layer, activations")
GRADIENT = say("log10 of the factor a layer, gradients going back")


def variances(scale: float, seed: int) -> tuple[list[float], list[float]]:
    """Return the variance of each tanh layer's output and of the gradient at its input."""
    x, y = digits()
    torch.manual_seed(seed)
    h, before, after = (x - x.mean()) / x.std(), [], []
    for layer in mlp((64, *[64] * 10, 10), activation=nn.Tanh):
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight).data.mul_(scale)
            nn.init.zeros_(layer.bias)
            h = layer(h)
            before.append(h)
        else:
            h = layer(h)
            after.append(h)
    gradients = torch.autograd.grad(cross_entropy(h, y), before[:-1])
    return [float(a.detach().var()) for a in after], [float(g.var()) for g in gradients]


def experiment(seeds: Sequence[int]) -> Measured:
    """Send real rows through ten tanh layers and their gradient back, before any training."""
    found = {arm: [variances(scale, seed) for seed in seeds] for arm, scale in SCALES.items()}
    forward, backward = (
        {arm: [of[side] for of in all_seeds] for arm, all_seeds in found.items()} for side in (0, 1)
    )
    rows = [
        tuple(
            point(arm, layer, values)
            for arm, of in side.items()
            for layer, values in enumerate(zip(*of, strict=True), 1)
        )
        for side in (forward, backward)
    ]
    lines = partial(Lines, x=say("layer, from the input"), y=say("variance"), log_y=True)
    return Measured(
        {
            SIGNAL: {arm: tuple(straight(v)[0] for v in of) for arm, of in forward.items()},
            GRADIENT: {arm: tuple(-straight(v)[0] for v in of) for arm, of in backward.items()},
        },
        (
            lines(say("What the tanh layers put out"), rows=rows[0]),
            lines(say("The gradient at each layer"), rows=rows[1]),
        ),
    )


CLAIM = Claim(
    number=28,
    name="level-variance",
    title=say("Xavier keeps the variance of activations and gradients level across tanh layers"),
    question=say("By what factor does a layer change the variance, forward and back?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Close(XAVIER, 0.0, of=SIGNAL, within=0.1),
        Close(XAVIER, 0.0, of=GRADIENT, within=0.1),
        Smaller(HALF, XAVIER, of=SIGNAL, by=0.3),
        Larger(TWICE, XAVIER, of=GRADIENT, by=0.1),
    ),
    formula=(
        r"n_\mathrm{in} \mathrm{Var}[W] = 1, \; n_\mathrm{out} \mathrm{Var}[W] = 1 \;\Rightarrow\; "
        r"\mathrm{Var}[W] = \frac{2}{n_\mathrm{in} + n_\mathrm{out}}"
    ),
    explanation=say(
        "A unit adds up as many terms as it has inputs: variance is kept going forward if the "
        "weights have variance 1 over the inputs, and going back if it is 1 over the outputs. "
        "Xavier takes the mean of the two. Tanh bends, so that a little is lost in every layer, "
        "the more the larger the signal still is: level means a slow fall here, not none. With "
        "half the weights a quarter is left after each layer. With twice, activations are level "
        "only because they are saturated, and the gradient grows. (Glorot and Bengio 2010.)"
    ),
    torch="""
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)
    """,
    keras="""
        keras.layers.Dense(64, activation="tanh", kernel_initializer="glorot_normal")
    """,
)
