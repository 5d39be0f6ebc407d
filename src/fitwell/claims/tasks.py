"""The real data that claims are measured on, with whatever network a claim needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

import torch
from torch import nn
from torch.nn.functional import avg_pool2d
from torch.optim import SGD, AdamW, Optimizer

from fitwell.tasks import Data, Split, Task
from fitwell.tasks.builtin.digits import digits, divided, mnist
from fitwell.tasks.models import mlp
from fitwell.tasks.preparing import SHARES
from fitwell.words import say

MNIST = say("5,000 handwritten digits of MNIST, 28 × 28 pixels")
POOLED = say("5,000 handwritten digits of MNIST, pooled to 14 × 14 pixels")
DIGITS = say("1,797 handwritten digits of 8 × 8 pixels")
ADAMW = partial(AdamW, lr=1e-3)
QUICK = partial(AdamW, lr=3e-3)
PLAIN_SGD = partial(SGD, lr=0.1)
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


def few_digits(
    *hidden: int,
    epochs: int = 60,
    optimizer: Callable[..., Optimizer] = QUICK,
    batch_size: int = 32,
) -> Task:
    """Return a task of 180 digits for training, 360 for validation and 1,257 for test.

    Args:
        hidden: Units of every hidden layer, with ReLU.
        epochs: Epochs of training.
        optimizer: Takes the parameters.
        batch_size: Rows a batch.
    """
    return digits_task(
        partial(mlp, (64, *hidden, 10)),
        epochs=epochs,
        optimizer=optimizer,
        batch_size=batch_size,
        shares=(0.1, 0.2, 0.7),
    )


def table_task(
    table: Task,
    hidden: Sequence[int],
    *,
    epochs: int = 40,
    optimizer: Callable[..., Optimizer] = ADAMW,
    batch_size: int = 32,
    noise: bool = False,
) -> Task:
    """Return a built-in table, as that of breast cancer, with a network of other hidden layers.

    Args:
        table: The built-in task: its data, loss and metric are taken.
        hidden: Units of every hidden layer.
        epochs: Epochs of training.
        optimizer: Takes the parameters.
        batch_size: Rows a batch.
        noise: Whether a shuffled copy of every feature is planted behind the real ones.
    """
    data = _with_noise(table.data) if noise else table.data
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


def _with_noise(data: Data) -> Data:
    """Return a table with a shuffled copy of every feature behind its own: noise, but looking real.

    Each side of the split is shuffled by itself, the same way every time.
    """
    order = torch.Generator().manual_seed(0)

    def planted(rows: Split) -> Split:
        copies = [column[torch.randperm(len(rows), generator=order)] for column in rows.x.T]
        return Split(torch.cat([rows.x, torch.stack(copies, dim=1)], dim=1), rows.y)

    return replace(
        data,
        train=planted(data.train),
        validation=planted(data.validation),
        test=planted(data.test),
    )
