"""Inputs brought to mean 0 and deviation 1, inside the network; torch alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fitwell.modules.rows import observe, sample


class Standardize(nn.Module):
    """Subtract a mean and divide by a deviation; both are buffers, saved with the network.

    Until they are measured they are 0 and 1, and change nothing.

    Args:
        shape: Shape of both, which is broadcast over a batch: ``(features,)`` for rows and
            sequences, ``(channels, 1, 1)`` for images.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.register_buffer("mean", torch.zeros(self.shape))
        self.register_buffer("deviation", torch.ones(self.shape))

    def forward(self, x: Tensor) -> Tensor:
        """Return the standardised input, in its own type."""
        return ((x - self.mean) / self.deviation).to(x.dtype)

    def extra_repr(self) -> str:
        """Return the shape."""
        return f"shape={self.shape}"


class Unmeasurable(ValueError):
    """Rows that have no mean and deviation."""


def moments(x: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of a batch, taken over all axes but those of ``shape``.

    A feature that is the same in every row gets the deviation 1: nothing can be learned from it,
    and noise of rounding must not be blown up.

    Raises:
        Unmeasurable: If the batch is not of floating point, has no row, or a value is not finite.
    """
    if not x.numel():
        raise Unmeasurable("there are no rows to measure")
    if not x.is_floating_point():
        raise Unmeasurable(f"the inputs are {x.dtype}, not of floating point")
    if not bool(x.isfinite().all()):
        raise Unmeasurable("a value of the rows is not finite: fill in what is missing")
    kept = [size > 1 for size in shape]
    offset = x.dim() - len(shape)
    axes = [a for a in range(x.dim()) if a < offset or not kept[a - offset]]
    exact = x.double()
    mean = exact.mean(axes, keepdim=True).reshape(tuple(shape))
    deviation = exact.std(axes, correction=0, keepdim=True).reshape(tuple(shape))
    constant = deviation <= 1e-6 * mean.abs()
    return mean, torch.where(constant, torch.ones_like(deviation), deviation)


def measure_inputs(model: nn.Module, paths: Sequence[str], rows: Any) -> None:
    """Set mean and deviation of modules of this kind to those of what reaches them.

    Args:
        model: The network; its modules at ``paths`` are changed.
        paths: Names of the modules.
        rows: Rows of training data, as the network is called with them.

    Raises:
        Unmeasurable: If what reaches one is not of floating point, or not finite.
    """

    def measure(module: Any, args: Any, kwargs: Any, output: Any) -> Tensor:
        (x,) = args
        mean, deviation = moments(x, module.shape)
        module.mean.copy_(mean)
        module.deviation.copy_(deviation)
        standard: Tensor = module.forward(x)
        return standard

    observe(model, sample(rows), {model.get_submodule(path): measure for path in paths})
