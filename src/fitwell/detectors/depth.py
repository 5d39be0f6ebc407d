"""How a number runs through the layers, or through time: its fall or growth, and how sure that is.

Depth acts on signals and gradients by a factor a layer, so what it does is a straight line in
their logarithm. The slope tells how much, its standard error whether there is a line at all: one
odd layer makes a jump, and no fall over depth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, final

from fitwell.detectors.layers import decades, middle, sensitivities
from fitwell.records import Quantity, Trace

FLOOR = 1e-15
"""Sensitivities below this are rounding: they count as this in fits over layers."""

EARLY = 21
"""So many first steps that were read count as the start."""

LOOKED_UP = ("Embedding", "EmbeddingBag", "embedding", "embedding_bag")
"""Kinds of which a batch uses a few rows only: the norm of all their weights says nothing of those,
so that they are no part of a fall, and no layer whose gradient explodes."""


@final
@dataclass(frozen=True, slots=True)
class Line:
    """A straight fit to the logarithms of some values.

    Args:
        change: Decades from the first value to the last; positive if they grow.
        error: Its standard error; 0 where two values leave nothing to judge it by.
    """

    change: float
    error: float

    @property
    def certain(self) -> float:
        """What is left of the change, towards zero, after two standard errors."""
        return math.copysign(max(0.0, abs(self.change) - 2 * self.error), self.change)


def line(values: Sequence[float], *, floor: float = FLOOR) -> Line:
    """Fit a line to the decades of some values, at equal distances.

    Args:
        values: Positive numbers; what is below the floor counts as the floor.
        floor: Smallest value that is more than rounding.
    """
    n = len(values)
    if n < 2:
        return Line(0.0, 0.0)
    logs = [decades(max(value, floor)) for value in values]
    centre, mean = (n - 1) / 2, fmean(logs)
    width = sum((i - centre) ** 2 for i in range(n))
    slope = sum((i - centre) * (log - mean) for i, log in enumerate(logs)) / width
    left = sum((log - mean - slope * (i - centre)) ** 2 for i, log in enumerate(logs))
    error = math.sqrt(left / (n - 2) / width) if n > 2 else 0.0
    return Line(slope * (n - 1), error * (n - 1))


def profile(found: Mapping[str, Mapping[int, float]], steps: Sequence[int]) -> dict[str, float]:
    """Return layer -> median sensitivity over some steps, in the order of execution."""
    medians = {
        name: middle([values[step] for step in steps if step in values])
        for name, values in found.items()
    }
    return {name: value for name, value in medians.items() if math.isfinite(value)}


def through_depth(trace: Trace) -> dict[str, dict[int, float]]:
    """Return the sensitivities of the layers that stand one behind another.

    Embeddings are left out, and layers beside a residual connection whose weights or gradients are
    exactly zero: such a branch is often started at zero on purpose, and opens by itself.
    """
    found = {}
    for name, values in sensitivities(trace).items():
        fact = trace.facts.layer(name)
        if fact is None or fact.kind in LOOKED_UP:
            continue
        kept = {s: v for s, v in values.items() if v != 0 or not fact.bypassed}
        if kept:
            found[name] = kept
    return found


def through_time(trace: Trace, steps: Iterable[int]) -> dict[str, list[float]]:
    """Return recurrent layer -> median gradient at each of its time steps, from the first on.

    Time steps without any gradient are left out: they are padding, or lie behind a cut through
    time, and tell nothing of what the recurrence does.
    """
    wanted = set(steps)
    read: dict[str, dict[int, list[float]]] = {}
    for row in trace:
        if row.quantity == Quantity.TIME_GRADIENT and row.step in wanted and row.value != 0:
            read.setdefault(row.module, {}).setdefault(row.call, []).append(row.value)
    found = {}
    for name, calls in read.items():
        medians = [middle(values) for _, values in sorted(calls.items())]
        found[name] = [value for value in medians if math.isfinite(value)]
    return found


def in_time(
    trace: Trace, steps: Iterable[int], direction: Literal[-1, 1], *, least: int = 5
) -> tuple[str, Line, int] | None:
    """Return the recurrent layer whose gradient changes most on its way back through time.

    Args:
        trace: What was recorded.
        steps: Optimizer steps that are pooled.
        direction: 1 for a gradient that grows from the last time step to the first, -1 for one
            that falls.
        least: Fewest time steps that tell a line from chance.

    Returns:
        Name, fit along the way back, and number of time steps; None if nothing was recorded.
    """
    fits = [
        (name, line(values[::-1], floor=1e-45), len(values))
        for name, values in through_time(trace, steps).items()
        if len(values) >= least
    ]
    return max(fits, key=lambda fit: direction * fit[1].change, default=None)
