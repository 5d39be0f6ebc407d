"""How long batches will take, from those that were done: estimated anew after every one."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from statistics import fmean
from typing import final

from fitwell.studies.job import Batch, Job
from fitwell.studies.plan import Plan, makespan

RECENT = 4
"""Batches over which it is judged whether the machine has become slower or faster."""

UNSEEN = 0.5
"""Share of the gain that the table promises which a forecast believes before a stack was seen."""


@final
class Pace:
    """Estimates seconds for batches; it serves budgets of time alone, and no other decision.

    A batch's time is brought to that of one whole run alone, by what stacking gains; the estimate
    for another batch goes the same way back. Until a stack was seen here, the next batch is taken
    to gain nothing, and a forecast believes half of the table. Runs of a structure that was never
    done are taken for the mean of those that were. All estimates follow the machine: by the mean
    ratio of what the last four batches took to what their structures took at first.

    Args:
        plan: Knows structures and gains.
        workers: How many batches are done at the same time.
    """

    def __init__(self, plan: Plan, workers: int = 1) -> None:
        self._plan, self.workers = plan, workers
        self._alone: dict[Hashable, float] = {}
        self._ratios: deque[float] = deque(maxlen=RECENT)
        self._seen_stacks = False

    @property
    def known(self) -> bool:
        """Whether anything was done yet; before that, every estimate is 0."""
        return bool(self._alone)

    def note(self, batch: Batch, seconds: float) -> None:
        """Take into account how long a batch took."""
        self._seen_stacks |= len(batch) > 1
        alone = seconds * self._plan.gain(batch) / sum(map(self._plan.length, batch))
        key = self._plan.key(batch[0])
        if key not in self._alone:
            self._alone[key] = alone / self._drift
        elif self._alone[key] > 0:
            self._ratios.append(alone / self._alone[key])

    def seconds(self, batch: Sequence[Job]) -> float:
        """Estimate how long a batch takes."""
        return self._estimate(batch, believed=0.0)

    def forecast(self, jobs: Sequence[Job]) -> float:
        """Estimate the wall time until all of the jobs are done by all workers."""
        batches = self._plan.batches(jobs)
        return makespan((self._estimate(b, believed=UNSEEN) for b in batches), self.workers)

    def _estimate(self, batch: Sequence[Job], *, believed: float) -> float:
        """Estimate how long a batch takes, given how far a gain is believed that was not seen."""
        if not batch or not self._alone:
            return 0.0
        alone = self._alone.get(self._plan.key(batch[0]), fmean(self._alone.values()))
        length = sum(map(self._plan.length, batch))
        gain = self._plan.gain(batch)
        if not self._seen_stacks:
            gain = max(min(gain, 1.0), believed * gain)
        return self._drift * alone * length / gain

    @property
    def _drift(self) -> float:
        return fmean(self._ratios) if self._ratios else 1.0
