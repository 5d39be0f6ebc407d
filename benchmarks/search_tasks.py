"""Fifteen small tasks with known faults, each with rows that neither search nor proof reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from fitwell.tasks import Data, Split, Task, builtin
from fitwell.tasks.models import RowReader, mlp

ROWS = {"train": 300, "validation": 300, "test": 500}
"""Rows of each split where there are enough; the rest are the fresh ones."""


@dataclass(frozen=True)
class Ground:
    """A task and rows that nobody reads before the end."""

    task: Task
    fresh: Split


@lru_cache(maxsize=4)
def pool(name: str) -> tuple[Tensor, Tensor, str]:
    """Return all rows of a built-in task, as inputs, targets and kind."""
    data = builtin()[name].make().data
    parts = tuple(data.splits.values())
    return torch.cat([p.x for p in parts]), torch.cat([p.y for p in parts]), data.kind


def ground(
    name: str,
    source: str,
    network: Callable[[], nn.Module],
    repeat: int,
    *,
    optimizer: Callable[..., torch.optim.Optimizer],
    rows: Sequence[int] = tuple(ROWS.values()),
    epochs: int = 14,
    change: Callable[[Tensor], Tensor] = lambda x: x,
    kind: str | None = None,
) -> Ground:
    """Split the rows of a source anew for every repeat."""
    x, y, known = pool(source)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(repeat))
    x, y = change(x[order]), y[order]
    ends = torch.tensor(rows).cumsum(0).tolist()
    starts = [0, *ends]
    train, validation, test = (Split(x[a:b], y[a:b]) for a, b in zip(starts, ends, strict=False))
    numbers = y.is_floating_point()
    classes = () if numbers else tuple(str(c) for c in range(int(y.max()) + 1))
    task = Task(
        name,
        network,
        Data(train, validation, test, kind or known, classes),
        "mse" if numbers else "cross_entropy",
        "r2" if numbers else "accuracy",
        optimizer=optimizer,
        batch_size=60,
        epochs=epochs,
    )
    return Ground(task, Split(x[ends[-1] :], y[ends[-1] :]))


def wide_start(widths: Sequence[int], deviation: float) -> nn.Sequential:
    """Return a perceptron whose weights are all drawn with one deviation, too large for it."""
    network = mlp(widths)
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=deviation)
    return network


def large_start(widths: Sequence[int], factor: float) -> nn.Sequential:
    """Return a tanh perceptron whose initial weights are too large: its units are saturated."""
    network = mlp(widths, activation=nn.Tanh)
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Linear):
                layer.weight.mul_(factor)
    return network


def tiny_cnn() -> nn.Sequential:
    """Return a small convolutional network for images of 8 × 8 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def coarse(x: Tensor) -> Tensor:
    """Return images of 28 × 28 pixels with 14 × 14."""
    return nn.functional.avg_pool2d(x, 2)


def _raw_wine(x: Tensor) -> Tensor:
    """Return the features on scales from 0.01 to 1,000, as tables come."""
    return x * torch.logspace(-2, 3, x.shape[1])[torch.randperm(x.shape[1], generator=_fixed())]


def _fixed() -> torch.Generator:
    return torch.Generator().manual_seed(0)


SGD_QUICK, ADAMW_QUICK = partial(SGD, lr=0.1), partial(AdamW, lr=5e-3)
DIGITS, MNIST = "digits-healthy", "mnist-small"
TASKS: Mapping[str, Callable[[int], Ground]] = {
    "digits-few": lambda r: ground(
        "digits-few", DIGITS, partial(mlp, (64, 128, 128, 10)), r, optimizer=ADAMW_QUICK,
        rows=(120, 300, 500), epochs=25,
    ),
    "digits-cnn-few": lambda r: ground(
        "digits-cnn-few", DIGITS, tiny_cnn, r, optimizer=ADAMW_QUICK, rows=(120, 300, 500),
        epochs=25, change=lambda x: x.reshape(-1, 1, 8, 8), kind="image",
    ),
    "mnist-few": lambda r: ground(
        "mnist-few", MNIST, partial(mlp, (196, 128, 128, 10), flatten=True), r,
        optimizer=ADAMW_QUICK, rows=(160, 300, 1500), epochs=20, change=coarse,
    ),
    "docstrings-few": lambda r: ground(
        "docstrings-few", "docstrings", partial(mlp, (1000, 64, 8)), r, optimizer=ADAMW_QUICK,
        rows=(240, 400, 1000), epochs=15,
    ),
    "wine-large": lambda r: ground(
        "wine-large", "wine", partial(mlp, (13, 128, 128, 128, 3)), r, optimizer=ADAMW_QUICK,
        rows=(40, 60, 78), epochs=40,
    ),
    "diabetes-large": lambda r: ground(
        "diabetes-large", "diabetes", partial(mlp, (10, 128, 128, 1)), r, optimizer=ADAMW_QUICK,
        rows=(120, 120, 202), epochs=30,
    ),
    "sigmoid-8-sgd": lambda r: ground(
        "sigmoid-8-sgd", DIGITS, partial(mlp, (64, *[32] * 8, 10), activation=nn.Sigmoid), r,
        optimizer=SGD_QUICK,
    ),
    "sigmoid-6-adamw": lambda r: ground(
        "sigmoid-6-adamw", DIGITS, partial(mlp, (64, *[32] * 6, 10), activation=nn.Sigmoid), r,
        optimizer=ADAMW_QUICK,
    ),
    "tanh-10-sgd": lambda r: ground(
        "tanh-10-sgd", DIGITS, partial(mlp, (64, *[32] * 10, 10), activation=nn.Tanh), r,
        optimizer=SGD_QUICK,
    ),
    "relu-12-sgd": lambda r: ground(
        "relu-12-sgd", DIGITS, partial(mlp, (64, *[32] * 12, 10)), r, optimizer=SGD_QUICK,
    ),
    "exploding-8-sgd": lambda r: ground(
        "exploding-8-sgd", DIGITS, partial(wide_start, (64, *[48] * 8, 10), 0.4), r,
        optimizer=SGD_QUICK,
    ),
    "saturated-tanh-adam": lambda r: ground(
        "saturated-tanh-adam", DIGITS, partial(large_start, (64, 64, 64, 64, 10), 12.0), r,
        optimizer=partial(Adam, lr=5e-3),
    ),
    "rate-too-high": lambda r: ground(
        "rate-too-high", DIGITS, partial(mlp, (64, 64, 64, 64, 10)), r,
        optimizer=partial(Adam, lr=0.2),
    ),
    "unscaled-sgd": lambda r: ground(
        "unscaled-sgd", "wine", partial(mlp, (13, 32, 32, 3)), r, optimizer=partial(SGD, lr=0.01),
        rows=(50, 50, 78), epochs=40, change=_raw_wine,
    ),
    "rows-rnn-sgd": lambda r: ground(
        "rows-rnn-sgd", DIGITS, partial(RowReader, 8, 32, 10, gain=6.0), r, optimizer=SGD_QUICK,
        change=lambda x: x.reshape(-1, 8, 8), kind="sequence",
    ),
}  # fmt: skip
"""Tasks by name; the argument is the number of the repeat, which splits the rows anew."""

TEN = (
    *("digits-few", "mnist-few", "docstrings-few", "diabetes-large", "sigmoid-8-sgd"),
    *("tanh-10-sgd", "relu-12-sgd", "exploding-8-sgd", "rate-too-high", "rows-rnn-sgd"),
)
"""The tasks on which the runs are counted that guided search needs."""
