"""Xavier keeps the variance of activations and gradients level across tanh layers."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from fitwell.claims.claim import Claim, Close, Larger, Smaller
from fitwell.claims.tasks import DIGITS
from fitwell.claims.watching import by_layer, straight
from fitwell.records import Lines, Measured
from fitwell.tasks.builtin.digits import digits
from fitwell.tasks.models import mlp
from fitwell.words import say

ARMS: dict[str, tuple[float, type[nn.Module]]] = {
    (XAVIER := say("Xavier's weights")): (1.0, nn.Tanh),
    (HALF := say("half of Xavier's weights")): (0.5, nn.Tanh),
    (TWICE := say("twice Xavier's weights")): (2.0, nn.Tanh),
    say("Xavier's weights without tanh"): (1.0, nn.Identity),
}
SIGNAL = say("log10 of the factor a layer, activations")
GRADIENT = say("log10 of the factor a layer, gradients going back")


def variances(scale: float, kind: type[nn.Module], seed: int) -> tuple[list[float], list[float]]:
    """Return the variances of what the units put out, and of the gradient at their inputs."""
    x, y = digits()
    torch.manual_seed(seed)
    h, outputs = (x - x.mean()) / x.std(), []
    for layer in mlp((64, *[64] * 10, 10), activation=kind):
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight).data.mul_(scale)
            nn.init.zeros_(layer.bias)
        h = layer(h)
        outputs.append(h)
    gradients = torch.autograd.grad(cross_entropy(h, y), outputs[:-1:2])
    return [float(a.detach().var()) for a in outputs[1:-1:2]], [float(g.var()) for g in gradients]


def experiment(seeds: Sequence[int]) -> Measured:
    """Send real rows through ten layers and their gradient back, before any training."""
    found = {arm: [variances(*how, seed) for seed in seeds] for arm, how in ARMS.items()}
    forward = {arm: [one[0] for one in of] for arm, of in found.items()}
    backward = {arm: [one[1] for one in of] for arm, of in found.items()}
    axes = say("layer, from the input"), say("variance")
    return Measured(
        {
            SIGNAL: {arm: tuple(straight(v)[0] for v in of) for arm, of in forward.items()},
            GRADIENT: {arm: tuple(-straight(v)[0] for v in of) for arm, of in backward.items()},
        },
        (
            Lines(say("What the units put out"), *axes, by_layer(forward), log_y=True),
            Lines(say("The gradient at the units' inputs"), *axes, by_layer(backward), log_y=True),
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
        "Xavier takes the mean of the two. Without tanh that keeps the variance level to a few per "
        "cent. With it about a fifth is lost in every layer, forward and back, because tanh bends: "
        "ten layers leave a tenth, which is more than was allowed for here, and far less than half "
        "of the weights lose in two. With twice the weights activations look level only because "
        "they are saturated, and the gradient grows. So the claim holds nearly, and exactly for "
        "signals near zero, which is where it was derived. (Glorot and Bengio 2010.)"
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
