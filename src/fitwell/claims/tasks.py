"""The real data that claims are measured on, with whatever network a claim needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

from torch import nn
from torch.nn.functional import avg_pool2d
from torch.optim import AdamW, Optimizer

from fitwell.tasks import Task
from fitwell.tasks.builtin.digits import digits, divided, mnist
from fitwell.tasks.models import mlp
from fitwell.tasks.preparing import SHARES
from fitwell.words import say

MNIST = say("5,000 handwritten digits of MNIST, 28 × 28 pixels")
POOLED = say("5,000 handwritten digits of MNIST, pooled to 14 × 14 pixels")
DIGITS = say("1,797 handwritten digits of 8 × 8 pixels")
ADAMW = partial(AdamW, lr=1e-3)
_mnist, _digits = cache(mnist), cache(digits)


def mnist_task(
    network: Callable[[], nn.Module],
    *,
    rows: int = 500,
    epochs: int = 20,
    optimizer: Callable[..., Optimizer] = ADAMW,
    batch_size: int = 32,
    pooled: bool = False,
) -> Task:
    """Return MNIST with so many training rows, 1,000 validation and 2,000 test rows.

    Args:
        network: Makes a network that takes (rows, 1, 28, 28) and puts out ten logits.
        rows: Training rows, at most 2,000.
        epochs: Epochs of training.
        optimizer: Takes the parameters.
        batch_size: Rows a batch.
        pooled: Whether every four pixels are averaged to one, so that images are 14 × 14.
    """
    x, y = _mnist()
    images = avg_pool2d(x[:, None], 2) if pooled else x[:, None]
    data = divided(images, y, (rows / len(x), 0.2, 0.4), "image")
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
    x, y = _digits()
    return Task(
        *("digits", network, divided(x, y, shares, "table"), "cross_entropy", "accuracy"),
        optimizer=optimizer,
        batch_size=batch_size,
        epochs=epochs,
    )


def table_task(
    table: Task,
    hidden: Sequence[int],
    *,
    epochs: int = 40,
    optimizer: Callable[..., Optimizer] = ADAMW,
    batch_size: int = 32,
) -> Task:
    """Return a built-in table, as that of breast cancer, with a network of other hidden layers.

    Args:
        table: The built-in task: its data, loss and metric are taken.
        hidden: Units of every hidden layer.
        epochs: Epochs of training.
        optimizer: Takes the parameters.
        batch_size: Rows a batch.
    """
    data = table.data
    widths = (data.train.x.shape[1], *hidden, len(data.classes) or 1)
    return Task(
        *(table.name, partial(mlp, widths), data, table.loss_name, table.metric_name),
        optimizer=optimizer,
        batch_size=batch_size,
        epochs=epochs,
    )


def rows_task(
    network: Callable[[], nn.Module],
    *,
    rows: int = 1_000,
    epochs: int = 5,
    optimizer: Callable[..., Optimizer] = ADAMW,
    batch_size: int = 32,
) -> Task:
    """Return MNIST read row by row: sequences of 28 steps with 28 pixels each.

    Args:
        network: Makes a network that takes (rows, 28, 28) and puts out ten logits.
        rows: Training rows, at most 2,000; there are 1,000 validation and 2,000 test rows.
        epochs: Epochs of training.
        optimizer: Takes the parameters.
        batch_size: Rows a batch.
    """
    x, y = _mnist()
    data = divided(x, y, (rows / len(x), 0.2, 0.4), "sequence")
    return Task(
        *("mnist-rows", network, data, "cross_entropy", "accuracy"),
        optimizer=optimizer,
        batch_size=batch_size,
        epochs=epochs,
    )
