"""ReLU units die under a large step; Leaky ReLU's do not."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from fitwell.claims.claim import Claim, Larger, Smaller
from fitwell.claims.courses import point
from fitwell.claims.tasks import DIGITS
from fitwell.records import Lines, Measured, Units
from fitwell.tasks.builtin.digits import digits
from fitwell.tasks.models import mlp
from fitwell.words import say

RELU, LEAKY = say("ReLU"), say("Leaky ReLU")
DEAD = say("share of dead units after the step")
RATES, LARGE = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0), 10.0


def alive(activation: type[nn.Module], rate: float, seed: int) -> tuple[tuple[bool, ...], ...]:
    """Take one step, and return which units of each hidden layer get a gradient from any row."""
    x, y = digits()
    torch.manual_seed(seed)
    network = mlp((64, 32, 32, 10), activation=activation)
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight)
    cross_entropy(network(x[:32]), y[:32]).backward()  # type: ignore[no-untyped-call]
    torch.optim.SGD(network.parameters(), lr=rate).step()
    weights = [layer.weight for layer in layers[:-1]]
    gradients = torch.autograd.grad(cross_entropy(network(x), y), weights)
    return tuple(tuple(gradient.ne(0).any(1).tolist()) for gradient in gradients)


def experiment(seeds: Sequence[int]) -> Measured:
    """Take one step of every size, and count the units that are dead after it."""
    arms = {RELU: nn.ReLU, LEAKY: nn.LeakyReLU}
    after = {
        (arm, rate): [alive(kind, rate, seed) for seed in seeds]
        for arm, kind in arms.items()
        for rate in RATES
    }
    dead = {
        key: tuple(1 - sum(map(sum, layers)) / sum(map(len, layers)) for layers in of)
        for key, of in after.items()
    }
    lines = tuple(point(arm, rate, dead[arm, rate]) for arm in arms for rate in RATES)
    title = say("One step, and the units that are dead after it")
    return Measured(
        {DEAD: {arm: dead[arm, LARGE] for arm in arms}},
        (
            Lines(title, say("learning rate of the step"), DEAD, lines, log_x=True),
            Units(say("Both hidden layers after the largest step, ReLU"), after[RELU, LARGE][0]),
        ),
    )


CLAIM = Claim(
    number=13,
    name="dead-relu",
    title=say("ReLU units die under a large step; Leaky ReLU's do not"),
    question=say("How many units get no gradient from any row after one step?"),
    data=DIGITS,
    experiment=experiment,
    expects=(Larger(RELU, LEAKY, of=DEAD, by=0.1), Smaller(LEAKY, 0.01, of=DEAD)),
    formula=r"z_i(x) < 0 \;\; \text{for all } x \;\Rightarrow\; \nabla_{w_i} L = 0",
    explanation=say(
        "A large step can carry the weights and the bias of a unit so far that its input is "
        "negative for every row. A ReLU then puts out 0 everywhere and its slope is 0: no "
        "gradient reaches its weights, and it cannot come back by itself. Leaky ReLU keeps a "
        "slope of 0.01 there, so that every unit goes on being taught, if slowly. It takes a step "
        "far above a usable rate to kill many units at once; in a long training a few die at a "
        "time. (Lu et al. 2019.)"
    ),
    torch="""
        loss_fn(model(x), y).backward()
        first = next(model.parameters())  # (units, inputs)
        dead = (first.grad == 0).all(dim=1)
    """,
    keras="""
        hidden = keras.Sequential([
            keras.layers.Dense(32),
            keras.layers.LeakyReLU(0.01),
        ])
        # with ReLU these units would be dead:
        silent = keras.ops.all(hidden(x) <= 0, axis=0)
    """,
)
