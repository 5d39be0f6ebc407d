"""The course of a run: where the training loss stood over time, and how far its steps went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from typing import final

from fitwell.detectors.curves import curve, guess_loss, noise, reference_loss
from fitwell.records import Quantity, Trace

STRETCHES = 20
"""A run is cut into so many equal stretches, or as many as there are losses."""


@final
@dataclass(frozen=True, slots=True)
class Course:
    """The training loss over time, divided by the loss of a constant guess.

    The run is cut into equal stretches; a level is the mean over one, and its standard error
    comes from the scatter of the single losses around their trend. So a small batch's noise shows
    as an error, not as a change of level.

    Args:
        steps: Last step of each stretch.
        levels: Mean loss of each stretch.
        error: Typical standard error of a level; infinity where it is unknown.
        first: Loss of the first step.
        validation: Level of validation at the end, likewise; infinity where it is unknown.
        peak: Largest loss of a step.
        peak_step: Where that was.
        guess: Whether the loss of a constant guess is known; else the first loss stands for it.
        broke: First step whose loss is not finite, or None.
    """

    steps: tuple[int, ...]
    levels: tuple[float, ...]
    error: float
    first: float
    validation: float
    peak: float
    peak_step: int
    guess: bool
    broke: int | None

    @property
    def left(self) -> float:
        """Level at the end: the median over the last fifth of the stretches.

        Validation's counts where it is lower: a training loss under dropout, mixup or smoothing
        is higher than what the network can do.
        """
        return min(median(self.levels[-max(1, len(self.levels) // 5) :]), self.validation)

    @property
    def best(self) -> float:
        """Lowest level, smoothed so that one lucky stretch does not count."""
        width = 3 if len(self.levels) >= 6 else 1
        return min(_running(self.levels, width))

    @property
    def best_step(self) -> int:
        """Where the lowest level was."""
        return self.steps[min(range(len(self.levels)), key=self.levels.__getitem__)]

    @property
    def span(self) -> int:
        """Steps from the first stretch's end to the last."""
        return self.steps[-1]

    def trend(self, *, of: float = 0.5) -> tuple[float, float]:
        """Return the change of the level over the last share of the run, and its standard error.

        Args:
            of: Which share, in (0, 1].
        """
        late = self.levels[-max(3, round(len(self.levels) * of)) :]
        return line(late)


def course(trace: Trace) -> Course | None:
    """Return the course of the training loss; None where fewer than two losses are known."""
    points = curve(trace)
    reference = reference_loss(trace)
    if len(points) < 2 or not reference:
        return None
    values = [value / reference for _, value in points]
    size = len(values) / min(STRETCHES, len(values))
    cuts = [round(i * size) for i in range(min(STRETCHES, len(values)) + 1)]
    parts = [values[a:b] for a, b in pairwise(cuts)]
    errors = [noise(part) / len(part) ** 0.5 for part in parts if len(part) >= 5]
    evaluations = [value / reference for _, value in curve(trace, "validation")]
    peak = max(range(len(values)), key=values.__getitem__)
    return Course(
        steps=tuple(points[b - 1][0] for b in cuts[1:]),
        levels=tuple(fmean(part) for part in parts),
        error=median(errors) if errors else math.inf,
        first=values[0],
        validation=median(evaluations[-max(1, len(evaluations) // 5) :] or [math.inf]),
        peak=values[peak],
        peak_step=points[peak][0],
        guess=guess_loss(trace) is not None,
        broke=broken_step(trace),
    )


def broken_step(trace: Trace) -> int | None:
    """Return the first step whose training loss is not finite, or None."""
    steps = (step for step, value in trace.series(Quantity.LOSS) if not math.isfinite(value))
    return min(steps, default=None)


def line(values: Sequence[float]) -> tuple[float, float]:
    """Return the least-squares change from the first value to the last, and its standard error.

    The error is infinite with fewer than three values.
    """
    n = len(values)
    if n < 3:
        return 0.0, math.inf
    centre, mean = (n - 1) / 2, fmean(values)
    spread = sum((i - centre) ** 2 for i in range(n))
    rise = sum((i - centre) * (v - mean) for i, v in enumerate(values)) / spread
    rest = sum((v - mean - rise * (i - centre)) ** 2 for i, v in enumerate(values))
    return rise * (n - 1), math.sqrt(rest / (n - 2) / spread) * (n - 1)


def attainable(trace: Trace) -> float | None:
    """Return a share of a constant guess's loss that near rows show to be attainable, or None.

    Rows with the nearest inputs that carry different targets put a floor under any loss. For
    numbers, the disagreement of neighbours is that floor, as a share of the variance. For classes
    a share d of disagreeing neighbours is what labels drawn anew with probability 1 - sqrt(1 - d)
    would give, and the floor is the cross entropy of the best guess under such labels. Both are
    upper bounds of the true floor, since the nearest row is never the same row. The numbers of
    words and letters have no nearness: for tokens it is None.
    """
    if trace.facts.input_kind == "tokens":
        return None
    values = [v for _, v in trace.series(Quantity.NEIGHBOR_DISAGREEMENT) if math.isfinite(v)]
    if not values:
        return None
    share = min(1.0, max(0.0, median(values)))
    classes = trace.facts.classes
    if "cross_entropy" in trace.facts.loss:
        classes = max(classes, 2)
    if classes < 2:
        return share
    redrawn = 1 - math.sqrt(1 - share)
    right = 1 - redrawn + redrawn / classes
    wrong = (1 - right) / (classes - 1)
    entropy = -right * math.log(right) - (classes - 1) * wrong * math.log(max(wrong, 1e-300))
    return entropy / math.log(classes)


def made_targets(trace: Trace) -> bool:
    """Whether the loop makes the targets itself, as for the two networks of a GAN.

    Then every batch holds the same share of ones, to the last digit, although its inputs differ.
    Such a loss does not fall: its course is an equilibrium of two networks, and tells nothing of
    learning (Goodfellow et al., "Generative adversarial nets", 2014).
    """
    if trace.facts.loss != "binary_cross_entropy":
        return False
    means = [v for _, v in trace.series(Quantity.TARGET_MEAN)]
    inputs = [v for _, v in trace.series(Quantity.INPUT_MEAN)]
    if len(means) < 5 or len(inputs) < 5:
        return False
    same = max(means) - min(means) < 1e-6
    return same and max(inputs) - min(inputs) > 1e-4 * max(map(abs, inputs))


def output_variety(trace: Trace) -> tuple[float, float] | None:
    """Return how far the outputs vary from row to row, against their range: first and at the end.

    It is the standard deviation over the rows, averaged over the units, over the distance of the
    largest output from the smallest: 0 if the network says the same of every row. Sound networks,
    from tables to language, end between 0.07 and 0.5; one that only knows how frequent each target
    is, near 0.01. None where outputs were not recorded.
    """
    spreads = trace.series(Quantity.OUTPUT_SPREAD)
    least, most = (dict(trace.series(q)) for q in (Quantity.OUTPUT_MIN, Quantity.OUTPUT_MAX))
    found = []
    for step, spread in spreads:
        size = most.get(step, math.nan) - least.get(step, math.nan)
        if math.isfinite(spread) and math.isfinite(size):
            found.append(spread / size if size > 0 else 0.0)
    return (median(found[:3]), median(found[-3:])) if found else None


def _running(values: Sequence[float], width: int) -> list[float]:
    return [median(values[i : i + width]) for i in range(len(values) - width + 1)]
