"""A real task, as small as it can be: trained, diagnosed and cured in seconds."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn
from torch.optim import SGD

from fitwell.tasks import Data, Split, Task


def network(activation: type[nn.Module], layers: int) -> nn.Module:
    """Return a perceptron; deep and of sigmoids, its gradients vanish."""
    hidden = [part for _ in range(layers) for part in (nn.Linear(16, 16), activation())]
    return nn.Sequential(nn.Linear(4, 16), activation(), *hidden, nn.Linear(16, 2))


def rows(count: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=generator)
    return Split(x, (x[:, 0] + x[:, 1] > 0).long())


def task(activation: type[nn.Module] = nn.Sigmoid, layers: int = 8, epochs: int = 8) -> Task:
    """Return a task on points of the plane, left and right of a line."""
    return Task(
        "sides",
        partial(network, activation, layers),
        Data(rows(96, 0), rows(60, 1), rows(200, 2), "table", ("left", "right")),
        "cross_entropy",
        "accuracy",
        optimizer=partial(SGD, lr=0.1),
        batch_size=16,
        epochs=epochs,
    )
