"""Reading loss curves: where they stand, how noisy they are, what is left of the loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

from fitwell.detectors.loss_kinds import loss_kind
from fitwell.records import Quantity, Trace

LEARNED_BELOW = 0.5
"""A network whose training loss has fallen below this share of the loss of a constant guess has
learned: whatever its gradients or its first weights look like, they did no harm."""

_CONSISTENT = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""


def curve(
    trace: Trace, phase: str = "train", quantity: Quantity = Quantity.LOSS
) -> list[tuple[int, float]]:
    """Return (step, value) with one finite value a step: the mean over its rows."""
    found: dict[int, list[tuple[float, int]]] = {}
    for row in trace:
        if row.quantity == quantity and row.phase == phase and not row.module:
            found.setdefault(row.step, []).append((row.value, row.count))
    return [
        (step, sum(v * n for v, n in values) / sum(n for _, n in values))
        for step, values in sorted(found.items())
        if all(math.isfinite(value) for value, _ in values)
    ]


def aligned(trace: Trace, quantity: Quantity) -> list[tuple[int, float, float]]:
    """Return (step, training, validation) for every evaluation, as far as both are known.

    The training value is the one of the same step, or the mean over the steps since the
    evaluation before.
    """
    training = curve(trace, "train", quantity)
    found, begin = [], 0
    for step, value in curve(trace, "validation", quantity):
        end = begin
        while end < len(training) and training[end][0] <= step:
            end += 1
        if end > begin:
            exact = training[end - 1][1]
            mean = fmean(v for _, v in training[begin:end])
            found.append((step, exact if end - begin == 1 else mean, value))
        begin = end
    return found


def constant_loss(trace: Trace) -> float | None:
    """Return the loss of a constant guess, from the facts or from the targets that were seen.

    The best constant costs the variance of the targets in squared error, and about 0.8 of their
    standard deviation in absolute error. None where neither is known.
    """
    known = trace.facts.chance_loss
    if known is not None and known > 0:
        return known
    spreads = [v for _, v in trace.series(Quantity.TARGET_SPREAD) if math.isfinite(v) and v > 0]
    if not spreads:
        return None
    kind = loss_kind(trace.facts.loss)
    if kind == "squared":
        return median(spreads) ** 2
    return 0.8 * median(spreads) if kind == "absolute" else None


def reference_loss(trace: Trace) -> float | None:
    """Return the loss of a constant guess; where it is not known, the first training loss."""
    known = constant_loss(trace)
    if known is not None:
        return known
    values = [v for _, v in curve(trace) or curve(trace, "validation")]
    return values[0] if values and values[0] > 0 else None


def remaining_loss(trace: Trace) -> float | None:
    """Return what is left of the training loss at the end, as a share of the reference.

    It is the median over the last tenth of the steps, at least five, so that one bad batch does
    not count. None where no loss, or only the first one, is known.
    """
    values = [v for _, v in curve(trace) or curve(trace, "validation")]
    reference = reference_loss(trace)
    if len(values) < 2 or reference is None:
        return None
    return median(values[-max(5, len(values) // 10) :]) / reference


def has_learned(trace: Trace) -> bool:
    """Whether the training loss fell well below that of a constant guess."""
    left = remaining_loss(trace)
    return left is not None and left < LEARNED_BELOW


def noise(values: Sequence[float]) -> float:
    """Return the standard deviation of a curve around its trend.

    Second differences take out the level and the slope; for independent noise of deviation s
    they have deviation s √6. The median makes single jumps harmless. At least five values are
    needed; fewer count as pure noise and give infinity.
    """
    if len(values) < 5:
        return math.inf
    second = [abs(a - 2 * b + c) for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    return _CONSISTENT * median(second) / math.sqrt(6)


def smoothed(values: Sequence[float], width: int = 3) -> list[float]:
    """Return the running median over ``width`` values; the ends use what there is."""
    half = width // 2
    return [median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]


def slope(values: Sequence[float]) -> float:
    """Return the least-squares change from the first value to the last."""
    n = len(values)
    if n < 2:
        return 0.0
    centre, mean = (n - 1) / 2, fmean(values)
    top = sum((i - centre) * (value - mean) for i, value in enumerate(values))
    return top / sum((i - centre) ** 2 for i in range(n)) * (n - 1)
