"""A sigmoid or tanh unit at large |x| passes no gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fitwell.claims.claim import Claim, Larger, Smaller
from fitwell.claims.tasks import DIGITS
from fitwell.claims.watching import first_step, of_layers
from fitwell.records import Histogram, Lines, Measured, Quantity
from fitwell.tasks.builtin.digits import digits
from fitwell.tasks.models import mlp
from fitwell.words import say

SIGMOID_SMALL, SIGMOID_LARGE = say("sigmoid at |x| < 1"), say("sigmoid at |x| > 10")
TANH_SMALL, TANH_LARGE = say("tanh at |x| < 1"), say("tanh at |x| > 10")
ARMS = {nn.Sigmoid: (SIGMOID_SMALL, SIGMOID_LARGE), nn.Tanh: (TANH_SMALL, TANH_LARGE)}
SCALED, RAW = say("pixels from 0 to 1"), say("pixels from 0 to 255")
PASSED, FLAT = say("share of the gradient that passes"), say("share of saturated sigmoid units")


def network(activation: type[nn.Module], seed: int) -> nn.Sequential:
    """Return a net of one hidden layer."""
    torch.manual_seed(seed)
    return mlp((64, 64, 10), activation=activation)


def passed(activation: type[nn.Module], x: Tensor, y: Tensor, seed: int) -> tuple[float, float]:
    """Return the share of the gradient that passes the units, at small and at large inputs."""
    first, act, last = network(activation, seed)
    z = first(x)
    a = act(z)
    behind, before = torch.autograd.grad(cross_entropy(last(a), y), [a, z])
    chosen = z.abs() < 1, z.abs() > 10
    small, large = (float(before[c].norm() / behind[c].norm()) for c in chosen)
    return small, large


def slope(name: str, act: nn.Module) -> list[tuple[str, float, float]]:
    """Return the slope of an activation from -12 to 12."""
    z = torch.linspace(-12, 12, 97, requires_grad=True)
    slopes = torch.autograd.grad(act(z).sum(), z)[0]
    return [(name, *at) for at in zip(z.tolist(), slopes.tolist(), strict=True)]


def experiment(seeds: Sequence[int]) -> Measured:
    """Send pixels as they are and scaled through hidden units, and the gradient back."""
    x, y = digits()
    inputs: dict[str, Tensor] = {SCALED: x, RAW: 255 * x}
    shares: dict[str, tuple[float, ...]] = {}
    for kind, (small, large) in ARMS.items():
        found = [passed(kind, inputs[RAW], y, seed) for seed in seeds]
        shares[small], shares[large] = zip(*found, strict=True)
    nets = [network(nn.Sigmoid, seed) for seed in seeds]
    flat = {
        arm: tuple(of_layers(first_step(n, of, y), Quantity.SATURATED_SHARE)[0] for n in nets)
        for arm, of in inputs.items()
    }
    entering = {arm: tuple(nets[0][0](of[:50]).flatten().tolist()) for arm, of in inputs.items()}
    curves = (*slope(say("sigmoid"), nn.Sigmoid()), *slope(say("tanh"), nn.Tanh()))
    return Measured(
        {PASSED: shares, FLAT: flat},
        (
            Lines(say("The slope of the activation"), say("x"), say("slope"), curves),
            Histogram(say("What enters the sigmoid units of a net"), say("x"), entering),
        ),
    )


CLAIM = Claim(
    number=30,
    name="saturation",
    title=say("A sigmoid or tanh unit at large |x| passes no gradient"),
    question=say("How much of the gradient passes a unit whose input is large?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Smaller(SIGMOID_LARGE, 0.001, of=PASSED),
        Smaller(TANH_LARGE, 0.001, of=PASSED),
        Larger(SIGMOID_SMALL, 0.1, of=PASSED),
        Larger(TANH_SMALL, 0.1, of=PASSED),
        Larger(RAW, SCALED, of=FLAT, by=0.5),
    ),
    formula=r"\sigma'(x) = \sigma(x)(1 - \sigma(x)), \quad \tanh'(x) = 1 - \tanh^2(x)",
    explanation=say(
        "Both curves are flat on either side: at |x| of 10 the slope of the sigmoid is 0.00005, "
        "that of tanh much smaller still. What a unit passes back is the gradient times this "
        "slope, so the layers below it learn nothing from it. Inputs left at 0 to 255 put most "
        "units there in the first step, and so do weights that are too large; scaling the inputs "
        "is the remedy for the one, Xavier for the other. A gate that is meant to be open or shut "
        "is saturated on purpose. (LeCun et al., Efficient BackProp, 1998.)"
    ),
    torch="""
        z = torch.tensor([0.0, 2.0, 5.0, 10.0], requires_grad=True)
        torch.sigmoid(z).sum().backward()
        print(z.grad)  # 0.25, 0.105, 0.0066, 0.000045
    """,
    keras="""
        z = keras.ops.convert_to_tensor([0.0, 2.0, 5.0, 10.0])
        s = keras.ops.sigmoid(z)
        print(s * (1 - s))  # the slope: 0.25, 0.105, 0.0066, 0.000045
    """,
)
