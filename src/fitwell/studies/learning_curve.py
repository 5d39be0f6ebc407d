"""Would more data help? The network trained on fewer rows, a power law, and what it foretells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import final

import numpy as np

from fitwell.errors import BadInput, TaskError, in_range, needs
from fitwell.records import (
    Augmented,
    CurvePoint,
    Effect,
    LearningCurve,
    PowerLaw,
    RemedySpec,
    RowsWorth,
    RunRecord,
)
from fitwell.studies.bench import Bench
from fitwell.studies.executor import Executor, InProcess, executor_for
from fitwell.studies.forecasting import HALF, Scale, back_test
from fitwell.studies.job import Done, Job, Refusal
from fitwell.studies.power_law import Fit
from fitwell.studies.progress import Progress, Silent
from fitwell.studies.statistics import paired_effect
from fitwell.studies.store import Memory
from fitwell.studies.study import UNTREATED, check_seeds
from fitwell.studies.subsets import rows_of
from fitwell.studies.training import without_test
from fitwell.tasks import Task
from fitwell.words import say

SHARES = (0.125, 0.25, 0.5, 1.0)
"""Shares of the training rows that are trained on."""
AHEAD = (2, 4)
"""Multiples of the rows that are forecast."""
LEAST_ROWS = 16
"""Fewer rows are no size of a curve."""
LEAST_PER_CLASS = 2
"""Fewer rows for each class, on average, neither."""
MOST_TIMES = 16.0
"""A gain worth more than so many times the rows lies too far beyond what was measured."""
LINE_POINTS = 40
KINDS = ("image", "table", "bag", "sequence")
"""Kinds of rows that can be augmented."""


@final
@dataclass(frozen=True)
class Design:
    """What is trained for a curve.

    Args:
        shares: Shares of the training rows, ascending; the last is 1.
        seeds: Seeds of the runs at every share.
        rate: Learning rate as a multiple of the task's own.
        augment: The augmentation that is set against more rows, or None.
    """

    shares: tuple[float, ...]
    seeds: tuple[int, ...]
    rate: float
    augment: RemedySpec | None

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All runs, the largest sizes first."""
        untreated = [self.job(share, seed) for share in self.shares[::-1] for seed in self.seeds]
        return (*untreated, *self.augmented)

    def job(self, share: float, seed: int) -> Job:
        """Return the untreated run on a share of the rows."""
        return Job((), seed, self.rate, arm=UNTREATED, share=share)

    @property
    def augmented(self) -> tuple[Job, ...]:
        """The augmented runs, on all rows."""
        if self.augment is None:
            return ()
        return tuple(Job((self.augment,), s, self.rate, arm="augmented") for s in self.seeds)


def learning_curve(
    task: Task,
    *,
    seeds: int = 3,
    shares: Sequence[float] = SHARES,
    progress: Progress | None = None,
    executor: Executor | None = None,
    device: str = "cpu",
) -> LearningCurve:
    """Train on nested subsets of the training rows and forecast what more rows would give.

    Every size makes the same number of updates, so that the curve shows what the rows are worth
    and not the time spent on them: a sixteenth of the rows in the same number of epochs would make
    a sixteenth of the updates, and look worse for that alone. On docstrings (3 seeds) it then ends
    at 0.470, still improving, and at 0.535 with as many updates as all rows. On mnist-small, whose
    networks have learned their rows long before the end, both ways agree to 0.002 from an eighth
    of the rows on.

    Scores are those of the validation rows at the best epoch; the test rows are not read. See
    ``docs/learning_curve.md`` for the fit and its back-tested error.

    Args:
        task: What is to be learned.
        seeds: Runs at every size, from 2 to 1000; each with subsets of its own.
        shares: Shares of the training rows, in (0, 1]: at least two up to 0.5, and 1. Sizes
            of fewer than 16 rows, or two rows a class, are left out.
        progress: Told what goes on.
        executor: Where the runs are done; by default here if they are short, else in one process
            a core. The result is the same.
        device: Where to train.

    Raises:
        BadInput: If ``seeds`` or ``shares`` is out of range.
        TaskError: If the task cannot be trained on, or has too few rows for a curve.
        MissingExtra: If a library of the extra ``lab`` is not installed.
    """
    check_seeds(seeds)
    task.check()
    plan = design(task, seeds=range(seeds), shares=shares)
    needs("scipy", *(["kornia"] if task.data.kind == "image" else []))
    shown, memory, blind = progress or Silent(), Memory(), without_test(task)
    first = plan.jobs[0]
    done = Bench(blind, InProcess(), store=memory, device=device).run([first])[first]
    cost = done.seconds if isinstance(done, RunRecord) else 0.0
    workers = executor or executor_for(len(plan.jobs), cost, device=device)
    finished = False
    try:
        shown.stage(say("measuring the learning curve"), len(plan.jobs))
        curve = measure(Bench(blind, workers, store=memory, progress=shown, device=device), plan)
        finished = True
    finally:
        if executor is None:
            workers.close(now=not finished)
        shown.done()
    return curve


def design(
    task: Task, *, seeds: Sequence[int], shares: Sequence[float] = SHARES, rate: float = 1.0
) -> Design:
    """Choose what to train for a curve.

    Args:
        task: What is to be learned.
        seeds: Seeds of the runs.
        shares: Shares of the training rows; those of too few rows are left out.
        rate: Learning rate as a multiple of the task's own.

    Raises:
        BadInput: If the shares cannot be used.
        TaskError: If too few of them leave enough rows.
    """
    for share in shares:
        in_range("A share", share, 0.0, 1.0, open_low=True)
    asked = sorted(set(shares))
    if sum(share <= HALF for share in asked) < 2 or asked[-1] != 1:
        raise BadInput(
            f"shares must hold at least two up to {HALF:g}, and 1, got {tuple(shares)}: "
            f"as {SHARES}."
        )
    data = task.data
    total, least = len(data.train), max(LEAST_ROWS, LEAST_PER_CLASS * len(data.classes))
    kept = tuple(share for share in asked if rows_of(total, share) >= least)
    if sum(share <= HALF for share in kept) < 2:
        raise TaskError(
            f"A learning curve needs two sizes up to half of the rows with at least {least} rows "
            f"each; {total} training rows are too few: give more rows."
        )
    augment = RemedySpec("Augment", {"kind": data.kind}) if data.kind in KINDS else None
    return Design(kept, tuple(seeds), rate, augment)


def measure(bench: Bench, plan: Design) -> LearningCurve:
    """Do the runs of a plan, fit the law, and say what more rows would give.

    Args:
        bench: Does the runs; what it has done already is looked up.
        plan: What is trained.

    Raises:
        TaskError: If the network cannot be trained on fewer rows.
    """
    task = bench.task
    done = bench.run(plan.jobs)
    total = len(task.data.train)
    points = tuple(
        CurvePoint(
            rows_of(total, share), share, _scores(done, [plan.job(share, s) for s in plan.seeds])
        )
        for share in plan.shares
    )
    scale = Scale(task.metric_name, task.higher_is_better, len(task.data.validation))
    fit = scale.fit(points)
    drawn = np.geomspace(points[0].rows, AHEAD[-1] * total, LINE_POINTS).round()
    rows = sorted({total, *(times * total for times in AHEAD), *drawn.astype(int).tolist()})
    augmented, notes = _augmented(scale, fit, plan, done)
    law = fit.best
    exponent = law.exponent.item()
    return LearningCurve(
        task=task.name,
        metric=task.metric_name,
        higher_is_better=task.higher_is_better,
        seeds=plan.seeds,
        points=points,
        law=PowerLaw(law.floor.item(), law.scale.item() * total**exponent, exponent),
        line=tuple(scale.forecast(fit, count, total) for count in rows),
        forecasts=tuple(scale.forecast(fit, times * total, total) for times in AHEAD),
        back_test=back_test(scale, points),
        augmented=augmented,
        notes=notes,
    )


def _augmented(
    scale: Scale, fit: Fit, plan: Design, done: Mapping[Job, Done]
) -> tuple[Augmented | None, tuple[str, ...]]:
    """Return what augmentation gave; None where it cannot serve, with a sentence why."""
    if plan.augment is None:
        return None, (say("Rows of this kind cannot be augmented."),)
    refused = [r for r in map(done.get, plan.augmented) if isinstance(r, Refusal)]
    if refused:
        return None, (say("Augmentation was left out: {reason}", reason=refused[0].reason),)
    untreated = [plan.job(1.0, seed) for seed in plan.seeds]
    before, after = _scores(done, untreated), _scores(done, plan.augmented)
    gain = paired_effect(before, after, higher_is_better=scale.higher_is_better)
    return (
        Augmented(
            remedy=plan.augment,
            per_seed=after,
            gain=gain,
            cost=_seconds(done, plan.augmented) / _seconds(done, untreated),
            worth=_worth(fit, gain, before, after) if gain.low > 0 else None,
        ),
        (),
    )


def _worth(fit: Fit, gain: Effect, before: Sequence[float], after: Sequence[float]) -> RowsWorth:
    differences = [b - a for a, b in zip(before, after, strict=True)]
    error = stdev(differences) / math.sqrt(len(differences))
    found = fit.worth(gain.mean, error, len(differences))
    times = (found.value, found.low, found.high)
    return RowsWorth(*(None if t > MOST_TIMES else t for t in times))


def _runs(done: Mapping[Job, Done], jobs: Sequence[Job]) -> list[RunRecord]:
    runs = []
    for job in jobs:
        result = done[job]
        if isinstance(result, Refusal):
            raise TaskError(f"A learning curve cannot be measured: {result.reason}")
        runs.append(result)
    return runs


def _scores(done: Mapping[Job, Done], jobs: Sequence[Job]) -> tuple[float, ...]:
    return tuple(run.validation.metric for run in _runs(done, jobs))


def _seconds(done: Mapping[Job, Done], jobs: Sequence[Job]) -> float:
    """Return how long the shortest run took: others may have waited for something."""
    return min(run.seconds for run in _runs(done, jobs))
