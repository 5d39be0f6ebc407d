"""500 images of MNIST for a small convolutional network, which learns them by heart."""

from __future__ import annotations

from functools import partial

import torch
from benchmarks.outcomes.ground import Ground

from fitwell.tasks import Data, Split, Task, builtin
from fitwell.tasks.models import small_cnn
from fitwell.tasks.splits import split_rows

TRAINING, ALL = 500, 5000


def grounds() -> tuple[Ground, ...]:
    """Return the one ground of images whose data come in a package."""
    return (Ground("mnist-500-cnn", "images", _mnist, "accuracy ≥ 97.0 %", budget="10min"),)


def _mnist(split: int) -> Task:
    """500 images to learn from, 500 to choose by, and 4,000 to test."""
    known = builtin()["mnist-small"].make().data
    x = torch.cat([side.x for side in known.splits.values()])
    y = torch.cat([side.y for side in known.splits.values()])
    shares = (TRAINING / ALL, TRAINING / ALL, 1 - 2 * TRAINING / ALL)
    rows = [torch.from_numpy(r) for r in split_rows(y.numpy(), shares=shares, seed=split)]
    train, validation, test = (Split(x[r], y[r]) for r in rows)
    return Task(
        "mnist-500-cnn",
        partial(small_cnn, 1, 10),
        Data(train, validation, test, "image", known.classes),
        "cross_entropy",
        "accuracy",
        batch_size=32,
        epochs=60,
    )
