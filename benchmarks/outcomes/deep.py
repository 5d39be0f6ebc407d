"""Twenty layers of 64 units on 8 × 8 digits: sigmoids under two optimizers, weights that explode.

References:
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    2010.
"""

from __future__ import annotations

from functools import partial

from benchmarks.outcomes.ground import Ground
from torch import nn
from torch.optim import SGD, AdamW

from fitwell.tasks import Task, builtin
from fitwell.tasks.models import mlp
from fitwell.tasks.task import MakeOptimizer

GOAL = "accuracy ≥ 94 % within 60 s"
WIDTHS = (64, *[64] * 20, 10)
EPOCHS = 25
DEVIATION = 0.3
"""Standard deviation of the first weights that explode; each layer multiplies signals by 1.7."""


def exploding() -> nn.Sequential:
    """Return a ReLU network whose first weights are drawn from N(0, 0.3)."""
    network = mlp(WIDTHS)
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, DEVIATION)
            nn.init.zeros_(layer.bias)
    return network


def sigmoids() -> nn.Sequential:
    """Return a network of sigmoids with PyTorch's first weights."""
    return mlp(WIDTHS, activation=nn.Sigmoid)


def grounds() -> tuple[Ground, ...]:
    """Return the three networks."""
    arms = {
        "deep-sigmoid-sgd": (sigmoids, partial(SGD, lr=0.05)),
        "deep-sigmoid-adamw": (sigmoids, partial(AdamW, lr=1e-3)),
        "deep-exploding-sgd": (exploding, partial(SGD, lr=0.05)),
    }
    return tuple(
        Ground(name, "deep", partial(_task, name, *arm), GOAL, budget="60s")
        for name, arm in arms.items()
    )


def _task(name: str, make_model: type[nn.Module], optimizer: MakeOptimizer, split: int) -> Task:
    digits = builtin()["digits-deep"].make().data
    return Task(
        name,
        make_model,
        digits,
        "cross_entropy",
        "accuracy",
        optimizer=optimizer,
        batch_size=32,
        epochs=EPOCHS,
    )
