"""Whether more data would help: a learning curve for a network that overfits.

The search keeps a fifth of its runs and time at most for it; it is measured after the proof, with
what is left, so that it takes nothing from either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from fitwell.errors import TaskError
from fitwell.records import Diagnosis, LearningCurve
from fitwell.studies.bench import Bench
from fitwell.studies.budget import MARGIN, Budget
from fitwell.studies.learning_curve import Design, design, measure
from fitwell.studies.search import SEARCH_SEEDS
from fitwell.tasks import Task
from fitwell.words import say, together

SEEDS = (3, 2)
"""Seeds at every size, the most that the budget has room for."""
NO_REASON = say(
    "No learning curve was measured: no overfitting was found that more data might cure."
)


@final
@dataclass(frozen=True)
class Outlook:
    """A learning curve, or why there is none."""

    curve: LearningCurve | None
    note: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        return (self.note,) if self.curve is None else self.curve.notes


def keep_room(task: Task, diagnosis: Diagnosis, budget: Budget, cost: float) -> None:
    """Set a part of the search aside for a learning curve, if there is to be one.

    Args:
        task: What is to be learned.
        diagnosis: What was found.
        budget: What the cure may spend.
        cost: Seconds of one run, over the number of workers.
    """
    if "overfitting" not in diagnosis.conditions or _too_small(task) is not None:
        return
    for plan in _plans(task, rate=1.0):
        if budget.set_aside(len(plan.jobs), len(plan.jobs) * cost):
            return


def outlook(bench: Bench, diagnosis: Diagnosis, rate: float, cost: float) -> Outlook:
    """Measure a learning curve with what is left of the budget.

    With a number of runs alone, no clock is read: all runs of the curve count, also those that
    the search has done already.

    Args:
        bench: Does the runs; its task has no test rows.
        diagnosis: What was found: without overfitting there is nothing to ask.
        rate: Learning rate of the untreated network, as a multiple of the task's own.
        cost: Seconds of one run, over the number of workers.
    """
    if "overfitting" not in diagnosis.conditions:
        return Outlook(None, NO_REASON)
    why = _too_small(bench.task)
    if why is not None:
        return Outlook(None, why)
    plans = list(_plans(bench.task, rate))
    fitting = [plan for plan in plans if _has_room(bench, plan, cost)]
    if not fitting:
        return Outlook(
            None,
            say(
                "No learning curve was measured: its {runs} runs did not fit into the budget; "
                "allow more, or call fitwell.learning_curve.",
                runs=len(plans[-1].jobs),
            ),
        )
    bench.progress.stage(say("measuring what more data would give"), len(fitting[0].jobs))
    try:
        return Outlook(measure(bench, fitting[0]))
    except TaskError as error:
        return Outlook(None, str(error))


def _has_room(bench: Bench, plan: Design, cost: float) -> bool:
    missing = sum(bench.store.get(job) is None for job in plan.jobs)
    return bench.budget is None or bench.budget.can_follow(len(plan.jobs), missing * cost * MARGIN)


def _plans(task: Task, rate: float) -> Iterator[Design]:
    for seeds in SEEDS:
        yield design(task, seeds=SEARCH_SEEDS[:seeds], rate=rate)


def _too_small(task: Task) -> str | None:
    """Say why there can be no curve, or None if there can."""
    try:
        design(task, seeds=SEARCH_SEEDS)
    except TaskError as error:
        return together([say("No learning curve was measured."), str(error)])
    return None
