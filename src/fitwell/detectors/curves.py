"""Reading loss curves: where they stand, how noisy they are, what is left of the loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from statistics import fmean, median

from fitwell.detectors.loss_kinds import is_absolute, loss_kind
from fitwell.records import Quantity, Row, Trace
from fitwell.words import Said, say

LEARNED_BELOW = 0.5
"""A network whose training loss has fallen below this share of the loss of a constant guess has
learned: whatever its gradients or its first weights look like, they did no harm."""

_CONSISTENT = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""


def needs_losses(condition: str) -> Said:
    """Say that a condition cannot be judged, as no training loss is known."""
    return say(
        "{missing}; {hint}.",
        missing=say("{condition}: needs the training loss", condition=condition),
        hint=say("log train_loss to have it judged"),
    )


def curve(
    trace: Trace, phase: str = "train", quantity: Quantity = Quantity.LOSS
) -> list[tuple[int, float]]:
    """Return (step, value) with one finite value a step: the mean over its rows."""
    step_of = attrgetter("step")
    rows = sorted(trace.of(quantity, phase=phase), key=step_of)
    means = ((step, _pooled(list(found))) for step, found in groupby(rows, step_of))
    return [(step, mean) for step, mean in means if math.isfinite(mean)]


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


def guess_loss(trace: Trace) -> float | None:
    """Return the loss of the best constant guess, or None where it cannot be known.

    Facts tell it, or bound it from above where classes are not equally frequent; the targets that
    the loss was given tell it for squared and absolute errors, and lower the bound for two classes.
    Of several outputs at once it stays an upper bound. The best absolute error is taken as that
    of a normal distribution, √(2/π) of its deviation.
    """
    told = trace.facts.chance_loss
    known = told if told is not None and told > 0 else math.inf
    means = [v for _, v in trace.series(Quantity.TARGET_MEAN) if math.isfinite(v)]
    spreads = [v for _, v in trace.series(Quantity.TARGET_SPREAD) if math.isfinite(v)]
    if not means or len(means) != len(spreads):
        return known if known < math.inf else None
    mean = fmean(means)
    variance = fmean(s * s for s in spreads) + fmean((m - mean) ** 2 for m in means)
    kind = loss_kind(trace.facts.loss)
    if told is None and variance > 0:
        if kind == "squared":
            known = variance
        elif is_absolute(trace.facts.loss):
            known = math.sqrt(2 * variance / math.pi)
    largest = max((v for _, v in trace.series(Quantity.TARGET_MAX)), default=math.inf)
    least = min((v for _, v in trace.series(Quantity.TARGET_MIN)), default=-math.inf)
    two = kind == "binary" or (kind == "classes" and trace.facts.classes == 2)
    if two and least >= 0 and largest <= 1 and 0 < mean < 1:
        known = min(known, -mean * math.log(mean) - (1 - mean) * math.log(1 - mean))
    return known if known < math.inf else None


def reference_loss(trace: Trace) -> float | None:
    """Return the loss of a constant guess; where it is not known, the first training loss."""
    guess = guess_loss(trace)
    if guess is not None:
        return guess
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


def _pooled(rows: Sequence[Row]) -> float:
    """Mean of the values of rows, each weighted by how many values it pools."""
    if len(rows) == 1:
        return rows[0].value
    return sum(row.value * row.count for row in rows) / sum(row.count for row in rows)
