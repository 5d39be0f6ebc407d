"""How training and validation stand to each other: overfitting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from typing import ClassVar, final

from fitwell.detectors.curves import aligned, noise, reference_loss, slope, smoothed
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Severity, Trace
from fitwell.words import say

_MIN_EVALUATIONS = 3
"""Growth cannot be told with fewer."""

_MANY_EVALUATIONS = 5
"""From here on the scatter of the evaluations tells noise from trend; with fewer, the gap must
never shrink, and the sampling error of the validation rows stands for the noise."""

_UNKNOWN_ROWS = 200
"""Validation rows assumed where the trace does not tell: they set the width of the interval."""

_TWO_SIDED = 1.96
"""Standard errors of a 95 % interval."""

_MODERATE, _SEVERE = 0.15, 0.4
"""Lower end of the gap's interval, in shares of a constant guess's loss, from which it is no longer
mild. Two networks of 40 units on breast cancer, right in 96 of 100 validation rows, had 0.09 at
most; 500 digits learned from 60 had 0.16 and more."""

_RISE = 0.06
"""Rise of validation from its minimum that is more than a trifle. Memorised label noise came up by
0.07 to 0.12 within 30 epochs; a network on breast cancer that is sound by its accuracy, by 0.06."""

_MEMORISED = 0.2
"""Training loss, as a share of validation's, up to which the rows were learned by heart. With more
of it left a level gap may as well come from validation rows that are harder."""

_SHIFTED = 1.25
"""A first evaluation that costs so much more than a constant guess, and than training, shows rows
of another kind, not rows that were learned too well: those begin alike."""

_MODERATE_METRIC, _SEVERE_METRIC = 0.07, 0.2
"""The same for the metric, in [0, 1]: seven points, twenty points, surely behind."""


@final
@dataclass(frozen=True, slots=True)
class _Gap:
    """How far validation lies behind training at the end, in units where 1 is the whole scale."""

    now: float
    grown: float
    noise: float
    training: float
    validation: float
    rise: float
    best_step: int
    since: int
    rows: int
    still_improving: bool
    shifted: bool

    @property
    def error(self) -> float:
        """Standard error of the gap: of the sample of validation rows, and of the evaluations.

        Most rows cost next to nothing and a few cost much, so the sum over the rows scatters like
        a count: its variance is the mean times what such a row costs, about twice the loss of a
        constant guess. On a metric in [0, 1] that is an upper bound of the binomial error.
        """
        return math.hypot(math.sqrt(2 * abs(self.validation) / self.rows), self.noise)

    @property
    def turned(self) -> bool:
        """Whether validation has surely come up from its minimum, by more than a trifle."""
        error = math.hypot(self.noise, math.sqrt(2 * max(self.rise, 0.0) / self.rows))
        return self.rise >= max(_RISE, 3 * error) and self.low > 0

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval of the gap."""
        return self.now - _TWO_SIDED * self.error


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

    A gap that is flat from the start, or within the noise of the curves, is none; nor is a short
    dip of validation. A gap that was already there before anything had been learned is a
    distribution shift: it is silent unless the gap grew by half as much again, and where validation
    began far above a constant guess and never came below one.

    How bad it is follows from the lower end of the gap's 95 % interval, which holds the scatter of
    the evaluations and the size of the validation sample (forty rows cannot prove much); and from
    whether validation has surely turned: a rise from its minimum is moderate at least. A
    classifier that is right in validation rows as often as in training rows, within that
    sample's error, has lost nothing but calibration: mild at most.

    Evidence: ``gap``, ``training`` and ``validation`` at the end, in the unit of the curve;
    ``relative_gap`` in shares of a constant guess's loss, ``gap_low`` and ``gap_high`` its
    interval; ``metric_gap``, how much more of the training rows is classified rightly; ``rise`` of
    validation since its minimum, and ``noise``, one standard deviation, in the same shares;
    ``best_step`` of validation; ``rows`` of validation.

    It is silent without validation data, and with fewer than three evaluations. With three or four,
    the gap must have grown at each of them.

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
        Guo et al., "On calibration of modern neural networks", ICML 2017: validation loss rises
        while validation accuracy does not fall.
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
            return say(
                "{missing}; {hint}.",
                missing=say("overfitting: needs training and validation loss"),
                hint=say("log val_loss to have it judged"),
            )
        if count < _MIN_EVALUATIONS:
            return say(
                "overfitting: needs {least} evaluations, there were {count}.",
                least=_MIN_EVALUATIONS,
                count=count,
            )
        return None

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        rows = _validation_rows(trace)
        points = aligned(trace, Quantity.LOSS)
        scale = reference_loss(trace)
        if len(points) >= _MIN_EVALUATIONS and scale is not None:
            gap = _gap(points, scale, self.noises, rows)
            far = gap.training <= self.max_training * gap.validation
            if far and self._shows(gap, self.min_gap):
                yield self._finding(trace, gap, scale, say("loss"))
            return
        points = aligned(trace, Quantity.METRIC)
        if len(points) >= _MIN_EVALUATIONS and trace.facts.higher_is_better:
            gap = _gap([(s, 1 - t, 1 - v) for s, t, v in points], 1.0, self.noises, rows)
            if self._shows(gap, self.min_metric_gap):
                yield self._finding(trace, gap, -1.0, trace.facts.metric or say("metric"))

    def _shows(self, gap: _Gap, least: float) -> bool:
        margin = self.noises * gap.noise
        return (
            gap.now >= max(least, margin)
            and gap.grown >= max(least / 2, margin, (gap.now - gap.grown) / 2)
            and not (gap.still_improving or gap.shifted)
        )

    def _finding(self, trace: Trace, gap: _Gap, unit: float, what: str) -> Finding:
        by_loss = unit > 0
        training, validation = (
            x * unit if by_loss else 1 - x for x in (gap.training, gap.validation)
        )
        behind, surely = _behind(trace, gap.rows)
        risen = gap.rise > self.noises * gap.noise
        ends = {"curve": what, "training": f"{training:.3g}", "validation": f"{validation:.3g}"}
        return Finding(
            condition=self.condition,
            severity=_severity(gap, behind, surely, by_loss=by_loss),
            confidence=min(0.95, 0.5 + 0.2 * risen + 0.25 * min(1.0, gap.rows / 200)),
            layers=(),
            since=gap.since,
            evidence={
                "gap": abs(validation - training),
                "training": training,
                "validation": validation,
                "relative_gap": gap.now,
                "gap_low": gap.low,
                "gap_high": 2 * gap.now - gap.low,
                "rise": gap.rise,
                "noise": gap.noise,
                "best_step": float(gap.best_step),
                "rows": float(gap.rows),
                **({} if behind is None else {"metric_gap": behind}),
            },
            explanation=(
                say(
                    "The training {curve} ends at {training}, validation's at {validation}, which "
                    "was best at step {step}: the network has learned its training rows better "
                    "than the task.",
                    **ends,
                    step=gap.best_step,
                )
                if risen
                else say(
                    "The training {curve} ends at {training}, validation's at {validation}: the "
                    "network has learned its training rows better than the task.",
                    **ends,
                )
            ),
            phrase=say("validation falls behind training from step {step}", step=gap.since),
        )


def _gap(
    points: Sequence[tuple[int, float, float]], scale: float, noises: float, rows: int
) -> _Gap:
    """Measure the gap; curves are divided by ``scale`` and lower is better."""
    steps = [step for step, _, _ in points]
    raw = [value / scale for _, _, value in points]
    few = len(points) < _MANY_EVALUATIONS
    training = [value / scale for _, value, _ in points]
    validation = raw
    if not few:
        training, validation = smoothed(training), smoothed(raw)
    gaps = [v - t for t, v in zip(training, validation, strict=True)]
    late, early = max(1 if few else 2, len(points) // 5), max(1, len(points) // 10)
    now, start = median(gaps[-late:]), min(gaps[: 1 if few else max(2, early)])
    if few:
        shrank = any(b < a for a, b in pairwise(gaps))
        spread = math.inf if shrank else math.sqrt(2 * abs(raw[-1]) / rows) / noises
        improving = raw[-1] < 0.95 * raw[-2]
    else:
        spread = noise([v - t / scale for (_, t, _), v in zip(points, raw, strict=True)])
        end = validation[len(validation) // 2 :]
        improving = -slope(end) > max(noises * noise(raw), 0.1 * fmean(end))
    best = min(range(len(validation)), key=validation.__getitem__)
    half = start + (now - start) / 2
    return _Gap(
        now=now,
        grown=now - start,
        noise=spread,
        training=median(training[-late:]),
        validation=median(validation[-late:]),
        rise=median(validation[-late:]) - validation[best],
        best_step=steps[best],
        since=next((s for s, g in zip(steps, gaps, strict=True) if g >= half), steps[-1]),
        rows=rows,
        still_improving=improving,
        shifted=raw[0] >= _SHIFTED * max(1.0, points[0][1] / scale) and min(validation) >= 1,
    )


def _validation_rows(trace: Trace) -> int:
    """Rows of an evaluation: told by the facts, or by how many rows the loss was averaged over."""
    told = trace.facts.validation_rows
    counted = max(
        (
            row.count
            for row in trace
            if row.phase == "validation" and row.quantity in (Quantity.LOSS, Quantity.METRIC)
        ),
        default=0,
    )
    return told or (counted if counted > 1 else _UNKNOWN_ROWS)


def _behind(trace: Trace, rows: int) -> tuple[float | None, float]:
    """Return how much more of the training rows is classified rightly, and how much surely is.

    Both are measured at the end; the second is the lower end of the interval. None where no
    classification is scored.
    """
    points = aligned(trace, Quantity.METRIC)
    if not points or not trace.facts.classes or not trace.facts.higher_is_better:
        return None, 0.0
    late = points[-max(2, len(points) // 5) :]
    behind = median(t - v for _, t, v in late)
    share = min(1.0, max(0.0, median(v for _, _, v in late)))
    return behind, behind - _TWO_SIDED * math.sqrt(share * (1 - share) / rows)


def _severity(gap: _Gap, behind: float | None, surely: float, *, by_loss: bool) -> Severity:
    """Tell how bad a gap is by the loss or by what is classified rightly, whichever is worse.

    Where nothing is surely classified worse, a gap of the loss is a matter of calibration.
    """
    limits = (_MODERATE, _SEVERE) if by_loss else (_MODERATE_METRIC, _SEVERE_METRIC)
    rank = (gap.low >= limits[0]) + (gap.low >= limits[1])
    if by_loss and gap.training > _MEMORISED * gap.validation:
        rank = int(gap.turned and rank > 0) + int(gap.turned and rank > 1)
    rank = max(rank, int(gap.turned))
    if behind is not None:
        worse = (surely >= _MODERATE_METRIC) + (surely >= _SEVERE_METRIC)
        rank = 0 if surely <= 0 else max(rank, worse)
    severities: tuple[Severity, ...] = ("mild", "moderate", "severe")
    return severities[rank]
