"""Running sums of what enters a network, feature by feature, small and left on the device."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

_MOST_VALUES = 65_536
"""So many values of a batch are looked at, evenly spaced: the standard error of a mean over the
rows that they make is far below what any detector asks for."""

_MOST_FEATURES = 4096


def channels_first(model: nn.Module) -> bool:
    """Whether the first layer with weights of a network is a convolution: its axis 1 is features.

    The order is that of registration.
    """
    first = next((m for m in model.modules() if any(True for _ in m.parameters(False))), None)
    return isinstance(first, nn.modules.conv._ConvNd)


def thinned(values: Tensor) -> Tensor:
    """Return evenly spaced rows of a batch: at least 32, or all that make some 65,000 values."""
    if not values.dim():
        return values.detach()
    size = values[0].numel() if values.dim() > 1 else 1
    return values.detach()[:: _stride(len(values), size)]


def as_rows(values: Tensor, *, channels_first: bool = False) -> Tensor:
    """Return a batch as (rows, features), thinned to some 65,000 evenly spaced values.

    Images (four axes or more), and what a convolution takes, have one feature a channel and one
    row a pixel; other inputs of three axes one feature for each place on the last axis.

    Args:
        values: (batch, …); not empty.
        channels_first: Whether axis 1 holds the features.
    """
    values = thinned(values)
    if values.dim() < 2:
        return values.reshape(-1, 1)
    if values.dim() > 2:
        if channels_first or values.dim() > 3:
            values = values.movedim(1, -1)
        values = values.flatten(0, -2)
    values = values[:, :: -(-values.shape[1] // _MOST_FEATURES)]
    # An odd stride meets all columns of most pictures.
    stride = _stride(len(values), values.shape[1])
    return values[:: stride | 1 if stride > 1 else 1]


def _stride(rows: int, size: int) -> int:
    return max(1, -(-rows // max(32, _MOST_VALUES // max(size, 1))))


def wide(values: Tensor) -> Tensor:
    """Return values in at least single precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@final
class Moments:
    """Mean and variance of each feature over many batches.

    Sums are taken around the first row, so that a spread far smaller than the mean is not lost.

    Attributes:
        count: Rows so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._pivot: Tensor | None = None
        self._sum: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        """Add (rows, features); a batch with another number of features is left out."""
        if not rows.numel():
            return
        rows = wide(rows)
        if self._pivot is None or self._sum is None or self._squares is None:
            self._pivot = rows[0].clone()
            self._sum, self._squares = torch.zeros_like(rows[0]), torch.zeros_like(rows[0])
        elif self._pivot.shape != rows.shape[1:] or self._pivot.device != rows.device:
            return
        apart = rows - self._pivot
        self._sum = self._sum + apart.sum(0)
        self._squares = self._squares + apart.square().sum(0)
        self.count += len(rows)

    def compares(self, other: Moments) -> bool:
        """Whether another account is of the same features, on the same device."""
        mine, theirs = self._pivot, other._pivot
        if mine is None or theirs is None:
            return False
        return mine.shape == theirs.shape and mine.device == theirs.device

    def mean(self) -> Tensor:
        """Return the mean of each feature."""
        if self._pivot is None or self._sum is None:
            return torch.zeros(0)
        return self._pivot + self._sum / self.count

    def variance(self) -> Tensor:
        """Return the variance of each feature."""
        if self._squares is None or self._sum is None:
            return torch.zeros(0)
        return (self._squares / self.count - (self._sum / self.count).square()).clamp_min(0)


def spread_of(moments: Moments) -> Tensor:
    """Return the largest standard deviation over the smallest that is not zero; at least 1."""
    deviation = moments.variance().sqrt()
    infinite = torch.full_like(deviation, float("inf"))
    smallest = torch.where(deviation == 0, infinite, deviation).amin()
    ratio = torch.where(smallest == float("inf"), torch.ones_like(smallest), smallest)
    return torch.where(smallest == float("inf"), ratio, deviation.amax() / ratio)
