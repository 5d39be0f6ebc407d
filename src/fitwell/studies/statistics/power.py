"""How large an effect must be for a study of that many pairs to see it."""

from __future__ import annotations

import math

import numpy as np

from fitwell.errors import BadInput, ThresholdError, require
from fitwell.studies.statistics.paired import LEVEL

POWER = 0.8
"""Chance with which an effect of the size told is found."""
QUANTILES = (np.arange(4000) + 0.5) / 4000


def minimum_detectable_effect(
    deviation: float, pairs: int, *, level: float = LEVEL, power: float = POWER
) -> float:
    """Return the smallest effect that a paired t test finds with the given chance.

    "No evidence" says little where this is large: an effect below it could hardly have been seen
    with so few pairs that scatter so much.

    Args:
        deviation: Standard deviation of the differences; at least 0.
        pairs: Number of pairs; at least 2.
        level: Two-sided level of the test, in (0, 1): divided by the number of arms, where there
            are several.
        power: Chance of finding it, in (0, 1).

    Raises:
        BadInput: If there are fewer than two pairs, or the deviation is negative or not finite.
        ThresholdError: If ``level`` or ``power`` is out of range.

    References:
        Bloom, "Minimum Detectable Effects", Evaluation Review 19, 1995.
    """
    if pairs < 2 or not 0 <= deviation < math.inf:
        raise BadInput(
            "An effect to be seen needs at least 2 pairs and a deviation of at least 0, "
            f"got {pairs} and {deviation}."
        )
    for name, value in (("level", level), ("power", power)):
        if not 0 < value < 1:
            raise ThresholdError(f"{name} must lie in (0, 1), got {value!r}.")
    special, freedom = require("scipy.special"), pairs - 1
    critical = float(special.stdtrit(freedom, 1 - level / 2))
    # what the deviation of a sample is, in true deviations: the power is a mean over it
    limits = critical * np.sqrt(special.chdtri(freedom, QUANTILES) / freedom)

    def excess(shift: float) -> float:
        found = special.ndtr(shift - limits) + special.ndtr(-limits - shift)
        return float(found.mean()) - power

    if excess(0.0) >= 0:
        return 0.0
    shift = require("scipy.optimize").brentq(excess, 0.0, float(limits.max()) + 10)
    return float(shift) * deviation / math.sqrt(pairs)
