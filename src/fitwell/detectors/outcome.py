"""How a run came out: whether it learned, and whether validation fares worse than training.

What is set up wrongly often does no harm: raw inputs are learned from, given time. So findings on
the setup look here before they call a run sick.
"""

from __future__ import annotations

from statistics import median

from fitwell.detectors.curves import LEARNED_BELOW, curve, reference_loss
from fitwell.records import Trace

_TRIED = 10
"""With fewer recorded losses nothing is known of how a run came out."""

_FAR = 0.15
"""Share of a constant guess's loss by which validation must lie behind to count: sound networks
end below 0.1 (:class:`fitwell.detectors.Overfitting`)."""


def left_of(trace: Trace, phase: str = "train") -> float | None:
    """Return what is left of the loss at the end, as a share of a constant guess's.

    Where that is unknown, the first loss takes its place. None where fewer than ten training losses
    are known, or none of the phase.
    """
    if len(curve(trace)) < _TRIED:
        return None
    reference = reference_loss(trace)
    values = [value for _, value in curve(trace, phase)]
    if not values or reference is None:
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
