"""The networks that fitwell brings along for tables, images and its own tasks.

All are made by module-level functions, so that a factory - ``functools.partial(mlp, ...)`` -
travels to other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn


def mlp(
    widths: Sequence[int],
    *,
    activation: Callable[[], nn.Module] = nn.ReLU,
    flatten: bool = False,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return a multi-layer perceptron with PyTorch's own initial weights.

    Args:
        widths: Inputs, units of every hidden layer, outputs; at least two.
        activation: Makes the activation after every hidden layer.
        flatten: Whether rows are flattened first, as images need.
        dropout: Rate of dropout after every hidden activation, in [0, 1).
    """
    layers: list[nn.Module] = [nn.Flatten()] if flatten else []
    for inputs, units in pairwise(widths[:-1]):
        layers += [nn.Linear(inputs, units), activation()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def small_cnn(channels: int, classes: int) -> nn.Sequential:
    """Return a convolutional network of three blocks for images of at least 8 × 8 pixels."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(64 * 16, 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


@final
class RowReader(nn.Module):
    """A vanilla recurrent network that reads a sequence and classifies by its last state.

    Args:
        inputs: Features of a step.
        units: Size of the state.
        classes: Number of classes.
        gain: Multiple of PyTorch's initial recurrent weights; above 0.
    """

    def __init__(self, inputs: int, units: int, classes: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.rnn = nn.RNN(inputs, units, batch_first=True)
        self.output = nn.Linear(units, classes)
        with torch.no_grad():
            self.rnn.get_parameter("weight_hh_l0").mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        """Return class logits (rows, classes) for sequences (rows, steps, features)."""
        _, state = self.rnn(x)  # (layers, rows, units)
        logits: Tensor = self.output(state[-1])
        return logits
