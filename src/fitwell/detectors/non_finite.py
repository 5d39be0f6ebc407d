"""NaN and infinity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Row, Trace
from fitwell.words import Said, say

_NAMED = {"inputs": say("the inputs"), "targets": say("the targets")}

_DATA = {
    Quantity.INPUT_NORM: "inputs",
    Quantity.INPUT_MEAN: "inputs",
    Quantity.INPUT_MAX: "inputs",
    Quantity.TARGET_MEAN: "targets",
    Quantity.TARGET_SPREAD: "targets",
    Quantity.TARGET_MIN: "targets",
    Quantity.TARGET_MAX: "targets",
}
"""What is measured of the data, which no weight has touched."""

_WEIGHTS = (Quantity.WEIGHT_NORM, Quantity.UPDATE_NORM)
_FORWARD = (Quantity.OUTPUT_RMS, Quantity.SIGNAL_RMS)
_BACKWARD = (Quantity.GRADIENT_NORM,)

_RECOVERED = 5
"""So many finite recorded losses at the end of a run, after a broken one, mean that it was an
episode: the program skipped the step, or the batch."""


@final
@dataclass(frozen=True, slots=True)
class NonFinite(Detector):
    """Report the first step at which a NaN or an infinity showed, and in which layer it arose.

    Definition: a training loss, or a norm of inputs, targets, outputs, gradients, weights or
    updates, that is no finite number. One NaN in a tensor makes its norm NaN, so no element needs
    to be looked at.

    A NaN spreads to everything that is computed from it, so the layers named are those where it
    arose, by the order of computing in the first step concerned: data before weights, weights
    before outputs, the first layer whose output is broken, and of gradients the layer nearest to
    the loss. Where every gradient is broken and no output is, it arose in the loss, and no layer
    is named.

    Evidence: ``first_step``, ``steps``, the number of recorded steps concerned, and ``inputs`` or
    ``targets`` (1) where the data themselves were broken, which is advised on.

    There is no limit to choose. A norm can be infinite though every element is finite, if its
    square overflows float32 (beyond 1e19): that is named all the same, for nothing trains there.
    Steps that a ``GradScaler`` skipped are not recorded, and so are no finding. Where losses and
    weights are finite again at the end, it is an episode: mild, with an end.

    It is silent where every number is finite. A validation loss alone does not count.
    """

    condition: ClassVar[str] = "non_finite"

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        broken = [
            row for row in trace if row.phase == "train" and _is_broken(row.quantity, row.value)
        ]
        if not broken:
            return ()
        first = min(row.step for row in broken)
        at_first = [row for row in broken if row.step == first]
        layers = _origin(at_first, [layer.name for layer in trace.facts.layers])
        data = [_DATA[row.quantity] for row in at_first if row.quantity in _DATA]
        steps = len({row.step for row in broken})
        until = _end(trace, broken)
        what = _NAMED[data[0]] if data else layers[0] if layers else say("the loss")
        evidence = {"first_step": float(first), "steps": float(steps)}
        return (
            Finding(
                condition=self.condition,
                severity="severe" if until is None else "mild",
                confidence=1.0,
                layers=() if data else layers,
                since=first,
                evidence={**evidence, **dict.fromkeys(data, 1.0)},
                explanation=(
                    say(
                        "A NaN or infinity first showed at step {step} in {place}; what is "
                        "computed from it cannot be trusted, and the weights are lost.",
                        step=first,
                        place=what,
                    )
                    if until is None
                    else say(
                        "A NaN or infinity first showed at step {step} in {place}; from step "
                        "{until} on, all numbers are finite again.",
                        step=first,
                        place=what,
                        until=until,
                    )
                ),
                until=until,
                advice=_advice(data[0]) if data else "",
                phrase=say("NaN in {place} at step {step}", place=what, step=first),
            ),
        )


def _advice(data: str) -> Said:
    if data == "inputs":
        return say(
            "Find the rows whose inputs are NaN or infinite, and what made them so (a missing "
            "value, a division by a deviation of zero); fill them in or drop them."
        )
    return say(
        "Find the rows whose targets are NaN or infinite, and what made them so (a missing "
        "value, a division by a deviation of zero); fill them in or drop them."
    )


def _origin(broken: Sequence[Row], order: Sequence[str]) -> tuple[str, ...]:
    """Layers in which a NaN arose, of all that it had reached by the end of a step."""
    for quantities in (_WEIGHTS[:1], _FORWARD, _BACKWARD, _WEIGHTS[1:]):
        named = {row.module for row in broken if row.quantity in quantities and row.module}
        found = [name for name in order if name in named] or sorted(named)
        if not found:
            continue
        if quantities is _FORWARD:
            return (found[0],)
        if quantities is _BACKWARD:
            return () if order and len(found) == len(order) else (found[-1],)
        return tuple(found)
    marked = {row.module for row in broken if row.module}
    return tuple(name for name in order if name in marked) or tuple(sorted(marked))


def _end(trace: Trace, broken: Sequence[Row]) -> int | None:
    """First step after which the losses are finite again, if the run went on for long enough."""
    if any(row.quantity in _WEIGHTS for row in broken):
        return None
    last = max(row.step for row in broken)
    after = [
        row.step
        for row in trace
        if row.quantity == Quantity.LOSS and row.phase == "train" and row.step > last
    ]
    return min(after) if len(after) >= _RECOVERED else None


def _is_broken(quantity: Quantity, value: float) -> bool:
    return value != 0 if quantity == Quantity.NON_FINITE else not math.isfinite(value)
