"""What a part of a search may use of a budget, batch by batch."""

from __future__ import annotations

from typing import final

from fitwell.studies.budget import LEAST_SEARCH, Budget
from fitwell.studies.job import Batch
from fitwell.studies.pace import Pace

LARGEST_PART = 0.5
"""Largest part of the time that is left that goes to one batch of several runs: an estimate that
was too low then costs little, since the next batch is smaller."""


@final
class Allowance:
    """The runs and the time that a part of a search may use; both are caps.

    Args:
        budget: What the search may spend.
        share: Part of the search, in (0, 1], that may be used up.
    """

    def __init__(self, budget: Budget, share: float) -> None:
        self._budget, self._share = budget, share

    def covers(self, runs: float) -> bool:
        """Say whether that many runs more are allowed; one always is."""
        return self._budget.covers(runs, share=self._share)

    def spend(self, runs: float) -> None:
        """Count runs, or parts of them, as done."""
        self._budget.runs_spent += runs

    def fitting(self, batch: Batch, pace: Pace) -> int:
        """Return how many runs of a batch, from the first on, end in time.

        The first six runs of a search may use all of its time, whatever the share.
        """
        began = self._budget.runs_spent < LEAST_SEARCH
        left = self._budget.seconds_left(1.0 if began else self._share)
        if left is None:
            return len(batch)
        count = len(batch)
        while count > 1 and pace.seconds(batch[:count]) > LARGEST_PART * left:
            count = (count + 1) // 2
        return count if pace.seconds(batch[:count]) <= left else 0
