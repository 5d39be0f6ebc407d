"""A learning rate that is too high, and one that is too low."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, NamedTuple, final

from fitwell.detectors.course import (
    EARLY_STEPS,
    Course,
    attainable,
    course,
    decaying,
    first_sensitivity,
    made_targets,
    output_variety,
    relative_updates,
    share_moved_by_gradients,
    travelled,
)
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Severity, Trace


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
    that the loss no longer falls while the steps of the second half stay large. A
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
        """Say that the training loss is missing."""
        if course(trace) is None:
            return f"{self.condition}: needs the training loss; log train_loss to have it judged."
        return None

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        run = course(trace)
        if run is None or first_sensitivity(trace) > self.max_sensitivity:
            return ()
        steps = _steps(trace)
        told = self._outcome(trace, run, steps)
        return () if told is None else (self._finding(run, steps, *told),)

    def _outcome(
        self, trace: Trace, run: Course, steps: _Steps
    ) -> tuple[str, Severity, int] | None:
        """What went wrong because of the steps, how badly, and since when; None if nothing."""
        early = steps.early_step or 0
        start = max(run.first, 1.0)
        grown = run.peak >= self.min_growth * start
        if run.broke is not None and (grown or steps.early > self.max_early):
            return "it stopped being a number", "severe", min(run.broke, run.peak_step)
        if grown and run.left >= self.stuck:
            return "it grew far above its start", "severe", run.peak_step
        gone = run.left >= self.stuck
        back = run.left >= 0.95 and run.left - run.best >= max(0.05, 5 * run.error)
        if (
            back or run.left >= max(2 * run.best, run.best + self.min_relapse)
        ) and not made_targets(trace):
            return (
                "what had been learned was lost again",
                "severe" if gone else "moderate",
                run.best_step,
            )
        collapsed = gone and _collapsed(trace)
        large = steps.early > self.max_early and decaying(trace) < self.max_early / 10
        bouncing = steps.cosine < self.min_cosine and steps.late > 1e-3
        if not (large or bouncing or collapsed):
            return None
        if collapsed and not large:
            return "the network came to say the same of every row", "severe", early
        since_then = median(run.levels[1 : 1 + len(run.levels) // 5] or run.levels)
        if gone or (not run.guess and run.left >= 0.97 * since_then > 0.1):
            return "nothing was learned", "severe", early
        floor = attainable(trace)
        if floor is None and run.left >= 0.7 and run.peak >= 1.5 * start:
            return "it jumped up at once and has not recovered", "moderate", early
        if floor is not None and run.left >= floor + self.margin:
            return "it stays far above what the data allow", "moderate", early
        classes = trace.facts.classes or "cross_entropy" in trace.facts.loss
        reachable = floor if floor is not None else 0.0 if classes else 0.5
        change, _ = run.trend()
        if (
            large
            and steps.late >= 5e-3
            and run.left >= reachable + 0.07
            and -change < run.left / 10
        ):
            return "it no longer falls, and its steps are still large", "moderate", early
        return None

    def _finding(
        self, run: Course, steps: _Steps, what: str, severity: Severity, since: int
    ) -> Finding:
        proof = ""
        if steps.early > self.max_early:
            proof = (
                f" One of the first steps changed the weights of a layer by {steps.early:.0%} of "
                "their size."
            )
        elif steps.cosine < self.min_cosine:
            proof = f" Steps turn back on one another (cosine {steps.cosine:.2f})."
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
            severity=severity,
            confidence=0.9 if proof else 0.7,
            layers=(),
            since=since or None,
            evidence=known,
            explanation=(
                f"The training loss began at {run.first:.3g} of what a constant guess costs, "
                f"was {run.best:.3g} at best and {run.peak:.3g} at worst, and ends at "
                f"{run.left:.3g}: {what}.{proof}"
            ),
            phrase=f"steps too large: {what}",
        )


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
    early = [(largest, step) for step, _, largest in found if step < EARLY_STEPS]
    size, where = max(early, default=(math.nan, -1))
    cosines = [v for _, v in trace.series(Quantity.UPDATE_COSINE) if math.isfinite(v)]
    return _Steps(
        early=size,
        early_step=where if where >= 0 else None,
        late=median([m for _, m, _ in found[len(found) // 2 :]]) if found else math.nan,
        cosine=median(cosines[len(cosines) // 2 :]) if len(cosines) >= 6 else math.nan,
    )


@final
@dataclass(frozen=True, slots=True)
class LearningRateTooLow(Detector):
    """Report steps that are so small that the run ends before it has got anywhere.

    Definition: at the end the training loss still lies above ``min_remaining`` of its reference
    (a constant guess, or its own start if that is less), further than ``margin`` above what near
    rows show to be attainable, and

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
        max_update: Largest relative change in one step that counts as tiny. The common advice is
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
        """Say that the training loss is missing."""
        if course(trace) is None:
            return f"{self.condition}: needs the training loss; log train_loss to have it judged."
        return None

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        run = course(trace)
        if run is None or run.broke is not None or run.span + 1 < self.min_steps:
            return ()
        start = min(1.0, run.levels[0])
        floor = attainable(trace)
        far = run.left - (floor or 0.0) >= self.margin
        if run.left < self.min_remaining * start or not far:
            return ()
        found = relative_updates(trace)
        if not found:
            return self._from_losses(trace, run)
        update = median([value for _, value, _ in found])
        sound = share_moved_by_gradients(trace)
        travel = travelled(trace) or 0.0
        if update > self.max_update or travel > self.max_travel or update == 0:
            return ()
        if sound is not None and sound < 0.5:
            return ()
        return (self._finding(trace, run, update=update, travel=travel),)

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
            f"A step changes the weights by {update:.1e} of their size, and all {run.span + 1} "
            f"steps together by {travel:.1%} at most"
            if known
            else "The training loss still falls on a straight line"
        )
        return Finding(
            condition=self.condition,
            severity=severity,
            confidence=0.9 if known else 0.5,
            layers=(),
            since=None,
            evidence={k: v for k, v in evidence.items() if math.isfinite(v)},
            explanation=(
                f"{said}, and {run.left:.0%} of what a constant guess costs is left: "
                "the run ends long before the network has learned."
            ),
            phrase="steps too small to get anywhere",
        )
