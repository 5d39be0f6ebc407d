"""A learning rate that is too low."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, final

from fitwell.detectors.course import Course, attainable, course
from fitwell.detectors.curves import needs_losses
from fitwell.detectors.steps import (
    relative_updates,
    share_moved_by_gradients,
    travelled,
    updates_at_later_rates,
)
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Severity, Trace
from fitwell.words import say

_UNMOVED = 0.9
"""Where so much of the loss is left, three times as large a step is still counted as tiny."""


@final
@dataclass(frozen=True, slots=True)
class LearningRateTooLow(Detector):
    """Report steps that are so small that the run ends before it has got anywhere.

    Definition: at the end the training loss still lies above ``min_remaining`` of its reference
    (a constant guess, or its own start if that is less), further than ``margin`` above what near
    rows show to be attainable (or the weights have not even moved by a quarter of ``max_travel``),
    and

    - where updates were recorded: all steps of the run together could have moved the weights by
      less than ``max_travel`` of their size, each by less than ``max_update``, although most
      layers receive gradients that they could learn from;
    - where they were not: the loss falls on a straight line, beyond its noise, to the end.

    It is silent for runs of fewer than ``min_steps`` steps: those are short, not slow. It is silent
    where the gradients are too small to learn from (vanishing gradients, dead units, weights of
    zero are then the root), and where the loss has come down: a network that is only finished off,
    and a rate that was lowered at the end, take small steps for a good reason.

    Evidence: ``remaining`` loss as a share of a constant guess's; ``trend``, its change over the
    second half; ``update``, the median relative change of the weights in a step; ``travel``, the
    sum of them over the run; ``cosine`` of successive updates, where it is known.

    Args:
        max_travel: Largest distance that counts as next to nothing. Healthy runs travelled 0.6 and
            more, rates 100 times too low 0.002 to 0.06.
        max_update: Largest relative change in one step that counts as tiny; three times as much
            where nine tenths of the loss are left. The common advice is
            about 1e-3 (Karpathy); SGD without momentum learns with 5e-4.
        min_remaining: Least share of the loss that is left.
        margin: Least distance to what is attainable, in the same unit.
        min_steps: Least number of optimizer steps.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Karpathy, "CS231n: ratio of weights to updates", 2015: about 1e-3 is sound.
        TheDeepChecker (TOSEM 2022) reports updates below 1e-4 of the weights.
    """

    condition: ClassVar[str] = "learning_rate_too_low"
    max_travel: float = 0.2
    max_update: float = 3e-4
    min_remaining: float = 0.5
    margin: float = 0.2
    min_steps: int = 50

    def __post_init__(self) -> None:
        in_range("max_travel", self.max_travel, 0, math.inf, open_low=True)
        in_range("max_update", self.max_update, 0, math.inf, open_low=True)
        in_range("min_remaining", self.min_remaining, 0, 1, open_low=True)
        in_range("margin", self.margin, 0, 1)
        in_range("min_steps", self.min_steps, 2, math.inf)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that the training loss, or the size of the updates, is missing."""
        if course(trace) is None:
            return needs_losses(self.condition)
        if not relative_updates(trace):
            return say(
                "learning_rate_too_low: no update was recorded, so only the loss was judged."
            )
        return None

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        run = course(trace)
        if run is None or run.broke is not None or run.span + 1 < self.min_steps:
            return ()
        if run.left < self.min_remaining * min(1.0, run.levels[0]):
            return ()
        found = updates_at_later_rates(trace)
        far = run.left - (attainable(trace) or 0.0) >= self.margin
        if not found:
            return self._from_losses(trace, run) if far else ()
        update = median([value for _, value in found])
        travel = travelled(trace) or 0.0
        sound = share_moved_by_gradients(trace)
        if update == 0 or (sound is not None and sound < 0.5):
            return ()
        tiny = update <= (self.max_update if run.left < _UNMOVED else 3 * self.max_update)
        near = travel <= self.max_travel and (far or travel <= self.max_travel / 4)
        return (self._finding(trace, run, update=update, travel=travel),) if tiny and near else ()

    def _from_losses(self, trace: Trace, run: Course) -> Iterable[Finding]:
        if len(run.levels) < 8 or run.left < 0.7 * run.levels[0]:
            return ()
        change, error = run.trend()
        all_of_it, _ = run.trend(of=1.0)
        steady = change < -5 * error and change < 0.35 * all_of_it
        return (self._finding(trace, run, update=math.nan, travel=math.nan),) if steady else ()

    def _finding(self, trace: Trace, run: Course, *, update: float, travel: float) -> Finding:
        change, error = run.trend()
        cosines = [v for _, v in trace.series(Quantity.UPDATE_COSINE) if math.isfinite(v)]
        evidence = {
            "remaining": run.left,
            "trend": change,
            "trend_error": error,
            "update": update,
            "travel": travel,
            "cosine": median(cosines) if cosines else math.nan,
        }
        known = not math.isnan(update)
        severity: Severity = "mild" if not known else "severe" if run.left > 0.9 else "moderate"
        said = (
            say(
                "A step changes the weights by {update} of their size, and all {steps} steps "
                "together by {travel} at most",
                update=f"{update:.1e}",
                steps=run.span + 1,
                travel=f"{travel:.1%}",
            )
            if known
            else say("The training loss still falls on a straight line")
        )
        return Finding(
            condition=self.condition,
            severity=severity,
            confidence=0.9 if known else 0.5,
            layers=(),
            since=None,
            evidence={k: v for k, v in evidence.items() if math.isfinite(v)},
            explanation=say(
                "{said}, and {left} of what a constant guess costs is left: the run ends long "
                "before the network has learned.",
                said=said,
                left=f"{run.left:.0%}",
            ),
            phrase=say("steps too small to get anywhere"),
        )
