"""How training and validation stand to each other: overfitting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import ClassVar, NamedTuple, final

from fitwell.detectors.curves import aligned, noise, reference_loss, slope, smoothed
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Severity, Trace

_MIN_EVALUATIONS = 5
"""Noise cannot be told from trend with fewer."""


class _Gap(NamedTuple):
    """How far validation lies behind training at the end, in units where 1 is the whole scale."""

    now: float
    grown: float
    noise: float
    training: float
    validation: float
    rise: float
    best_step: int
    since: int
    still_improving: bool


@final
@dataclass(frozen=True, slots=True)
class Overfitting(Detector):
    """Report a network that fits its training rows far better than others.

    Definition: at the end of the run, the validation loss lies above the training loss by a gap
    that is large against the loss of a constant guess, has grown beyond the noise of the curves,
    and leaves the training loss at a fraction of the validation loss; and validation has stopped
    improving: it is past its minimum, or level. All curves are smoothed by a running median over
    three evaluations, and the end is the median of the last fifth of them.

    Where no losses are known, the gap of the metric is judged likewise, on its own scale from 0
    to 1. A loss that was measured under dropout or augmentation is too high, and so hides a gap:
    it can make this detector silent, never speak.

    A gap that is flat from the start, or within the noise of the curves, is none. A short dip of
    validation is none. It is silent without validation data, and with fewer than five evaluations.

    Evidence: ``gap``, ``training`` and ``validation`` at the end, in the unit of the curve;
    ``relative_gap`` in shares of a constant guess's loss; ``metric_gap``, how much more of the
    training rows is classified rightly; ``rise`` of validation since its
    minimum, likewise; ``noise``, one standard deviation, likewise; ``best_step`` of validation.

    Args:
        min_gap: Least gap as a share of the loss of a constant guess. Sound networks
            of ours ended below 0.1, overfitted ones between 0.15 and 0.6; 8 ReLU layers on digits
            lie between, from 0.09 to 0.17, and are named for some seeds.
        max_training: Largest training loss, as a share of the validation loss, that still counts
            as far below it, in (0, 1].
        min_metric_gap: Least gap of a metric in [0, 1].
        noises: How many standard deviations of noise a change must exceed.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Prechelt, "Early stopping: but when?", 1998, for judging on smoothed validation loss
        against its minimum.
    """

    condition: ClassVar[str] = "overfitting"
    min_gap: float = 0.12
    max_training: float = 0.5
    min_metric_gap: float = 0.1
    noises: float = 3.0

    def __post_init__(self) -> None:
        in_range("min_gap", self.min_gap, 0, float("inf"), open_low=True)
        in_range("max_training", self.max_training, 0, 1, open_low=True)
        in_range("min_metric_gap", self.min_metric_gap, 0, 1, open_low=True)
        in_range("noises", self.noises, 0, float("inf"))

    def unjudged(self, trace: Trace) -> str | None:
        """Say that validation data are missing, or too few evaluations were made."""
        count = max(len(aligned(trace, q)) for q in (Quantity.LOSS, Quantity.METRIC))
        if not count:
            return (
                "overfitting: needs training and validation loss; log val_loss to have it judged."
            )
        if count < _MIN_EVALUATIONS:
            return f"overfitting: needs {_MIN_EVALUATIONS} evaluations, there were {count}."
        return None

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        points = aligned(trace, Quantity.LOSS)
        scale = reference_loss(trace)
        if len(points) >= _MIN_EVALUATIONS and scale is not None:
            gap = _gap(points, scale, self.noises)
            far = gap.training <= self.max_training * gap.validation
            if far and self._shows(gap, self.min_gap):
                yield self._finding(trace, gap, scale, "loss")
            return
        points = aligned(trace, Quantity.METRIC)
        if len(points) >= _MIN_EVALUATIONS:
            sign = -1.0 if trace.facts.higher_is_better else 1.0
            gap = _gap([(s, sign * t, sign * v) for s, t, v in points], 1.0, self.noises)
            if self._shows(gap, self.min_metric_gap):
                yield self._finding(trace, gap, sign, trace.facts.metric or "metric")

    def _shows(self, gap: _Gap, least: float) -> bool:
        margin = self.noises * gap.noise
        return (
            gap.now >= max(least, margin)
            and gap.grown >= max(least / 2, margin)
            and not gap.still_improving
        )

    def _finding(self, trace: Trace, gap: _Gap, unit: float, what: str) -> Finding:
        training, validation = gap.training * unit, gap.validation * unit
        rows = trace.facts.validation_rows or 100
        risen = gap.rise > self.noises * gap.noise
        behind = _share_behind(trace)
        turn = f", which was best at step {gap.best_step}" if risen else ""
        return Finding(
            condition=self.condition,
            severity=_gap_severity(gap.now, behind),
            confidence=min(0.95, 0.5 + 0.2 * risen + 0.25 * min(1.0, rows / 200)),
            layers=(),
            since=gap.since,
            evidence={
                "gap": abs(validation - training),
                "training": training,
                "validation": validation,
                "relative_gap": gap.now,
                "rise": gap.rise,
                "noise": gap.noise,
                "best_step": float(gap.best_step),
                **({"metric_gap": behind} if behind else {}),
            },
            explanation=(
                f"The training {what} ends at {training:.3g}, validation's at {validation:.3g}"
                f"{turn}: the network has learned its training rows better than the task."
            ),
            phrase=f"validation falls behind training from step {gap.since}",
        )


def _gap(points: Sequence[tuple[int, float, float]], scale: float, noises: float) -> _Gap:
    """Measure the gap; curves are divided by ``scale`` and lower is better."""
    steps = [step for step, _, _ in points]
    training = smoothed([value / scale for _, value, _ in points])
    raw = [value / scale for _, _, value in points]
    validation = smoothed(raw)
    gaps = [v - t for t, v in zip(training, validation, strict=True)]
    late, early = max(2, len(points) // 5), max(1, len(points) // 10)
    now, start = median(gaps[-late:]), min(gaps[: max(2, early)])
    spread = noise([v - t / scale for (_, t, _), v in zip(points, raw, strict=True)])
    best = min(range(len(validation)), key=validation.__getitem__)
    end = validation[len(validation) // 2 :]
    half = start + (now - start) / 2
    since = next((s for s, g in zip(steps, gaps, strict=True) if g >= half), steps[-1])
    return _Gap(
        now=now,
        grown=now - start,
        noise=spread,
        training=median(training[-late:]),
        validation=median(validation[-late:]),
        rise=median(validation[-late:]) - validation[best],
        best_step=steps[best],
        since=since,
        still_improving=-slope(end) > max(noises * noise(raw), 0.1 * fmean(end)),
    )


def _share_behind(trace: Trace) -> float:
    """How much more of the training rows than of the others is classified rightly at the end."""
    points = aligned(trace, Quantity.METRIC) if trace.facts.classes else []
    late = points[-max(2, len(points) // 5) :]
    return median(t - v for _, t, v in late) if late and trace.facts.higher_is_better else 0.0


def _gap_severity(share: float, behind: float) -> Severity:
    """Tell how bad a gap is by the loss or by what is classified rightly, whichever is worse.

    A quarter of a constant guess's loss, or ten points, is moderate; twice that is severe.
    """
    worst = max(share / 0.25, behind / 0.1)
    return "severe" if worst >= 2 else "moderate" if worst >= 1 else "mild"
