"""Validation data that are not of the same kind as the training data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from fitwell.detectors.outcome import falls_behind, is_tried
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Row, Trace
from fitwell.words import Said, enumerated, say

_WORDS = {
    Quantity.INPUT_SHIFT: say("inputs"),
    Quantity.TARGET_SHIFT: say("targets"),
    Quantity.OUTPUT_SHIFT: say("outputs of the untrained network"),
}


_BINS = 256
"""Tokens are counted by their number modulo this (:mod:`fitwell.probes.tallies`)."""


class _Shift(NamedTuple):
    """One measured shift, next to what chance makes of it."""

    quantity: Quantity
    value: float
    chance: float
    limit: float


@final
@dataclass(frozen=True, slots=True)
class DistributionShift(Detector):
    """Report validation data that differ from the training data before anything is learned.

    Preprocessing that one of the two went through and the other did not, a split along a sorted
    column, classes that one side lacks: validation then tells nothing of what was learned, and its
    gap to training is no overfitting. Overfitting begins at none and grows; a shift is there at
    step 0, and is read from the data alone.

    Definition: the inputs of an evaluation lie ``min_shift`` or more standard deviations from those
    of training (root mean square over the features), and more than ``errors`` standard errors
    beyond what chance does: means over n rows each differ by √(2/n) deviations. Or the shares of
    the classes differ by a total variation distance of ``min_class_shift`` or more, and beyond
    chance likewise: about 0.56 √((classes - 1)/n). Targets of a regression are judged as inputs
    are. For tokens the total variation distance of their histograms must reach
    ``min_token_shift``, and exceed likewise what chance makes of 256 counts.
    The outputs of the untrained network are looked at where inputs cannot be, and where training
    and evaluation mode are the same.

    Balancing classes in training on purpose moves their shares by at most one half where there are
    two; augmentation moves the means of inputs little. Where validation keeps up with training all
    the same, the shift did no harm and is mild.

    Evidence: ``input_shift``, ``target_shift``, ``output_shift``, those out of range, with
    ``chance`` for the largest and ``rows``.

    Args:
        min_shift: Least shift of inputs in standard deviations of training. Random splits of the
            corpus differ by 0.04 to 0.19; inverted, flipped and unscaled pictures by 6 and more.
        min_class_shift: Least total variation distance of the shares of the classes. Random splits
            of the corpus differ by 0.01 to 0.16.
        min_token_shift: Least total variation distance of the shares of the tokens. Random splits
            of the corpus differ by 0.04 to 0.07, other vocabularies by 0.29 and more.
        errors: Standard errors beyond chance.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Rabanser et al., "Failing loudly: an empirical study of methods for detecting dataset
        shift", NeurIPS 2019: tests on each dimension are as good as any. Lipton et al., "Detecting
        and correcting for label shift", ICML 2018.
    """

    condition: ClassVar[str] = "distribution_shift"
    min_shift: float = 0.5
    min_class_shift: float = 0.5
    min_token_shift: float = 0.2
    errors: float = 4.0

    def __post_init__(self) -> None:
        in_range("min_shift", self.min_shift, 0, math.inf, open_low=True)
        in_range("min_class_shift", self.min_class_shift, 0, 1, open_low=True)
        in_range("min_token_shift", self.min_token_shift, 0, 1, open_low=True)
        in_range("errors", self.errors, 0, math.inf)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that no evaluation was seen next to training."""
        if any(row.quantity in _WORDS for row in trace):
            return None
        return say(
            "distribution_shift: needs an evaluation on validation data that the watch can see."
        )

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        shifts = [s for s in (self._judged(trace, row) for row in _first(trace)) if s is not None]
        if not shifts:
            return
        worst = max(shifts, key=lambda shift: shift.value / shift.limit)
        harmless = is_tried(trace) and not falls_behind(trace)
        severe = worst.value >= 2 * worst.limit or worst.value >= 0.9
        what = enumerated([_WORDS[shift.quantity] for shift in shifts])
        rows = min(row.count for row in _first(trace))
        yield Finding(
            condition=self.condition,
            severity="mild" if harmless else "severe" if severe else "moderate",
            confidence=0.9 if worst.value >= 2 * worst.limit else 0.75,
            layers=(),
            since=None,
            evidence={
                **{str(shift.quantity): shift.value for shift in shifts},
                "chance": worst.chance,
                "rows": float(rows),
            },
            explanation=say(
                "The {what} of validation differ from those of training by {size}, where chance "
                "makes {chance}: what is measured on it says little of what was learned.",
                what=what,
                size=_size(trace, worst),
                chance=f"{worst.chance:.2g}",
            ),
            advice=say(
                "Put validation through the same preprocessing as training, with the statistics of "
                "training, and split at random (stratified by class)."
            ),
            phrase=say("validation has other {what}", what=what),
        )

    def _judged(self, trace: Trace, row: Row) -> _Shift | None:
        if row.quantity == Quantity.OUTPUT_SHIFT and not _outputs_count(trace):
            return None
        if not math.isfinite(row.value) or row.count < 2:
            return None
        if _as_shares(trace, row.quantity):
            tokens = row.quantity == Quantity.INPUT_SHIFT
            bins = _BINS if tokens else max(_classes(trace), 2)
            chance = min(0.56 * math.sqrt((bins - 1) / row.count), 1.0)
            least = self.min_token_shift if tokens else self.min_class_shift
            limit = max(least, chance + self.errors * math.sqrt(0.5 / row.count))
        else:
            chance = math.sqrt(2 / row.count)
            limit = max(self.min_shift, self.errors * chance)
        return _Shift(row.quantity, row.value, chance, limit) if row.value >= limit else None


def _size(trace: Trace, shift: _Shift) -> Said:
    size = f"{shift.value:.2g}"
    if _as_shares(trace, shift.quantity):
        return say("{share} of the whole (total variation distance)", share=size)
    return say("{size} standard deviations", size=size)


def _first(trace: Trace) -> list[Row]:
    """Return the row with the most values for each kind of shift, and of those the first."""
    found: dict[Quantity, Row] = {}
    for row in trace:
        if row.quantity in _WORDS and row.phase == "validation":
            known = found.get(row.quantity)
            if known is None or row.count > known.count:
                found[row.quantity] = row
    return list(found.values())


def _as_shares(trace: Trace, quantity: Quantity) -> bool:
    if quantity == Quantity.INPUT_SHIFT:
        return trace.facts.input_kind == "tokens"
    return quantity == Quantity.TARGET_SHIFT and trace.facts.target_kind == "integers"


def _classes(trace: Trace) -> int:
    highest = [int(v) for _, v in trace.series(Quantity.TARGET_MAX) if math.isfinite(v)]
    return trace.facts.classes or max(highest, default=1) + 1


def _outputs_count(trace: Trace) -> bool:
    """Whether the outputs of the two phases compare, and tell what the inputs do not."""
    seen = any(row.quantity == Quantity.INPUT_SHIFT for row in trace)
    return not trace.facts.mode_matters and not seen
