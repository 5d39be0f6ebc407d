"""Paired differences: Student's interval, the sign-flip test beside it, repeated splits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from fitwell.errors import BadInput, in_range, require
from fitwell.records import Effect

CONFIDENCE = 0.95
LEVEL = 1 - CONFIDENCE
"""Largest p that counts as evidence; the interval's counterpart."""
EXACT_PAIRS = 16
"""Most pairs of which all sign flips are counted; of more, :data:`DRAWN` are drawn."""
DRAWN = 19_999
NEGLIGIBLE = 1e-12
"""Differences that are equal up to this share of the scores are rounding."""


def paired_effect(
    untreated: Sequence[float],
    treated: Sequence[float],
    *,
    higher_is_better: bool,
    step: float = 0.0,
) -> Effect:
    """Return the improvement of one arm over another, paired run by run.

    Paired Student t: the runs of a pair share seed, split, data order and, where the arms share
    them, initial weights.

    Where all differences are the same number the t statistic is undefined: p is then that of the
    exact sign-flip test, 2^(1 - pairs), or 1 where the number is 0, and the interval is that
    number. A score with steps, an accuracy on few rows, shows equal differences by chance: then
    some share of the runs that were not made would still fall a step to either side, up to 1 -
    0.025^(1 / pairs) of them, and the interval is never narrower than that share of a step.

    Args:
        untreated: One score a seed.
        treated: The scores of the other arm, on the same seeds in the same order.
        higher_is_better: Which way the score points; the effect is positive where it got better.
        step: Smallest difference that the score can show, as 1 / rows for an accuracy; 0 for a
            score without steps.

    Returns:
        Mean improvement with its 95 % interval and two-sided p.

    Raises:
        BadInput: If the lengths differ, there are fewer than two pairs, or a score is not finite.
        ThresholdError: If ``step`` is negative.

    References:
        Student, "The probable error of a mean", Biometrika 6, 1908.
    """
    in_range("step", step, 0.0, 1e300)
    differences, rounding = _differences(untreated, treated, higher_is_better=higher_is_better)
    effect = _student(differences, 1 / len(differences), rounding)
    unseen = 1 - ((1 - CONFIDENCE) / 2) ** (1 / len(differences))
    return _at_least(effect, unseen * step)


def sign_flip_p(differences: Sequence[float], *, seed: int = 0) -> float:
    """Return the two-sided p of a mean difference from flipping the signs of the differences.

    It asks one thing only: that without an effect each difference could as well have had the other
    sign. That holds wherever two arms are the same in all but name, however their scores are
    distributed. All flips are counted up to 16 pairs, and 19,999 are drawn beyond. From 5 pairs p
    cannot fall below 0.0625; ask from 8 on.

    Args:
        differences: One a pair; at least one.
        seed: Seed of the draws.

    Raises:
        BadInput: If there is none, or one is not finite.

    References:
        Fisher, "The Design of Experiments", 1935, section 21. Phipson & Smyth, "Permutation
        p-values should never be zero", 2010, arXiv:1603.05766.
    """
    values = np.asarray(differences, dtype=float)
    if not len(values) or not np.isfinite(values).all():
        raise BadInput("Signs can be flipped of at least one difference, all of them finite.")
    pairs = len(values)
    seen = abs(float(values.sum())) * (1 - NEGLIGIBLE)
    if pairs <= EXACT_PAIRS:
        # the last sign stays: flipping all of them gives the same size
        flips = 1 - 2 * ((np.arange(2 ** (pairs - 1))[:, None] >> np.arange(pairs)) & 1)
        return float((np.abs(flips @ values) >= seen).mean())
    flips = np.random.default_rng(seed).choice((-1, 1), size=(DRAWN, pairs))
    return float((1 + (np.abs(flips @ values) >= seen).sum()) / (1 + DRAWN))


def repeated_splits_effect(
    untreated: Sequence[float],
    treated: Sequence[float],
    *,
    train_rows: int,
    test_rows: int,
    higher_is_better: bool,
) -> Effect:
    """Return the improvement of one arm over another, over repeated splits of the same rows.

    The splits share most of their rows, so that their scores are alike and the plain t interval
    far too narrow. The corrected resampled t adds test_rows / train_rows to 1 / splits in the
    variance of the mean. What it answers: would it hold on another sample of rows like these?

    Where all differences are the same number, p is 2^(1 - n), n being the number of independent
    splits that the corrected variance stands for, or 1 where the number is 0.

    Args:
        untreated: One score a split; the mean over its seeds, where there are several.
        treated: The scores of the other arm, on the same splits in the same order.
        train_rows: Rows of a split that are trained on, validation rows among them.
        test_rows: Rows of a split that are scored on.
        higher_is_better: Which way the score points; the effect is positive where it got better.

    Returns:
        Mean improvement with its 95 % interval and two-sided p; ``pairs`` counts the splits.

    Raises:
        BadInput: If the lengths differ, there are fewer than two splits, a score is not finite, or
            a number of rows is below 1.

    References:
        Nadeau & Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
    """
    if train_rows < 1 or test_rows < 1:
        raise BadInput(f"A split needs rows on both sides, got {train_rows} and {test_rows}.")
    differences, rounding = _differences(untreated, treated, higher_is_better=higher_is_better)
    return _student(differences, 1 / len(differences) + test_rows / train_rows, rounding)


def _differences(
    untreated: Sequence[float], treated: Sequence[float], *, higher_is_better: bool
) -> tuple[list[float], float]:
    """Return the improvements, one a pair, and the size up to which they are rounding."""
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
    rounding = NEGLIGIBLE * max(map(abs, [*untreated, *treated]))
    return [sign * (b - a) for a, b in zip(untreated, treated, strict=True)], rounding


def _student(differences: Sequence[float], factor: float, rounding: float) -> Effect:
    """Return the mean of differences, ``factor`` times whose variance is that of their mean."""
    mean, pairs = fmean(differences), len(differences)
    squares = math.fsum((difference - mean) ** 2 for difference in differences)
    deviation = math.sqrt(squares / (pairs - 1))
    if deviation <= rounding:
        same = abs(mean) <= rounding
        mean = 0.0 if same else mean
        return Effect(mean, mean, mean, 1.0 if same else min(1.0, 2.0 ** (1 - 1 / factor)), pairs)
    special, freedom = require("scipy.special"), pairs - 1
    error = deviation * math.sqrt(factor)
    reach = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    p = float(2 * special.stdtr(freedom, -abs(mean) / error))
    return Effect(mean, mean - reach, mean + reach, min(p, 1.0), pairs)


def _at_least(effect: Effect, reach: float) -> Effect:
    """Return the effect with an interval that reaches that far; to zero, where p allows zero."""
    if reach == 0 or effect.high - effect.mean >= reach:
        return effect
    if effect.low == effect.high and effect.p > LEVEL:
        reach = max(reach, abs(effect.mean))
    return Effect(effect.mean, effect.mean - reach, effect.mean + reach, effect.p, effect.pairs)
