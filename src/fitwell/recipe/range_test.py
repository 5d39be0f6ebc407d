"""The range test: at which learning rate does the loss fall fastest?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor
from torch.optim import Optimizer

from fitwell.errors import BadInput, ThresholdError, in_range

if TYPE_CHECKING:
    from fitwell.recipe.treated import Treated

_SMOOTHING = 0.9
"""Weight of what was before in the running mean of the losses."""
_EXPLODED = 4.0
"""The test ends where the smoothed loss is this many times its lowest value (as in fastai)."""

_ROUNDING = 1e-7
"""Share of the loss by which it must fall from step to step to count as falling."""


@final
@dataclass(frozen=True)
class RangeTest:
    """What a range test saw.

    Args:
        rates: The learning rates tried, in rising order.
        losses: The training loss at each, before the step with that rate.
        suggestion: The rate at which the smoothed loss fell fastest; None if it never fell.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float | None


def range_test(
    twin: Treated,
    batches: Iterable[tuple[Any, Any]],
    loss_fn: Callable[[Any, Any], Tensor],
    factory: Callable[..., Optimizer],
    *,
    low: float,
    high: float,
    steps: int,
) -> RangeTest:
    """Train a copy with a rate that rises geometrically; see :meth:`Treated.range_test`.

    Args:
        twin: A treated copy, which is trained.
        batches: Batches of inputs and targets, gone through as often as needed.
        loss_fn: The loss.
        factory: Makes the optimizer of parameters.
        low: First rate.
        high: Last rate.
        steps: Number of rates.
    """
    in_range("low", low, 0.0, 1e6, open_low=True)
    in_range("high", high, low, 1e6, open_low=True)
    in_range("steps", steps, 2, 1_000_000)
    if not isinstance(steps, int):
        raise ThresholdError(f"steps must be a whole number, got {steps!r}.")
    optimizer, loss_fn = twin.optimizer(factory), twin.loss(loss_fn)
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    for number, (x, y) in zip(range(steps), _again(batches), strict=False):
        rate = low * (high / low) ** (number / (steps - 1))
        for group in optimizer.param_groups:
            group["lr"] = rate
        x, y = twin.batch(x, y)
        optimizer.zero_grad()
        loss = loss_fn(twin.model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        value = loss.item()
        if not math.isfinite(value):
            break
        rates.append(rate)
        losses.append(value)
        smoothed.append(_smoothed(smoothed, losses))
        if smoothed[-1] > _EXPLODED * min(smoothed) and min(smoothed) > 0:
            break
        optimizer.step()
    if not losses:
        raise BadInput(
            "The range test saw no finite loss: give it at least one batch whose loss is finite "
            "before any update."
        )
    return RangeTest(tuple(rates), tuple(losses), _steepest(rates, smoothed))


def _again(batches: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """Yield batches over and over; those of an iterator once."""
    seen = True
    while seen:
        seen = False
        for batch in batches:
            seen = True
            yield batch


def _smoothed(before: Sequence[float], losses: Sequence[float]) -> float:
    """Return the running mean, as if the first losses had not begun at zero."""
    done = 1.0 - _SMOOTHING ** len(before)
    mean = _SMOOTHING * (before[-1] * done if before else 0.0) + (1.0 - _SMOOTHING) * losses[-1]
    return mean / (1.0 - _SMOOTHING ** len(losses))


def _steepest(rates: Sequence[float], smoothed: Sequence[float]) -> float | None:
    """Return the rate at which the smoothed loss falls fastest, over the logarithm of the rate."""
    slopes = torch.tensor(smoothed, dtype=torch.float64).diff()
    if not len(slopes) or float(slopes.min()) >= -_ROUNDING * max(map(abs, smoothed)):
        return None
    return rates[int(slopes.argmin())]
