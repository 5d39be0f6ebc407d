"""Jobs to batches: which runs train as one program, and how many at once."""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Protocol, final

from fitwell.studies.device_table import DeviceTable, Load, Point
from fitwell.studies.job import Batch, Job

FIXED = 1e6
"""Multiplications that the fixed part of a layer's call is worth, forward and back and update."""
WORTH = 0.97
"""A batch is halved if that brings the end of all to this share or less."""


class Structures(Protocol):
    """Knows what jobs have in common; :class:`~fitwell.studies.programs.Programs`."""

    def key(self, job: Job) -> Hashable:
        """Return what jobs must share to train as one program."""

    def load(self, job: Job) -> Load | None:
        """Return what a run asks of the device, or None if such runs have to train alone."""

    def length(self, job: Job) -> float:
        """Return the length of a run as a share of the task's own epochs."""


@final
class Plan:
    """Turns jobs into batches, from shapes and a table of the device and never by a clock.

    What a run gives does not depend on the runs beside it, so that a plan changes the time that a
    study takes and nothing else.

    Args:
        structures: Knows what jobs have in common.
        table: What stacking gains on the device.
        workers: How many batches are done at the same time.
    """

    def __init__(self, structures: Structures, table: DeviceTable, workers: int = 1) -> None:
        self._structures, self._table, self.workers = structures, table, workers
        self._points: dict[Hashable, Point | None] = {}

    def batches(self, jobs: Sequence[Job]) -> list[Batch]:
        """Return every job in one batch, batches in the order of their first jobs.

        Jobs of a structure are split evenly into as few batches as the table allows, and further
        where workers would otherwise wait for the last.
        """
        place = {job: number for number, job in enumerate(jobs)}
        groups: dict[Hashable, list[Job]] = {}
        for job in place:
            groups.setdefault(self._structures.key(job), []).append(job)
        batches = [
            batch
            for group in groups.values()
            for batch in _split(group, math.ceil(len(group) / self.most(group)))
        ]
        return sorted(self._balanced(batches), key=lambda batch: place[batch[0]])

    def most(self, group: Sequence[Job]) -> int:
        """Return how many of the jobs of one structure to train as one."""
        point = self._point(group[0]) if len(group) > 1 else None
        return point.most if point else 1

    def gain(self, batch: Sequence[Job]) -> float:
        """Return how many times sooner a batch is done than its jobs one after another.

        For a single job whose structure was never looked at it is not looked at now.
        """
        known = len(batch) > 1 or self._structures.key(batch[0]) in self._points
        point = self._point(batch[0]) if known else None
        return point.gain(len(batch)) if point else 1.0

    def key(self, job: Job) -> Hashable:
        """Return what jobs share that train as one program."""
        return self._structures.key(job)

    def length(self, job: Job) -> float:
        """Return the length of a run as a share of the task's own epochs."""
        return self._structures.length(job)

    def _point(self, job: Job) -> Point | None:
        key = self._structures.key(job)
        if key not in self._points:
            load = self._structures.load(job)
            self._points[key] = self._table.nearest(load) if load else None
        return self._points[key]

    def _cost(self, batch: Batch) -> float:
        """Return how long a batch takes, in a unit of its own."""
        load = self._structures.load(batch[0]) if len(batch) > 1 else None
        each = load.layers * FIXED + load.work if load else FIXED
        return len(batch) * self.length(batch[0]) * each / self.gain(batch)

    def _balanced(self, batches: list[Batch]) -> list[Batch]:
        """Halve the longest batches as long as that lets the workers end sooner."""
        if self.workers == 1:
            return batches
        end = self._end(batches)
        while True:
            longest = max(batches, key=self._cost, default=())
            if len(longest) < 2:
                return batches
            halved = [batch for batch in batches if batch is not longest] + _split(longest, 2)
            sooner = self._end(halved)
            if sooner > WORTH * end:
                return batches
            batches, end = halved, sooner

    def _end(self, batches: Sequence[Batch]) -> float:
        """Return when the last worker is done if each takes the longest batch that is left."""
        return makespan(map(self._cost, batches), self.workers)


def makespan(costs: Iterable[float], workers: int) -> float:
    """Return when the last worker is done if each takes the longest piece that is left."""
    ends = [0.0] * workers
    for cost in sorted(costs, reverse=True):
        heapq.heapreplace(ends, ends[0] + cost)
    return max(ends)


def _split(jobs: Sequence[Job], parts: int) -> list[Batch]:
    """Return the jobs in order in that many batches of nearly equal size."""
    bounds = [len(jobs) * part // parts for part in range(parts + 1)]
    return [tuple(jobs[a:b]) for a, b in pairwise(bounds)]
