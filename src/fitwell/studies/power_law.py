"""The power law of a learning curve: error(rows) = floor + scale × rows^(-exponent).

Three or four sizes with a few runs each nearly fill three parameters. So the exponent is drawn
towards what is usual, floor and scale cannot be negative, and the interval comes from fits to
scores that were drawn anew, each drawn towards another exponent: what the runs leave open stays
wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from fitwell.errors import BadInput

Floats: TypeAlias = NDArray[np.float64]

USUAL_EXPONENT = 0.5
"""Where the exponent is drawn to: the rate of a parametric estimate. Measured ones go from 0.07 for
large networks (Hestness et al.) to 1 and more for small models (Viering & Loog)."""
SPREAD = 0.6
"""Standard deviation of the exponent's logarithm around it: 95 % lie between 0.15 and 1.6."""
EXPONENTS: Floats = np.geomspace(0.05, 3.0, 240)
"""The exponents that a fit chooses from, 2 % apart."""
DRAWS = 1000
"""Fits to redrawn scores that an interval is made of."""
POOLED = 3.0
"""Weight, in runs, that the deviation at all sizes has in the deviation at one."""
LEAST_DEVIATION = 0.01
"""Smallest deviation between runs that is believed, as a share of the error."""
INTERVAL = (0.025, 0.975)


@final
@dataclass(frozen=True, eq=False)
class Law:
    """Power laws, one an entry; rows are counted in units of the most rows measured.

    Args:
        floor: Error that no number of rows goes below.
        scale: Error above the floor at one unit of rows.
        exponent: How fast that part falls: a doubling leaves 2^(-exponent) of it.
    """

    floor: Floats
    scale: Floats
    exponent: Floats

    def at(self, times: float) -> Floats:
        """Return the error at a multiple of the most rows measured."""
        return np.asarray(self.floor + self.scale * times**-self.exponent)

    def times_for(self, error: Floats) -> Floats:
        """Return the multiple of the rows that gives an error; infinite below the floor."""
        above = error - self.floor
        reached = (above > 0) & (self.scale > 0)
        ratio = np.where(reached, self.scale, 1.0) / np.where(reached, above, 1.0)
        return np.where(reached, ratio ** (1 / self.exponent), np.inf)


@final
@dataclass(frozen=True, eq=False)
class Interval:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@final
@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted power law, and the fits to redrawn scores.

    Args:
        best: The fit to the mean scores; one entry.
        drawn: The fits to redrawn scores.
        noise: How far a new mean over as many runs lies off the curve, once for each draw.
        floor: Smallest error that there can be.
    """

    best: Law
    drawn: Law
    noise: Floats
    floor: float

    def at(self, times: float) -> Interval:
        """Predict the mean error of as many runs at a multiple of the most rows measured."""
        value = self.best.at(times).item()
        low, high = np.quantile(self.drawn.at(times) + self.noise, INTERVAL)
        return Interval(
            value, max(self.floor, min(float(low), value)), max(float(high), value, self.floor)
        )

    def worth(self, gain: float, error: float, pairs: int) -> Interval:
        """Return how many times the rows would lower the error by as much as something else did.

        Args:
            gain: The fall of the error that was measured; above 0.
            error: Its standard error.
            pairs: Pairs of runs that it was measured on; at least 2.
        """
        random = np.random.default_rng(1)
        gains = gain + error * random.standard_t(pairs - 1, len(self.drawn.floor))
        times = self.drawn.times_for(self.drawn.at(1.0) - gains)
        value = self.best.times_for(self.best.at(1.0) - gain).item()
        low, high = np.quantile(np.maximum(times, 1.0), INTERVAL, method="nearest")
        return Interval(value, min(float(low), value), max(float(high), value))


def fit_power_law(
    rows: Sequence[int], errors: Sequence[Sequence[float]], *, bounded: bool, step: float = 0.0
) -> Fit:
    """Fit a power law to the errors of several runs at each of several sizes.

    Weighted least squares with floor and scale not below 0; the exponent's logarithm has a normal
    prior. Given the exponent, the fit is linear, so the best one is found among
    :data:`EXPONENTS` for all draws at once.

    Args:
        rows: The sizes, ascending; at least two.
        errors: For each size, the error of each run; at least two.
        bounded: Whether an error below 0 cannot be.
        step: Smallest difference that two errors can have, as 1 / rows for a share of rows.

    Raises:
        BadInput: If sizes or runs are too few, or an error is not finite.

    References:
        Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017,
        arXiv:1712.00409. Viering & Loog, "The Shape of Learning Curves: a Review", 2021,
        arXiv:2103.10948. Bardsley et al., "Randomize-Then-Optimize", 2014 (the intervals).
    """
    scores = np.asarray(errors, dtype=np.float64)
    if scores.ndim != 2 or min(scores.shape) < 2 or len(rows) != len(scores):
        raise BadInput("A power law needs the errors of at least 2 runs at each of 2 sizes.")
    if not np.isfinite(scores).all():
        raise BadInput("An error is not finite: a diverged run must be scored as chance.")
    sizes = np.asarray(rows, dtype=np.float64) / max(rows)
    means, runs = scores.mean(1), scores.shape[1]
    spread = deviations(scores, bounded=bounded, step=step) / math.sqrt(runs)
    random = np.random.default_rng(0)
    freedom = len(rows) * (runs - 1)
    usual = math.log(USUAL_EXPONENT)
    redrawn = means + spread * random.standard_t(freedom, (DRAWS, len(rows)))
    drawn_to = usual + SPREAD * random.standard_normal(DRAWS)
    return Fit(
        best=_solve(sizes, means[None], spread, np.array([usual]), bounded=bounded),
        drawn=_solve(sizes, redrawn, spread, drawn_to, bounded=bounded),
        noise=spread[-1] * random.standard_t(freedom, DRAWS),
        floor=0.0 if bounded else -math.inf,
    )


def deviations(scores: Floats, *, bounded: bool, step: float) -> Floats:
    """Return the standard deviation of one run at each size, each drawn towards what all share.

    Three runs tell little of a deviation. That of an error that cannot be below 0 is taken to grow
    with it; any other to be the same at all sizes.

    Args:
        scores: Errors (sizes, runs).
        bounded: Whether an error below 0 cannot be.
        step: Smallest difference that two errors can have.
    """
    own = scores.var(axis=1, ddof=1)
    size = np.maximum(np.abs(scores.mean(1)), 1e-12) if bounded else np.ones(len(scores))
    shared = np.maximum((own / size**2).mean(), LEAST_DEVIATION**2 if bounded else 0.0) * size**2
    free = scores.shape[1] - 1
    mixed = (POOLED * shared + free * own) / (POOLED + free)
    least = max(step**2 / 12, (1e-9 * np.abs(scores).max()) ** 2, 1e-24)
    return np.asarray(np.sqrt(np.maximum(mixed, least)))


def _solve(sizes: Floats, means: Floats, spread: Floats, drawn_to: Floats, *, bounded: bool) -> Law:
    """Return the best law for each row of ``means`` (draws, sizes)."""
    weights = spread**-2.0
    powers = sizes ** -EXPONENTS[:, None]  # (exponents, sizes)
    total, first, second = weights.sum(), powers @ weights, powers**2 @ weights
    level, slope = (means @ weights)[:, None], (means * weights) @ powers.T
    scale = (total * slope - level * first) / (total * second - first**2)  # (draws, exponents)
    floor = (level - scale * first) / total
    flat = scale < 0
    scale, floor = np.where(flat, 0.0, scale), np.where(flat, level / total, floor)
    if bounded:
        below = floor < 0
        scale = np.where(below, np.maximum(slope / second, 0.0), scale)
        floor = np.where(below, 0.0, floor)
    fitted = floor[..., None] + scale[..., None] * powers  # (draws, exponents, sizes)
    misfit = ((means[:, None] - fitted) ** 2) @ weights
    misfit += ((np.log(EXPONENTS) - drawn_to[:, None]) / SPREAD) ** 2
    best = misfit.argmin(1)
    draw = np.arange(len(means))
    return Law(floor[draw, best], scale[draw, best], EXPONENTS[best])
