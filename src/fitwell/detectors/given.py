"""What a loss was given: the network's outputs and the targets, over all steps that were seen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from fitwell.detectors.curves import LEARNED_BELOW
from fitwell.detectors.loss_kinds import LossKind, loss_kind
from fitwell.detectors.outcome import left_of
from fitwell.records import Quantity, Severity, Trace

SUMS_TO_ONE: Final = 1e-3
"""Largest distance of the sum of a row from 1 behind a softmax: float32 stays below 1e-6, bfloat16
is read in float32 and stays below 5e-3 a row of few units; rows of logits miss it at once."""

ROUNDING: Final = 1e-3
"""How far outside [0, 1] a value may lie and still count as a probability."""

WRONG_AXIS: Final = 0.05
"""Distance of the sum of a row from 1 beyond which a softmax ran over another axis."""


class Mismatch(NamedTuple):
    """What does not fit, and what to do about it."""

    severity: Severity
    explanation: str
    advice: str
    phrase: str
    evidence: dict[str, float]
    confidence: float = 0.95


@final
@dataclass(frozen=True)
class Given:
    """What a loss was given; a number that is unknown is NaN, so that no comparison holds.

    Args:
        kind: Kind of loss.
        name: Name of the loss, as the facts have it.
        expects: What it takes as output.
        activation: What ends the network.
        units: Units, or channels, of the output; 0 if unknown.
        low: Smallest output.
        high: Largest output.
        row_error: Largest distance from 1 of the sum of a row of outputs.
        target_low: Smallest target.
        target_high: Largest target.
        target_spread: Standard deviation of the targets.
        whole: Whether every extreme of the targets that was seen is a whole number.
        target_kind: As in the facts.
        output_shape: As in the facts.
        target_shape: As in the facts.
        metric: Name of the metric.
        left: What is left of the loss at the end, as a share of a constant guess's.
        error: What the exception said that ended the run.
    """

    kind: LossKind
    name: str
    expects: str
    activation: str
    units: int
    low: float
    high: float
    row_error: float
    target_low: float
    target_high: float
    target_spread: float
    whole: bool
    target_kind: str
    output_shape: tuple[int, ...]
    target_shape: tuple[int, ...]
    metric: str
    left: float
    error: str

    @property
    def learned(self) -> bool:
        """Whether the loss has fallen well below that of a constant guess."""
        return self.left < LEARNED_BELOW

    @property
    def kept_in(self) -> bool:
        """Whether no output was seen outside [0, 1]; True too where none was measured."""
        return not (self.low < -ROUNDING or self.high > 1 + ROUNDING)

    @property
    def sums_to_one(self) -> bool:
        """Whether every row of outputs was seen to be a distribution."""
        return self.row_error < SUMS_TO_ONE and self.low >= 0

    def measured(self, *names: str) -> dict[str, float]:
        """Return those of the named numbers that are known."""
        found = {name: float(getattr(self, name)) for name in names}
        return {name: value for name, value in found.items() if not math.isnan(value)}


def given(trace: Trace) -> Given:
    """Gather what the loss was given in training."""
    facts = trace.facts
    lows, highs = (_values(trace, q) for q in (Quantity.TARGET_MIN, Quantity.TARGET_MAX))
    left = left_of(trace)
    return Given(
        kind=loss_kind(facts.loss),
        name=facts.loss,
        expects=facts.loss_expects,
        activation=facts.output_activation if _is_output_of_network(trace) else "",
        units=_units(facts.output_shape, facts.loss),
        low=_least(_values(trace, Quantity.OUTPUT_MIN)),
        high=_most(_values(trace, Quantity.OUTPUT_MAX)),
        row_error=_most(_values(trace, Quantity.ROW_SUM_ERROR)),
        target_low=_least(lows),
        target_high=_most(highs),
        target_spread=_most(_values(trace, Quantity.TARGET_SPREAD)),
        whole=bool(lows) and all(value.is_integer() for value in (*lows, *highs)),
        target_kind=facts.target_kind,
        output_shape=facts.output_shape,
        target_shape=facts.target_shape,
        metric=facts.metric,
        left=math.nan if left is None else left,
        error=facts.error,
    )


def _is_output_of_network(trace: Trace) -> bool:
    """Whether the loss can have been given what the network put out.

    The generator of a GAN ends with an activation of its own, and the loss is given what another
    network says of it. A transposed convolution's units are not the first axis of its weights, so
    that it is believed; so is what is not known.
    """
    heads = [layer for layer in trace.facts.layers if layer.role == "output" and layer.units]
    shape = trace.facts.output_shape
    if not shape or not heads or any("ranspose" in layer.kind for layer in heads):
        return True
    values = math.prod(shape[1:])
    return any(layer.units in shape[1:] or values % layer.units == 0 for layer in heads)


def _values(trace: Trace, quantity: Quantity) -> list[float]:
    return [v for _, v in trace.series(quantity) if math.isfinite(v)]


def _least(values: Iterable[float]) -> float:
    return min(values, default=math.nan)


def _most(values: Iterable[float]) -> float:
    return max(values, default=math.nan)


def _units(shape: tuple[int, ...], loss: str) -> int:
    """Classes stand on axis 1 in torch, (batch, classes, *space), and on the last one in Keras."""
    if not shape:
        return 0
    if len(shape) == 1:
        return 1
    torch_classes = loss_kind(loss) == "classes" and "categorical" not in loss
    return shape[1] if torch_classes else shape[-1]
