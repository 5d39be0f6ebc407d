"""The real data that claims are measured on, with whatever network a claim needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn
from torch.optim import AdamW, Optimizer

from fitwell.tasks import Task
from fitwell.tasks.builtin.digits import digits, divided, mnist
from fitwell.tasks.preparing import SHARES
from fitwell.words import say

MNIST = say("5,000 handwritten digits of MNIST, 28 × 28 pixels")
DIGITS = say("1,797 handwritten digits of 8 × 8 pixels")
ADAMW = partial(AdamW, lr=1e-3)


def mnist_task(
    network: Callable[[], nn.Module],
    *,
    rows: int = 500,
    epochs: int = 20,
    optimizer: Callable[..., Optimizer] = ADAMW,
    batch_size: int = 32,
) -> Task:
    """Return MNIST with so many training rows, 1,000 validation and 2,000 test rows.

    Args:
        network: Makes a network that takes (rows, 1, 28, 28) and puts out ten logits.
        rows: Training rows, at most 2,000.
        epochs: Epochs of training.
        optimizer: Takes the parameters.
        batch_size: Rows a batch.
    """
    x, y = mnist()
    data = divided(x[:, None], y, (rows / len(x), 0.2, 0.4), "image")
    return Task(
        *("mnist", network, data, "cross_entropy", "accuracy"),
        optimizer=optimizer,
        batch_size=batch_size,
        epochs=epochs,
    )


def digits_task(
    network: Callable[[], nn.Module],
    *,
    epochs: int = 20,
    optimizer: Callable[..., Optimizer] = ADAMW,
    batch_size: int = 32,
    shares: tuple[float, float, float] = SHARES,
) -> Task:
    """Return the digits of scikit-learn, split into training, validation and test rows.

    Args:
        network: Makes a network that takes (rows, 64) and puts out ten logits.
        epochs: Epochs of training.
        optimizer: Takes the parameters.
        batch_size: Rows a batch.
        shares: Shares of training, validation and test rows.
    """
    x, y = digits()
    return Task(
        *("digits", network, divided(x, y, shares, "table"), "cross_entropy", "accuracy"),
        optimizer=optimizer,
        batch_size=batch_size,
        epochs=epochs,
    )
