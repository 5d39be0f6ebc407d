"""A loss that goes up and down, and one that goes nowhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, final

from fitwell.detectors.course import (
    Course,
    attainable,
    course,
    made_targets,
    output_variety,
)
from fitwell.detectors.curves import needs_losses
from fitwell.detectors.steps import rate_varies
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Severity, Trace
from fitwell.words import say

_NOTHING = 0.97
"""From this share of a constant guess's loss on, nothing at all was learned."""


@final
@dataclass(frozen=True, slots=True)
class OscillatingLoss(Detector):
    """Report a training loss that goes up and down again and again and gets nowhere.

    Definition: the loss, averaged over twentieths of the run, swings upward at least
    ``min_swings`` times. A swing is a rise from a low to the next high by ``min_ratio`` or more
    that is also larger than ``noises`` standard errors of a level and than ``min_rise`` of a
    constant guess's loss; a fall by as much must follow before the next one counts. And the
    swings lead nowhere: the last quarter of the run is no better than ``max_progress`` of the
    second one, and lies ``margin`` above what near rows show to be attainable.

    The averages are what matters: the loss of single small batches is noisy in every sound run,
    and the standard error of a level holds that noise. A loss that bounces on its way down is
    sound, too. It is silent where the learning rate itself goes up and down (cycles, restarts), and
    with fewer than ten levels.

    Evidence: ``swings``, ``largest`` swing and standard ``error`` of a level, as shares of a
    constant guess's loss; ``remaining`` at the end.

    Args:
        min_swings: Least number of upward swings. AutoTrainer asks for a fifth of the epochs.
        min_ratio: Least ratio of a high to the low before it. Levels of sound runs that had come
            to rest rose by up to 1.3 with batch norm on small tables.
        min_rise: Least rise, as a share of a constant guess's loss.
        noises: How many standard errors of the difference of two levels a swing must exceed.
        max_progress: Largest ratio of the last quarter's level to the second one's that still
            counts as progress.
        margin: Least distance to what is attainable.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Zhang et al., "AutoTrainer", ICSE 2021, for the condition, judged there on accuracy.
    """

    condition: ClassVar[str] = "oscillating_loss"
    min_swings: int = 3
    min_ratio: float = 1.3
    min_rise: float = 0.05
    noises: float = 4.0
    max_progress: float = 0.7
    margin: float = 0.15

    def __post_init__(self) -> None:
        in_range("min_swings", self.min_swings, 1, math.inf)
        in_range("min_ratio", self.min_ratio, 1, math.inf)
        in_range("min_rise", self.min_rise, 0, math.inf)
        in_range("noises", self.noises, 0, math.inf)
        in_range("max_progress", self.max_progress, 0, 1)
        in_range("margin", self.margin, 0, 1)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that the training loss is missing, or too short a run of it is there."""
        run = course(trace)
        if run is None or len(run.levels) < 10:
            return say("oscillating_loss: needs at least ten training losses.")
        return None

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        run = course(trace)
        if run is None or len(run.levels) < 10 or rate_varies(trace) or made_targets(trace):
            return ()
        quarter = len(run.levels) // 4
        second, last = run.levels[quarter : 2 * quarter], run.levels[-quarter:]
        better = median(last) < self.max_progress * median(second)
        if better or median(last) < (attainable(trace) or 0.0) + self.margin:
            return ()
        swings = self._swings(run)
        if len(swings) < self.min_swings:
            return ()
        return (self._finding(run, swings),)

    def _swings(self, run: Course) -> list[tuple[int, float]]:
        """Return (step of the low, rise) of every upward swing."""
        noise = run.error * math.sqrt(2) if math.isfinite(run.error) else 0.0
        found: list[tuple[int, float]] = []
        low = high = run.levels[0]
        low_step, rising = run.steps[0], False
        for step, level in zip(run.steps, run.levels, strict=True):
            if rising:
                high = max(high, level)
                if self._far(level, high, noise):
                    found[-1] = (found[-1][0], high - low)
                    rising, low, low_step = False, level, step
            elif level < low:
                low, low_step = level, step
            elif self._far(low, level, noise):
                rising, high = True, level
                found.append((low_step, level - low))
        return found

    def _far(self, low: float, high: float, noise: float) -> bool:
        least = max(self.min_rise, self.noises * noise)
        return high - low >= least and high >= self.min_ratio * low

    def _finding(self, run: Course, swings: list[tuple[int, float]]) -> Finding:
        largest = max(rise for _, rise in swings)
        severity: Severity = "severe" if run.left >= 0.9 else "moderate"
        evidence = {
            "swings": float(len(swings)),
            "largest": largest,
            "error": run.error,
            "remaining": run.left,
        }
        return Finding(
            condition=self.condition,
            severity=severity,
            confidence=min(0.95, 0.6 + 0.05 * len(swings)),
            layers=(),
            since=swings[0][0] or None,
            evidence={k: v for k, v in evidence.items() if math.isfinite(v)},
            explanation=say(
                "The averaged training loss rose {times} times, by up to {largest} of what a "
                "constant guess costs, and ends at {left} of it: the steps overshoot, and undo one "
                "another.",
                times=len(swings),
                largest=f"{largest:.2g}",
                left=f"{run.left:.0%}",
            ),
            phrase=say("the loss goes up and down, {times} times", times=len(swings)),
        )


@final
@dataclass(frozen=True, slots=True)
class NotLearning(Detector):
    """Report a run at whose end the network is no better than a constant guess.

    Definition: over the last half of the run the training loss lies nowhere below ``min_left`` of
    its reference, which is the loss of a constant guess, or the first loss where that is smaller or
    the other unknown; and it does not fall: its trend is within ``noises`` standard errors, or
    smaller than ``max_fall``. Loss levels are averages, so one lucky batch does not count.

    Where near rows carry different targets all over (an attainable share above
    ``max_disagreement``), the targets may belong to other rows, or there is nothing to learn: then
    the finding is moderate at most, and says so.

    It tells whether the network says nearly the same of every row: then it has given up on its
    inputs (dead units, a collapsed layer, weight decay, targets that belong to other rows); if not,
    its answers vary but are no use. It is a symptom, so whatever else was found explains it. It is
    silent with fewer than ``min_steps`` steps, if the loss is not finite in the end, since another
    condition holds then, and where the loop makes the targets itself, as for a GAN.

    Evidence: ``remaining``, the loss at the end as a share of a constant guess's; ``best``
    level; ``trend`` over the second half and its ``trend_error``; ``variety`` of the outputs
    from row to row, and the ``attainable`` share, where they are known.

    Args:
        min_left: Least share of the reference. Healthy runs ended below 0.85, the noisiest one of
            40 % redrawn labels; unequal classes let a guess that knows them come down to 0.94.
        min_left_if_same: The same where the network says nearly the same of every row, of classes,
            or of any targets on which near rows disagree: then it has learned no more than how
            frequent each target is, which a guess of equally frequent classes does not know. A
            language model of letters learns 0.22 of it so.
        max_variety: Largest standard deviation of the outputs over the rows, against their range,
            that counts as the same. Sound networks had 0.07 and more, from tables to language.
        max_fall: Largest fall over the second half, as a share of the reference, that counts as
            none.
        noises: How many standard errors a fall must exceed to count.
        max_disagreement: Attainable share of the loss, by near rows, from which on nearness tells
            nothing.
        min_steps: Least number of optimizer steps.

    Raises:
        ThresholdError: If an argument is out of range.
    """

    condition: ClassVar[str] = "not_learning"
    min_left: float = 0.93
    min_left_if_same: float = 0.5
    max_variety: float = 0.03
    max_fall: float = 0.02
    noises: float = 3.0
    max_disagreement: float = 0.9
    min_steps: int = 30

    def __post_init__(self) -> None:
        in_range("min_left", self.min_left, 0, 1, open_low=True)
        in_range("min_left_if_same", self.min_left_if_same, 0, 1, open_low=True)
        in_range("max_variety", self.max_variety, 0, 1)
        in_range("max_fall", self.max_fall, 0, 1)
        in_range("noises", self.noises, 0, math.inf)
        in_range("max_disagreement", self.max_disagreement, 0, math.inf)
        in_range("min_steps", self.min_steps, 2, math.inf)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that the training loss is missing."""
        if course(trace) is None:
            return needs_losses(self.condition)
        return None

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        run = course(trace)
        if run is None or len(run.levels) < 4 or run.span + 1 < self.min_steps:
            return ()
        if made_targets(trace):
            return ()
        if run.broke is not None and run.broke <= run.span // 2:
            return ()
        reference = 1.0 if run.guess else min(1.0, run.levels[0])
        late = run.levels[len(run.levels) // 2 :]
        change, error = run.trend()
        falls = -change > max(self.noises * error, self.max_fall * reference)
        variety = output_variety(trace)
        same = variety is not None and variety[1] <= self.max_variety
        classes = trace.facts.classes or "cross_entropy" in trace.facts.loss
        strange = (attainable(trace) or 0.0) >= self.max_disagreement
        least = self.min_left_if_same if same and (classes or strange) else self.min_left
        if min(run.left, median(late)) < least * reference or falls:
            return ()
        return (self._finding(trace, run, change, error),)

    def _finding(self, trace: Trace, run: Course, change: float, error: float) -> Finding:
        variety = output_variety(trace)
        constant = variety is not None and variety[1] <= self.max_variety
        floor = attainable(trace)
        hopeless = floor is not None and floor >= self.max_disagreement
        why = (
            say(
                "near rows carry different targets: those of other rows, or the inputs hold "
                "nothing of them."
            )
            if hopeless
            else say("the network says nearly the same of every row.")
            if constant
            else say("its answers are no better than a constant guess.")
        )
        stands = {"steps": run.span + 1, "left": f"{run.left:.0%}", "why": why}
        severity: Severity = "severe" if run.left >= _NOTHING else "moderate"
        severity = "moderate" if hopeless else severity
        evidence = {
            "remaining": run.left,
            "best": run.best,
            "trend": change,
            "trend_error": error,
            **({} if variety is None else {"variety": variety[1]}),
            **({} if floor is None else {"attainable": floor}),
        }
        return Finding(
            condition=self.condition,
            severity=severity,
            confidence=0.5 if hopeless else 0.9 if run.guess else 0.7,
            layers=(),
            since=None,
            evidence=evidence,
            explanation=(
                say(
                    "After {steps} steps the training loss stands at {left} of what a constant "
                    "guess costs: {why}",
                    **stands,
                )
                if run.guess
                else say(
                    "After {steps} steps the training loss stands at {left} of its start: {why}",
                    **stands,
                )
            ),
            advice=say("Check that each target belongs to its inputs.") if hopeless else "",
            phrase=say("nothing is learned"),
        )
