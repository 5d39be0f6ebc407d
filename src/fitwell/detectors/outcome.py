"""How a run came out: whether it learned, and whether validation fares worse than training.

What is set up wrongly often does no harm: raw inputs are learned from, given time. So findings on
the setup look here before they call a run sick.
"""

from __future__ import annotations

import math
from statistics import median

from fitwell.detectors.curves import LEARNED_BELOW, curve, reference_loss
from fitwell.detectors.loss_kinds import loss_kind
from fitwell.records import Quantity, Trace

_TRIED = 10
"""With fewer recorded losses nothing is known of how a run came out."""

_FAR = 0.15
"""Share of a constant guess's loss by which validation must lie behind to count: sound networks
end below 0.1 (:class:`fitwell.detectors.Overfitting`)."""


def constant_loss(trace: Trace) -> float | None:
    """Return the loss of a constant guess, from the facts or from the targets that were seen.

    The best constant costs the variance of the targets in squared error, and about 0.8 of their
    standard deviation in absolute error. None where neither is known.
    """
    known = trace.facts.chance_loss
    if known is not None and known > 0:
        return known
    spreads = [v for _, v in trace.series(Quantity.TARGET_SPREAD) if math.isfinite(v) and v > 0]
    if not spreads:
        return None
    kind = loss_kind(trace.facts.loss)
    if kind == "squared":
        return median(spreads) ** 2
    return 0.8 * median(spreads) if kind == "absolute" else None


def left_of(trace: Trace, phase: str = "train") -> float | None:
    """Return what is left of the loss at the end, as a share of a constant guess's.

    Where that is unknown, the first loss takes its place. None where fewer than ten training losses
    are known, or none of the phase.
    """
    if len(curve(trace)) < _TRIED:
        return None
    reference = constant_loss(trace) or reference_loss(trace)
    values = [value for _, value in curve(trace, phase)]
    if not values or reference is None or reference <= 0:
        return None
    least = 5 if phase == "train" else 2
    return median(values[-max(least, len(values) // 10) :]) / reference


def is_tried(trace: Trace) -> bool:
    """Whether enough of a run was seen to say how it came out."""
    return left_of(trace) is not None


def learned(trace: Trace) -> bool:
    """Whether the training loss fell well below that of a constant guess."""
    left = left_of(trace)
    return left is not None and left < LEARNED_BELOW


def falls_behind(trace: Trace) -> bool:
    """Whether the validation loss ends far above training's: not the noise of a sound run."""
    training, validation = left_of(trace), left_of(trace, "validation")
    if training is None or validation is None:
        return False
    return validation > max(2 * training, training + _FAR)


def went_well(trace: Trace) -> bool:
    """Whether a run learned, and validation kept up as far as it was looked at."""
    return learned(trace) and not falls_behind(trace)
