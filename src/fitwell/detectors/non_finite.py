"""NaN and infinity."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Trace


@final
@dataclass(frozen=True, slots=True)
class NonFinite(Detector):
    """Report the first step at which a NaN or an infinity showed, and in which layers.

    Definition: a training loss, or a norm of gradients, weights, updates or outputs, that is no
    finite number. One NaN in a tensor makes its norm NaN, so no element needs to be looked at.

    Evidence: ``first_step``, and ``steps``, the number of recorded steps concerned.

    There is no limit to choose. A norm can be infinite though every element is finite, if its
    square overflows float32 (beyond 1e19): that is named all the same, for nothing trains there.
    Steps that a ``GradScaler`` skipped are not recorded, and so are no finding.

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
        order = [layer.name for layer in trace.facts.layers]
        named = {row.module for row in broken if row.step == first and row.module}
        layers = tuple(name for name in order if name in named) or tuple(sorted(named))
        steps = len({row.step for row in broken})
        where = f" in {layers[0]}" if layers else ""
        return (
            Finding(
                condition=self.condition,
                severity="severe",
                confidence=1.0,
                layers=layers,
                since=first,
                evidence={"first_step": float(first), "steps": float(steps)},
                explanation=(
                    f"A NaN or infinity first showed at step {first}{where}; "
                    "what is computed from it cannot be trusted, and the weights are lost."
                ),
            ),
        )


def _is_broken(quantity: Quantity, value: float) -> bool:
    return value != 0 if quantity == Quantity.NON_FINITE else not math.isfinite(value)
