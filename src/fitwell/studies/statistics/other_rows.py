"""Would it hold on other test rows? Seeds and rows are drawn anew, both at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fitwell.errors import BadInput, require
from fitwell.records import Effect
from fitwell.studies.statistics.paired import CONFIDENCE

RESAMPLES = 2000
TOGETHER = 200
"""Resamples that are computed at once: memory is that times the number of rows."""


def other_rows_effect(
    untreated: Sequence[Sequence[float]],
    treated: Sequence[Sequence[float]],
    *,
    higher_is_better: bool,
    seed: int = 0,
) -> Effect:
    """Return the improvement with an interval that holds for other test rows too.

    The paired t interval is about other seeds on these very test rows. Where they are few, other
    rows of the same kind might say something else. Here both are drawn anew: a bootstrap over
    seeds × rows, every row with all its runs and every run with all its rows. Drawing both counts
    the scatter of single rows in single runs three times, and few seeds look too much alike; so
    the interval is scaled to the unbiased variance of the two-way layout, with Student's quantile
    at Satterthwaite's degrees of freedom.

    Where hits and misses are the same in both arms, row by row, up to 1 - 0.025^(1 / rows) of the
    rows that were not there may still differ, and the interval reaches that far.

    Args:
        untreated: One sequence a seed, with the score of every test row.
        treated: The same of the other arm: same seeds, same rows, same order.
        higher_is_better: Which way a score points; the effect is positive where it got better.
        seed: Seed of the draws.

    Returns:
        Mean improvement with its 95 % interval and the p that belongs to it; ``pairs`` counts the
        seeds.

    Raises:
        BadInput: If the two arms are not alike in seeds and rows, there are fewer than two of
            either, or a score is not finite.

    References:
        Owen, "The pigeonhole bootstrap", 2007, arXiv:0712.1111. Hesterberg, "What Teachers Should
        Know about the Bootstrap", 2014, arXiv:1411.5279 (why few look too much alike).
    """
    gains = _gains(untreated, treated, 1.0 if higher_is_better else -1.0)
    pairs, mean = len(gains), float(gains.mean())
    variance, freedom = _variance(gains)
    if variance <= (1e-12 * float(np.abs(gains).max())) ** 2:
        unseen = 1 - ((1 - CONFIDENCE) / 2) ** (1 / gains.shape[1]) if _hits(treated) else 0.0
        p = 1.0 if mean == 0 else 2.0 ** (1 - pairs)
        return Effect(mean, mean - unseen, mean + unseen, p, pairs)
    shifts = np.sort(np.abs(_resampled(gains, np.random.default_rng(seed)) - mean))
    special, tail = require("scipy.special"), (1 + CONFIDENCE) / 2
    scale = math.sqrt(variance) / math.sqrt(float((shifts**2).mean()))
    widening = float(special.stdtrit(freedom, tail) / special.ndtri(tail))
    reach = float(np.quantile(shifts, CONFIDENCE)) * scale * widening
    p = (1 + float((shifts * scale * widening >= abs(mean)).sum())) / (1 + len(shifts))
    return Effect(mean, mean - reach, mean + reach, p, pairs)


def _gains(
    untreated: Sequence[Sequence[float]], treated: Sequence[Sequence[float]], sign: float
) -> NDArray[np.float64]:
    """Return the improvement of every row in every pair: (seeds, rows)."""
    lengths = {len(rows) for rows in (*untreated, *treated)}
    if len(untreated) != len(treated) or len(treated) < 2 or len(lengths) != 1 or min(lengths) < 2:
        raise BadInput(
            "Scores of rows must be of the same rows in every run, at least 2 rows and 2 pairs, "
            f"got {len(untreated)} and {len(treated)} runs of {sorted(lengths)} rows."
        )
    before, after = np.asarray(untreated, dtype=np.float64), np.asarray(treated, dtype=np.float64)
    gains: NDArray[np.float64] = sign * (after - before)
    if not np.isfinite(gains).all():
        raise BadInput("The score of a row is not finite: leave out a run that diverged.")
    return gains


def _hits(scores: Sequence[Sequence[float]]) -> bool:
    return bool(np.isin(np.asarray(scores), (0, 1)).all())


def _variance(gains: NDArray[np.float64]) -> tuple[float, float]:
    """Return the variance of the mean over other seeds and rows, and its degrees of freedom."""
    seeds, rows = gains.shape
    by_seed, by_row = gains.mean(1), gains.mean(0)
    rest = gains - by_seed[:, None] - by_row[None, :] + gains.mean()
    of_seeds, of_rows = float(by_seed.var(ddof=1)) / seeds, float(by_row.var(ddof=1)) / rows
    of_rest = float((rest**2).sum()) / ((seeds - 1) * (rows - 1)) / (seeds * rows)
    total = max(of_seeds + of_rows - of_rest, of_seeds, of_rows)
    parts = of_seeds**2 / (seeds - 1) + of_rows**2 / (rows - 1)
    return total, max(1.0, total**2 / parts) if parts else 1.0


def _resampled(gains: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Return the means of resamples in which seeds and rows are drawn with replacement."""
    seeds, rows = gains.shape
    means = []
    for _ in range(RESAMPLES // TOGETHER):
        drawn = random.multinomial(seeds, [1 / seeds] * seeds, size=TOGETHER) / seeds
        weights = random.multinomial(rows, [1 / rows] * rows, size=TOGETHER) / rows
        means.append(((drawn @ gains) * weights).sum(1))
    return np.concatenate(means)
