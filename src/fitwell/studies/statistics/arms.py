"""Several arms at once, and what a study says of each."""

from __future__ import annotations

from collections.abc import Sequence

from fitwell.errors import BadInput
from fitwell.records import Effect, Outcome, Verdict
from fitwell.studies.statistics.paired import LEVEL


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Return p values adjusted for their number, in the order given.

    The chance of any false "helps" or "hurts" in a study stays under the level of one test.

    Raises:
        BadInput: If a p lies outside [0, 1].

    References:
        Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    if not all(0 <= p <= 1 for p in ps):
        raise BadInput(f"p values must lie in [0, 1], got {list(ps)}.")
    adjusted = [0.0] * len(ps)
    floor = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        floor = max(floor, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = floor
    return tuple(adjusted)


def verdict(arm: str, effect: Effect, loss_effect: Effect, adjusted_p: float) -> Verdict:
    """Return what a study says of an arm: the metric decides, the loss is told beside it."""
    outcome: Outcome = "no evidence"
    if adjusted_p <= LEVEL and effect.mean != 0:
        outcome = "helps" if effect.mean > 0 else "hurts"
    return Verdict(arm, outcome, effect, loss_effect, adjusted_p)
