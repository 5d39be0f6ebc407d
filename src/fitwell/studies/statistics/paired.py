"""The statistics of a study: paired differences, several arms at once, a verdict in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from fitwell.errors import BadInput, require
from fitwell.records import Effect, Outcome, Verdict

CONFIDENCE = 0.95
LEVEL = 1 - CONFIDENCE
"""Largest p that counts as evidence; the interval's counterpart."""


def paired_effect(
    untreated: Sequence[float], treated: Sequence[float], *, higher_is_better: bool
) -> Effect:
    """Return the improvement of one arm over another, paired run by run.

    Paired Student t: the runs of a pair share seed, split, data order and, where the arms share
    them, initial weights. Where all differences are the same number the t statistic is undefined:
    the interval is then that number, and p that of the exact sign-flip test, 2^(1 - pairs), or 1
    where the number is 0.

    Args:
        untreated: One score a seed.
        treated: The scores of the other arm, on the same seeds in the same order.
        higher_is_better: Which way the score points; the effect is positive where it got better.

    Returns:
        Mean improvement with its 95 % interval and two-sided p.

    Raises:
        BadInput: If the lengths differ, there are fewer than two pairs, or a score is not finite.

    References:
        Student, "The probable error of a mean", Biometrika 6, 1908.
    """
    if len(untreated) != len(treated):
        raise BadInput(
            "Paired scores must be as many in both arms, "
            f"got {len(untreated)} untreated and {len(treated)} treated."
        )
    if len(treated) < 2:
        raise BadInput(f"An interval needs at least 2 pairs of runs, got {len(treated)}.")
    if not all(map(math.isfinite, [*untreated, *treated])):
        raise BadInput("A score is not finite: a diverged run must be scored as chance.")
    sign = 1.0 if higher_is_better else -1.0
    differences = [sign * (b - a) for a, b in zip(untreated, treated, strict=True)]
    mean, pairs = fmean(differences), len(differences)
    deviation = stdev(differences)
    scale = max(map(abs, [*untreated, *treated]))
    if deviation <= 1e-12 * scale:
        same = abs(mean) <= 1e-12 * scale
        mean = 0.0 if same else mean
        return Effect(mean, mean, mean, 1.0 if same else 2.0 ** (1 - pairs), pairs)
    t, freedom = require("scipy.stats").t, pairs - 1
    error = deviation / math.sqrt(pairs)
    reach = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    p = float(2 * t.sf(abs(mean) / error, freedom))
    return Effect(mean, mean - reach, mean + reach, min(p, 1.0), pairs)


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Return p values adjusted for their number, in the order given.

    The chance of any false "helps" or "hurts" in a study stays under the level of one test.

    Raises:
        BadInput: If a p lies outside [0, 1].

    References:
        Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    if not all(0 <= p <= 1 for p in ps):
        raise BadInput(f"p values must lie in [0, 1], got {list(ps)}.")
    adjusted = [0.0] * len(ps)
    floor = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        floor = max(floor, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = floor
    return tuple(adjusted)


def verdict(arm: str, effect: Effect, loss_effect: Effect, adjusted_p: float) -> Verdict:
    """Return what a study says of an arm: the metric decides, the loss is told beside it."""
    outcome: Outcome = "no evidence"
    if adjusted_p <= LEVEL and effect.mean != 0:
        outcome = "helps" if effect.mean > 0 else "hurts"
    return Verdict(arm, outcome, effect, loss_effect, adjusted_p)
