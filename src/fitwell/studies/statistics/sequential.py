"""Intervals that may be looked at after every pair of runs: for dropping arms in a race."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar, final

from fitwell.errors import BadInput, ThresholdError, in_range

EXPECTED = 10.0
"""Variance of the effects that the sequence is sharpest for, in squared deviations of a difference:
what a race is after stands out by about three of them, and is seen from the third pair on."""

Arm = TypeVar("Arm", bound=Hashable)


@final
@dataclass(frozen=True)
class ConfidenceSequence:
    """An interval for a mean difference that holds at all numbers of pairs at once.

    The chance that it ever leaves out the true mean, at whatever number of pairs, is at most
    ``level``: it may be looked at after every pair, and a race may drop an arm as soon as it says
    so. An interval made for a fixed number of pairs, looked at again and again, errs several times
    as often. The price is width: 2.1 times that of Student's at 4 pairs, 1.9 times at 8; below 3
    pairs it is the whole line (at a level of 0.05).

    Student's t statistic is mixed over effects that are normal around 0 with :data:`EXPECTED` as
    their variance; the deviation need not be known. It is exact for normal differences and
    conservative for symmetric ones with heavy tails. Differences that are strongly skewed around
    an equal mean break it, as they break every interval from so few pairs: see
    ``docs/statistics.md``.

    Args:
        level: Largest chance of ever being wrong, in (0, 1).
        step: Smallest difference that the score can show, as 1 / rows for an accuracy; 0 for a
            score without steps. Few rows make equal differences by chance, which would pass for
            certainty: the variance of rounding to a step is added to the one that was seen.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Lai, "On confidence sequences", Annals of Statistics 4, 1976. Wang & Ramdas, "Anytime-valid
        t-tests and confidence sequences for Gaussian means with unknown variance", 2024,
        arXiv:2310.03722. Howard et al., "Time-uniform, nonparametric, nonasymptotic confidence
        sequences", 2021, arXiv:1810.08240.
    """

    level: float = 0.05
    step: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ThresholdError(f"level must lie in (0, 1), got {self.level!r}.")
        in_range("step", self.step, 0.0, 1e300)

    def interval(self, differences: Sequence[float]) -> tuple[float, float]:
        """Return low and high after these differences, one a pair.

        Raises:
            BadInput: If a difference is not finite.
        """
        if not all(map(math.isfinite, differences)):
            raise BadInput("A difference is not finite: a diverged run must be scored as chance.")
        pairs = len(differences)
        limit = _limit(pairs, self.level)
        if math.isinf(limit):
            return -math.inf, math.inf
        mean = fmean(differences)
        variance = math.fsum((value - mean) ** 2 for value in differences) / (pairs - 1)
        error = variance + self.step**2 / 12
        reach = math.sqrt(limit * error / pairs)
        return mean - reach, mean + reach


def beaten(
    scores: Mapping[Arm, Sequence[float]],
    *,
    higher_is_better: bool,
    level: float = 0.05,
    step: float = 0.0,
) -> tuple[Arm, ...]:
    """Return the arms that another arm has beaten beyond doubt: a race may drop them.

    Every arm is set against every other by a confidence sequence over the seeds that both have run
    on. One end of it decides, which errs half as often as both: so it has twice ``level``, divided
    by the number of arms that the best could lose to. The chance that the truly best arm is ever
    returned, however often this is asked, is then at most ``level``. For
    that, give all arms that the race began with, those dropped since too; where arms join later,
    divide ``level`` by the number of groups that join.

    Args:
        scores: The scores of every arm, on the same seeds in the same order; an arm that was
            dropped has fewer.
        higher_is_better: Which way the scores point.
        level: Largest chance of ever returning the best arm, in (0, 1).
        step: Smallest difference that a score can show; see :class:`ConfidenceSequence`.

    Raises:
        BadInput: If a score is not finite.
        ThresholdError: If ``level`` or ``step`` is out of range.
    """
    ConfidenceSequence(level)  # a level out of range is named as it was given
    sequence = ConfidenceSequence(min(0.99, 2 * level / max(1, len(scores) - 1)), step)
    sign = 1.0 if higher_is_better else -1.0

    def loses(one: Arm, other: Arm) -> bool:
        pairs = zip(scores[one], scores[other], strict=False)
        return sequence.interval([sign * (a - b) for a, b in pairs])[1] < 0

    return tuple(
        arm for arm in scores if any(loses(arm, other) for other in scores if other != arm)
    )


def _limit(pairs: int, level: float) -> float:
    """Return the largest squared t whose mixed likelihood ratio stays under 1 / level."""
    if pairs < 2:
        return math.inf
    spread = 1 + pairs * EXPECTED
    log_growth = (2 / pairs) * (0.5 * math.log(spread) - math.log(level))
    if log_growth >= math.log(spread):
        return math.inf
    growth = math.exp(log_growth)
    return (pairs - 1) * (growth - 1) / (1 - growth / spread)
