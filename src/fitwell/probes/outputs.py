"""What one call of a module put out, in as few passes over it as can be."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fitwell.anatomy import is_normalization

_CHANNELS_SECOND = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
)

_MOST_ROWS, _FEWEST_ROWS, _MOST_VALUES = 64, 8, 65_536
"""So many rows are looked at for what differs between them, fewer of them where they are long."""


class Wanted(NamedTuple):
    """What to read of an output.

    Args:
        peaks: Whether to read the largest value of each unit.
        limits: Sizes beyond which a value counts as flat.
        sizes: Whether to read how large it is, and how different between samples.
        axis: Axis of the units; by default that of the module.
    """

    peaks: bool
    limits: tuple[float, ...]
    sizes: bool
    axis: int | None = None


class Seen(NamedTuple):
    """What one call of a module put out.

    Args:
        values: How many values there were.
        rows: For how many samples, or places of samples, each unit was seen.
        norm: Norm of all values.
        apart: Some rows less the first of them, and the mean of these; None for a single row.
        taken: How many values were looked at for these rows, and for what is flat.
        rows_taken: How many they are, or 0.
        batch: How many rows there were.
        peak: Largest value of each unit, where it was wanted.
        flat: Limit to the number of values beyond it, of those taken.
    """

    values: int
    rows: int
    norm: Tensor
    apart: tuple[Tensor, Tensor] | None
    taken: int
    rows_taken: int
    batch: int
    peak: Tensor | None
    flat: dict[float, Tensor]


def has_units_second(module: nn.Module) -> bool:
    """Whether the units of a layer or a normalisation lie on axis 1 of its output."""
    return isinstance(module, _CHANNELS_SECOND)


def is_read(module: nn.Module) -> bool:
    """Whether what a module puts out may enter an activation: of a layer or a normalisation."""
    opaque = isinstance(module, (nn.RNNBase, nn.MultiheadAttention))
    if not opaque and next(module.children(), None) is not None:
        return False
    weighted = next(module.parameters(recurse=not opaque), None) is not None or opaque
    return weighted or is_normalization(module)


def measured(module: nn.Module, values: Tensor, wanted: Wanted) -> Seen:
    """Measure an output, without waiting for it.

    Args:
        module: What put it out.
        values: (batch, units, *space) for convolutions, else (batch, *space, units).
        wanted: What to read.
    """
    peaks, limits, sizes, axis = wanted
    if axis is None:
        axis = 1 if has_units_second(module) else values.dim() - 1
    batch_axis = 0 if getattr(module, "batch_first", True) else 1
    batch, number = values.shape[batch_axis], values.numel()
    wide = values.dtype if values.dtype == torch.float64 else torch.float32
    some = _some(values, batch_axis, batch, number // batch)
    rows = some.shape[batch_axis]
    apart = None
    if sizes and rows > 1:
        some = some if some.dtype == wide else some.to(wide)
        difference = some - some.narrow(batch_axis, 0, 1)
        apart = difference, difference.mean(batch_axis)
    size = some.abs() if limits else some
    others = [i for i in range(values.dim()) if i != axis] if peaks else []
    return Seen(
        values=number,
        rows=batch if axis == 1 and values.dim() > 2 else number // values.shape[axis],
        norm=torch.linalg.vector_norm(values, dtype=wide) if sizes else some,
        apart=apart,
        taken=some.numel(),
        rows_taken=rows if apart is not None else 0,
        batch=batch,
        peak=values.amax(others) if peaks else None,
        flat={limit: (size > limit).sum() for limit in limits},
    )


def _some(values: Tensor, axis: int, batch: int, length: int) -> Tensor:
    """Return evenly spaced rows; all where they are few and short."""
    most = min(_MOST_ROWS, max(_FEWEST_ROWS, _MOST_VALUES // max(length, 1)))
    if batch <= most:
        return values
    stride = -(-batch // most)
    return values[::stride] if axis == 0 else values[:, ::stride]
