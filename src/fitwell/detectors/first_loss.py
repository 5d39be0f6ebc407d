"""The first loss of a classifier, next to that of a guess."""

from __future__ import annotations

import math
from statistics import median

from fitwell.detectors.loss_kinds import loss_kind
from fitwell.records import Quantity, Trace

_LARGE_INPUTS = 5.0
"""Root mean square of the inputs beyond which they, and not the weights, make large outputs."""


_LINEAR = ("", "log_softmax")
"""What may end a network whose output layer decides alone how sure it is."""


def times_a_guess(trace: Trace) -> float | None:
    """Return the first training loss over that of equal probabilities, of a cross entropy.

    A sound output layer knows nothing and says so: log of the number of classes, up to 1.5 times
    that with weights of He's size. What begins far above is sure of wrong answers. None where the
    first loss is not known, the loss is no cross entropy of what a linear layer puts out, or large
    inputs explain it.
    """
    facts = trace.facts
    if facts.loss_expects == "probabilities" or facts.output_activation not in _LINEAR:
        return None
    guess = trace.facts.chance_loss
    first = [value for step, value in trace.series(Quantity.LOSS) if step == 0]
    sizes = [value for step, value in trace.series(Quantity.INPUT_NORM) if step == 0]
    if not guess or not first or loss_kind(trace.facts.loss) not in ("classes", "binary"):
        return None
    if sizes and median(sizes) > _LARGE_INPUTS and not trace.facts.input_normalized:
        return None
    factor = median(first) / guess
    return factor if math.isfinite(factor) else None
