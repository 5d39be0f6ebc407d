"""A task small enough to train in a hundredth of a second."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from fitwell.tasks import Data, Split, Task


def small_network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def rows(count: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=generator)
    y = (x[:, 0] + 0.5 * torch.randn(count, generator=generator) > 0).long()
    return Split(x, y)


def small_task(epochs: int = 3, **options: object) -> Task:
    data = Data(rows(40, 0), rows(30, 1), rows(50, 2), "table", ("left", "right"))
    return Task("small", small_network, data, "cross_entropy", "accuracy", epochs=epochs, **options)


@pytest.fixture
def make_task() -> Callable[..., Task]:
    return small_task


@pytest.fixture
def task() -> Task:
    return small_task()
