"""What is drawn, taken from records: curves over seeds, paired differences, trials in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import final

from fitwell.records import (
    ArmRecord,
    Curves,
    RunRecord,
    TaskRecord,
    Trial,
)


@final
@dataclass(frozen=True)
class Point:
    """One epoch of a curve over several runs; ``low`` and ``high`` are the smallest and largest."""

    epoch: int
    mean: float
    low: float
    high: float


@final
@dataclass(frozen=True)
class Band:
    """Training and validation loss of the runs of one arm.

    Args:
        train: Training loss, over the epochs that at least half of the runs reached.
        validation: Validation loss, likewise.
        kept: Epoch, from 1, whose weights the run in the middle kept; None without runs.
        diverged: How many of the runs diverged.
        runs: How many runs there are.
    """

    train: tuple[Point, ...]
    validation: tuple[Point, ...]
    kept: int | None
    diverged: int
    runs: int

    @property
    def gap(self) -> float | None:
        """Validation minus training loss at the last epoch drawn, or None without curves."""
        if not self.train or not self.validation:
            return None
        return self.validation[-1].mean - self.train[-1].mean


def band(runs: Sequence[RunRecord]) -> Band:
    """Draw the runs of one arm together; epochs count from 1."""
    return Band(
        train=_over_runs(runs, lambda curves: curves.train_loss),
        validation=_over_runs(runs, lambda curves: curves.validation_loss),
        kept=median_low([run.best_epoch + 1 for run in runs]) if runs else None,
        diverged=sum(run.diverged for run in runs),
        runs=len(runs),
    )


def paired_differences(untreated: ArmRecord, arm: ArmRecord, task: TaskRecord) -> list[float]:
    """Return how much better each seed of an arm did than the same seed untreated."""
    before = {run.seed: run.test.metric for run in untreated.runs if run.test is not None}
    sign = 1.0 if task.higher_is_better else -1.0
    pairs = [
        (run.test.metric, before[run.seed])
        for run in arm.runs
        if run.test is not None and run.seed in before
    ]
    return [sign * (after - old) for after, old in pairs]


def best_trials(task: TaskRecord, trials: Iterable[Trial]) -> list[Trial]:
    """Return trials in order of merit: those kept for most seeds first, then by the metric."""
    sign = -1.0 if task.higher_is_better else 1.0

    def rank(trial: Trial) -> tuple[bool, int, float, float]:
        lost = not math.isfinite(trial.score.metric)
        return (lost, -trial.seeds, 0.0 if lost else sign * trial.score.metric, trial.score.loss)

    return sorted(trials, key=rank)


def _over_runs(
    runs: Sequence[RunRecord], curve: Callable[[Curves], tuple[float, ...]]
) -> tuple[Point, ...]:
    curves = [curve(run.curves) for run in runs]
    points = []
    for epoch in range(max(map(len, curves), default=0)):
        there = [values[epoch] for values in curves if len(values) > epoch]
        finite = [value for value in there if math.isfinite(value)]
        if 2 * len(there) < len(runs) or not finite:
            continue
        points.append(Point(epoch + 1, math.fsum(finite) / len(finite), min(finite), max(finite)))
    return tuple(points)
