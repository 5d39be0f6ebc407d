"""The learning rate: its size, a warm-up and a schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from fitwell.errors import BadInput, ThresholdError, in_range
from fitwell.interfaces import Plain, Remedy, Stage

SCHEDULES = ("constant", "cosine", "linear")
"""What the rate does after the warm-up."""


@final
@dataclass(frozen=True, slots=True)
class LearningRate(Remedy):
    """Scale the learning rate, warm it up, and let it fall.

    It acts through ``Treated.scheduler(optimizer)``, whose ``step()`` is called after every
    optimizer step. In the warm-up the rate rises on a line from 0: update t of ``warmup`` is made
    at (t + 1) / warmup of it, so that no update is wasted on a rate of 0. Then it stays, or falls
    until update ``steps`` to ``min_factor``, on half a cosine or on a line.

    Args:
        factor: Multiple of the optimizer's own rate, in (0, 1e6].
        warmup: Updates until the full rate, at least 0.
        schedule: ``"constant"``, ``"cosine"`` or ``"linear"``.
        steps: Updates in the whole run, warm-up included; needed for a rate that falls.
        min_factor: Share of the full rate that is left at the end, in [0, 1].

    Raises:
        ThresholdError: If a number is out of range, or ``steps`` is not above ``warmup`` where the
            rate falls.
        BadInput: If the schedule is unknown.

    References:
        Goyal et al., "Accurate, Large Minibatch SGD", 2017, arXiv:1706.02677 (warm-up).
        Loshchilov & Hutter, "SGDR", 2017, arXiv:1608.03983 (cosine).
    """

    stage: ClassVar[Stage] = Stage.UPDATE
    doses: ClassVar[tuple[str, ...]] = ("factor", "warmup", "schedule", "steps", "min_factor")

    factor: float = 1.0
    warmup: int = 100
    schedule: str = "constant"
    steps: int = 0
    min_factor: float = 0.0

    def __post_init__(self) -> None:
        in_range("factor", self.factor, 0.0, 1e6, open_low=True)
        in_range("min_factor", self.min_factor, 0.0, 1.0)
        for name, value in (("warmup", self.warmup), ("steps", self.steps)):
            in_range(name, value, 0, 1e12)
            if not isinstance(value, int):
                raise ThresholdError(f"{name} must be a whole number, got {value!r}.")
        if self.schedule not in SCHEDULES:
            raise BadInput(
                f"Unknown schedule {self.schedule!r}: expected one of {', '.join(SCHEDULES)}."
            )
        if self.schedule != "constant" and self.steps <= self.warmup:
            raise ThresholdError(
                f"steps must exceed warmup ({self.warmup}) for a {self.schedule} schedule, got "
                f"{self.steps}: give the number of updates in the whole run."
            )

    def rate_factor(self, step: int) -> float:
        """Return the multiple of the rate at update ``step``."""
        return scheduled_factor(step, **self._args)

    @property
    def _args(self) -> dict[str, Any]:
        return {
            "factor": self.factor,
            "warmup": self.warmup,
            "schedule": self.schedule,
            "steps": self.steps,
            "min_factor": self.min_factor,
        }

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam."""
        return {"rate_factor": Plain(scheduled_factor, self._args)}


def scheduled_factor(
    step: int, factor: float, warmup: int, schedule: str, steps: int, min_factor: float
) -> float:
    """Return the multiple of the rate at a step: rising in the warm-up, then level or falling."""
    if step < warmup:
        return factor * (step + 1) / warmup
    if schedule == "constant":
        return factor
    done = min((step - warmup) / (steps - warmup), 1.0)
    left = 1.0 - done if schedule == "linear" else (1.0 + math.cos(math.pi * done)) / 2.0
    return factor * (min_factor + (1.0 - min_factor) * left)
