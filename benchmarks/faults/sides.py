"""Training and validation rows of digits and texts, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from benchmarks.faults.data import Pair, split
from torch import Tensor

Sides = tuple[Pair, Pair]


def scaled(sides: Sides, factor: float = 1.0, offset: float = 0.0) -> Sides:
    """Return both with inputs as they should not be: times a factor, plus an offset."""
    (x, y), (u, v) = sides
    return (x * factor + offset, y), (u * factor + offset, v)


def shifted(sides: Sides, change: Callable[[Tensor], Tensor] | None) -> Sides:
    """Return both with the inputs of validation changed."""
    training, (u, v) = sides
    return training, (u if change is None else change(u), v)


def pictures(data: Pair, rows: int, held: int, seed: int) -> Sides:
    """Return MNIST images or digits with pixels in [0, 1]."""
    (x, y), (u, v) = split(data, rows, held, seed)
    most = data[0].max()
    return (x / most, y), (u / most, v)


def gapped(sides: Sides, rows: int) -> Sides:
    """Return both with a missing value in the first so many training rows."""
    (x, y), validation = sides
    if rows:
        x = x.clone()
        x.flatten(1)[:rows, x[0].numel() // 2] = float("nan")
    return (x, y), validation


def mislabelled(sides: Sides, share: float, classes: int) -> Sides:
    """Return both with so many of the labels drawn at random."""
    return _noisy(sides[0], share, classes), _noisy(sides[1], share, classes)


def _noisy(pair: Pair, share: float, classes: int) -> Pair:
    x, y = pair
    wrong = torch.rand(len(y)) < share
    return x, torch.where(wrong, torch.randint(classes, y.shape), y)


def inverted(x: Tensor) -> Tensor:
    """Return pictures white on black as black on white."""
    return 1 - x


def renumbered(words: int) -> Callable[[Tensor], Tensor]:
    """Return what gives tokens the numbers of another vocabulary; padding stays 0."""
    order = torch.randperm(words - 1, generator=torch.Generator().manual_seed(1)) + 1
    return lambda x: torch.cat([torch.zeros(1, dtype=torch.long), order])[x]
