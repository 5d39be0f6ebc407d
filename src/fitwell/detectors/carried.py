"""Gradients that are not cleared between steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, final

from fitwell.detectors.outcome import went_well
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Trace
from fitwell.words import say


@final
@dataclass(frozen=True, slots=True)
class AccumulatedGradients(Detector):
    """Report a loop that does not clear the gradients, so that every step repeats all earlier ones.

    Definition: in the share ``min_pairs`` of the pairs of steps that were looked at, or more, the
    share ``max_carried`` of the gradient or more is what the step before had left. Without clearing
    it is 1 - 1/t of the gradient at step t, hence at least a half; with clearing it is 0.

    Summing several small batches into one step (gradient accumulation) is no fault: there the
    gradient is cleared after the step, and the first backward pass behind it begins at 0. A loop
    that clears every few steps is one: the steps between repeat each other. It is silent with fewer
    than ``pairs`` pairs.

    Severity: severe; moderate where the run went well all the same, as Adam's steps do not grow
    with the gradient.

    Evidence: ``carried``, the median share; ``pairs``, how many were looked at; ``share`` of them
    that carried.

    Args:
        max_carried: Largest share of a gradient that may be left over, in (0, 1]: between 0 and
            one half, there is nothing else that it could be.
        min_pairs: Least share of pairs, in (0, 1].
        pairs: Least number of pairs; at least 1.

    Raises:
        ThresholdError: If an argument is out of range.
    """

    condition: ClassVar[str] = "accumulated_gradients"
    max_carried: float = 0.25
    min_pairs: float = 0.5
    pairs: int = 2

    def __post_init__(self) -> None:
        in_range("max_carried", self.max_carried, 0, 1, open_low=True)
        in_range("min_pairs", self.min_pairs, 0, 1, open_low=True)
        in_range("pairs", self.pairs, 1, float("inf"))

    def unjudged(self, trace: Trace) -> str | None:
        """Say that too few steps in a row were seen."""
        count = len(trace.series(Quantity.CARRIED_GRADIENT))
        if count >= self.pairs:
            return None
        return say(
            "accumulated_gradients: needs {pairs} pairs of steps, there were {count}.",
            pairs=self.pairs,
            count=count,
        )

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        seen = trace.series(Quantity.CARRIED_GRADIENT)
        carried = [(step, value) for step, value in seen if value >= self.max_carried]
        if len(seen) < self.pairs or len(carried) < self.min_pairs * len(seen):
            return ()
        typical = median(value for _, value in carried)
        return (
            Finding(
                condition=self.condition,
                severity="moderate" if went_well(trace) else "severe",
                confidence=0.95,
                layers=(),
                since=carried[0][0],
                evidence={
                    "carried": typical,
                    "pairs": float(len(seen)),
                    "share": len(carried) / len(seen),
                },
                explanation=say(
                    "In {carried} of {pairs} pairs of steps the gradient was not cleared: {share} "
                    "of it is left over from earlier steps, so that updates grow and point "
                    "backwards in time.",
                    carried=len(carried),
                    pairs=len(seen),
                    share=f"{min(typical, 1.0):.0%}",
                ),
                advice=say(
                    "Call optimizer.zero_grad() once before every backward pass of a new step."
                ),
                phrase=say("gradients are never cleared"),
            ),
        )
