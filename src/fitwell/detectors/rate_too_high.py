"""A learning rate that is too high."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import ClassVar, NamedTuple, final

from fitwell.detectors.course import Course, attainable, course, made_targets, output_variety
from fitwell.detectors.curves import curve, needs_losses, reference_loss
from fitwell.detectors.steps import EARLY_STEPS, decaying, first_sensitivity, relative_updates
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Severity, Trace
from fitwell.words import say, together

_LARGE = 5e-3
"""Median relative change of the weights in a step, late in a run, that is still large. Healthy runs
of SGD, Adam and RMSprop ended between 1e-4 and 1e-2."""


_LOST = 0.15
"""Share of a run above its start, after a divergence, that is lost. Healthy runs lose none."""

_FAR = 0.5
"""A classifier that rests here, under large steps after a huge one, is kept from learning: healthy
heads on frozen layers rest below 0.2 of a constant guess's loss, however large their steps."""

_JUMP = 1.3
"""Ratio of one evaluation's loss to the one before: the rows are the same, so it is no noise."""


class _Outcome(NamedTuple):
    """What became of a run because of its steps, how bad that is, and since when."""

    what: str
    severity: Severity
    since: int


class _Steps(NamedTuple):
    """How large the steps were, against the weights; NaN where no update was recorded."""

    early: float
    early_step: int | None
    late: float
    cosine: float


@final
@dataclass(frozen=True, slots=True)
class LearningRateTooHigh(Detector):
    """Report steps that are so large that they undo, or prevent, the learning.

    Definition: the outcome is bad, and the steps are the reason. The outcome is bad if the
    training loss, as a share of the loss of a constant guess,

    - grew to ``min_growth`` times its start (or that of a constant guess, if that is more) and
      did not come back below a constant guess, or stopped being finite: it *diverged*;
    - had fallen, and at the end is back at twice its best and ``min_relapse`` above it, or back
      at a constant guess's: it *relapsed*;
    - ends above ``stuck`` of a constant guess: nothing was learned; or
    - ends further than ``margin`` above what near rows show to be attainable; or, where that is
      not known, jumped to 1.5 times its start and still stands at 0.7.

    The steps are the reason if, for the last two, some layer's weights changed by
    ``max_early`` of their size within one of the first 21 steps; or the steps of the second half
    bounce: they turn back on one another (cosine below ``min_cosine``) while still large; or the
    outputs told the rows apart at first, and no longer do, although the weights are as large: the
    steps threw the units to where they are dead. After a too large first step it is also enough
    that the loss, or validation's, rises again, or that a classifier's rests far from zero, while
    the steps of the second half stay large; or that much of the run went to undoing them. A
    divergence or a relapse needs no such proof if nothing else explains it: gradients descend, so
    a loss that climbs far above its start does so because the steps overshoot (Goodfellow et al.).

    It is silent where the first gradients are already unsound (some layer's |gradient| · |weights|
    / loss above ``max_sensitivity`` at step 0): then the weights or the inputs are the root, and
    other detectors name them. It is silent where weight decay alone moves the weights that far.
    Large first steps as such are no illness: Adam's first steps on a small network, and those on
    weights near zero, are large by nature and end well.

    Evidence: ``first``, ``best``, ``peak`` and ``remaining`` loss, as shares of a constant guess's;
    ``early_update``, the largest relative change of a layer in one of the first steps;
    ``late_update``, the median one of the second half; ``cosine`` of successive updates then.

    Args:
        max_early: Largest sound relative change of a layer in one of the first 21 steps. Healthy
            runs (MLP, CNN, GRU on four tables and digits; SGD, Adam, RMSprop) stayed below 0.26;
            rates ten times too high began at 0.2 to 3. Others take 0.1 (DeepDiagnosis,
            TheDeepChecker) for every step, which RMSprop's healthy starts exceed.
        min_growth: Least growth of the loss that counts as divergence. Healthy starts
            with momentum overshot by less than 1.6.
        min_relapse: Least rise above the best level, as a share of a constant guess's loss.
            Healthy runs, cyclic rates and restarts among them, ended within 0.05 of theirs.
        stuck: Share of a constant guess's loss from which on nothing was learned.
        margin: Least distance to what is attainable, in the same unit.
        min_cosine: Cosine of successive updates below which steps bounce. RMSprop's healthy
            runs came down to -0.24.
        max_sensitivity: Largest sound sensitivity of a layer at step 0, as in
            :class:`~fitwell.detectors.ExplodingGradients`.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Goodfellow, Bengio and Courville, "Deep Learning", 2016, section 11.4.1.
        Cohen et al., "Gradient descent on neural networks typically occurs at the edge of
        stability", ICLR 2021, for updates that turn back on one another.
    """

    condition: ClassVar[str] = "learning_rate_too_high"
    max_early: float = 0.3
    min_growth: float = 3.0
    min_relapse: float = 0.2
    stuck: float = 0.9
    margin: float = 0.25
    min_cosine: float = -0.3
    max_sensitivity: float = 50.0

    def __post_init__(self) -> None:
        in_range("max_early", self.max_early, 0, math.inf, open_low=True)
        in_range("min_growth", self.min_growth, 1, math.inf, open_low=True)
        in_range("min_relapse", self.min_relapse, 0, math.inf, open_low=True)
        in_range("stuck", self.stuck, 0, 1, open_low=True)
        in_range("margin", self.margin, 0, 1, open_low=True)
        in_range("min_cosine", self.min_cosine, -1, 1)
        in_range("max_sensitivity", self.max_sensitivity, 0, math.inf, open_low=True)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that the training loss, or the size of the updates, is missing."""
        if course(trace) is None:
            return needs_losses(self.condition)
        if not relative_updates(trace):
            return say(
                "learning_rate_too_high: no update was recorded, so only a divergence was judged."
            )
        return None

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        run = course(trace)
        if run is None or first_sensitivity(trace) > self.max_sensitivity:
            return ()
        steps = _steps(trace)
        told = self._outcome(trace, run, steps)
        return () if told is None else (self._finding(run, steps, told),)

    def _outcome(self, trace: Trace, run: Course, steps: _Steps) -> _Outcome | None:
        """What went wrong because of the steps; None if nothing did."""
        grown = run.peak >= self.min_growth * max(run.first, 1.0)
        if run.broke is not None and (grown or steps.early > self.max_early):
            since = min(run.broke, run.peak_step)
            return _Outcome(say("it stopped being a number"), "severe", since)
        gone = run.left >= self.stuck or _knows_frequencies_only(trace, run)
        if grown and gone:
            return _Outcome(say("it grew far above its start"), "severe", run.peak_step)
        back = run.left >= 0.95 and run.left - run.best >= max(0.05, 5 * run.error)
        lost = back or run.left >= max(2 * run.best, run.best + self.min_relapse)
        if lost and not made_targets(trace):
            how: Severity = "severe" if gone else "moderate"
            return _Outcome(say("what had been learned was lost again"), how, run.best_step)
        return self._caught(trace, run, steps, gone=gone)

    def _caught(self, trace: Trace, run: Course, steps: _Steps, *, gone: bool) -> _Outcome | None:
        """Judge a run that neither diverged nor relapsed: here the steps themselves must show."""
        early = steps.early_step or 0
        large = steps.early > self.max_early and decaying(trace) < self.max_early / 10
        bouncing = steps.cosine < self.min_cosine and steps.late > _LARGE / 5
        if not (large or bouncing):
            collapsed = gone and _collapsed(trace)
            what = say("the network came to say the same of every row")
            return _Outcome(what, "severe", early) if collapsed else None
        after_start = median(run.levels[1 : 1 + len(run.levels) // 5] or run.levels)
        if gone or (not run.guess and run.left >= 0.97 * after_start > 0.1):
            return _Outcome(say("nothing was learned"), "severe", early)
        floor = attainable(trace)
        if floor is None and run.left >= 0.7 and run.peak >= 1.5 * max(run.first, 1.0):
            return _Outcome(say("it jumped up at once and has not recovered"), "moderate", early)
        if floor is not None and run.left >= floor + self.margin:
            return _Outcome(say("it stays far above what the data allow"), "moderate", early)
        start = max(run.first, 1.0)
        above = sum(level > 1.1 * start for level in run.levels)
        if large and run.peak >= self.min_growth * start and above >= _LOST * len(run.levels):
            return _Outcome(say("it took long to undo the first steps"), "moderate", early)
        if not large or steps.late < _LARGE:
            return None
        rises = run.left >= max(1.2 * run.best, run.best + max(0.03, 4 * run.error))
        if rises or _validation_jumps(trace):
            return _Outcome(say("it rises again while its steps are large"), "moderate", early)
        rests = -run.trend()[0] < run.left / 10 and run.left >= _FAR
        if rests and (trace.facts.classes or "cross_entropy" in trace.facts.loss):
            return _Outcome(say("it no longer falls while its steps are large"), "moderate", early)
        return None

    def _finding(self, run: Course, steps: _Steps, outcome: _Outcome) -> Finding:
        said = [
            say(
                "The training loss began at {first} of what a constant guess costs, then was "
                "{best} at best and {peak} at worst, and ends at {left}: {outcome}.",
                first=f"{run.first:.3g}",
                best=f"{run.best:.3g}",
                peak=f"{run.peak:.3g}",
                left=f"{run.left:.3g}",
                outcome=outcome.what,
            )
        ]
        if steps.early > self.max_early:
            said.append(
                say(
                    "One of the first steps changed the weights of a layer by {share} of their "
                    "size.",
                    share=f"{steps.early:.0%}",
                )
            )
        elif steps.cosine < self.min_cosine:
            said.append(
                say(
                    "Steps turn back on one another (cosine {cosine}).",
                    cosine=f"{steps.cosine:.2f}",
                )
            )
        evidence = {
            "first": run.first,
            "best": run.best,
            "peak": run.peak,
            "remaining": run.left,
            "early_update": steps.early,
            "late_update": steps.late,
            "cosine": steps.cosine,
        }
        known = {k: v for k, v in evidence.items() if not math.isnan(v)}
        return Finding(
            condition=self.condition,
            severity=outcome.severity,
            confidence=0.9 if len(said) > 1 else 0.7,
            layers=(),
            since=outcome.since or None,
            evidence=known,
            explanation=together(said),
            phrase=say("steps too large: {outcome}", outcome=outcome.what),
        )


def _knows_frequencies_only(trace: Trace, run: Course) -> bool:
    """Whether a classifier says nearly the same of every row, and so knows no more than shares."""
    variety = output_variety(trace)
    classes = trace.facts.classes or "cross_entropy" in trace.facts.loss
    return bool(classes) and variety is not None and variety[1] <= 0.03 and run.left >= 0.5


def _validation_jumps(trace: Trace) -> bool:
    """Whether the validation loss jumps up between two evaluations, and ends above a tenth."""
    reference = reference_loss(trace) or 1.0
    levels = [v / reference for _, v in curve(trace, "validation")]
    jumps = [b - a for a, b in pairwise(levels) if b > max(_JUMP * a, a + 0.05)]
    return bool(jumps) and levels[-1] >= 0.1


def _collapsed(trace: Trace) -> bool:
    """Whether the outputs told the rows apart at first and no longer do, under weights that stayed.

    Weights that decay has shrunk let the outputs collapse, too, but steps do not.
    """
    variety = output_variety(trace)
    sizes = [v for _, v in trace.series(Quantity.WEIGHT_NORM) if math.isfinite(v)]
    kept = len(sizes) < 2 or sizes[-1] > sizes[0] / 2
    return variety is not None and variety[0] > 0.015 and variety[1] < 1e-3 and kept


def _steps(trace: Trace) -> _Steps:
    found = relative_updates(trace)
    early = [(largest, -step) for step, _, largest in found if step < EARLY_STEPS]
    size, before = max(early, default=(math.nan, 1))
    cosines = [v for _, v in trace.series(Quantity.UPDATE_COSINE) if math.isfinite(v)]
    return _Steps(
        early=size,
        early_step=-before if before <= 0 else None,
        late=median([m for _, m, _ in found[len(found) // 2 :]]) if found else math.nan,
        cosine=median(cosines[len(cosines) // 2 :]) if len(cosines) >= 6 else math.nan,
    )
