"""Where a run stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(slots=True)
class Clock:
    """Step and epoch of a run under watch, for probes that stand for all of it.

    Args:
        step: Number of the optimizer step under way, from 0.
        epoch: Number of evaluations so far.
        evaluated: Whether an evaluation was seen since the last step.
    """

    step: int = 0
    epoch: int = 0
    evaluated: bool = False

    @property
    def last_step(self) -> int:
        """Step that an evaluation belongs to: the last one that was made."""
        return max(self.step - 1, 0)
