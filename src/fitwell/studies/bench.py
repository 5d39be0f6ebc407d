"""Where a study's runs are done: stored ones are looked up, the others go to an executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import final

from fitwell.errors import NotApplicable
from fitwell.records import RemedySpec, RunRecord
from fitwell.studies.budget import Budget
from fitwell.studies.executor import Executor
from fitwell.studies.job import Batch, Done, Job
from fitwell.studies.performing import Performance
from fitwell.studies.progress import Progress, Silent
from fitwell.studies.store import Memory, Store
from fitwell.studies.training import check_serves
from fitwell.tasks import Task

FAILURES = (NotApplicable, RuntimeError, ValueError, TypeError)
"""What a remedy that does not fit a network may raise while it is applied."""


@final
class Bench:
    """Runs the jobs of one task and keeps what they gave.

    Args:
        task: What is trained; a search gets one whose test rows are withheld.
        executor: Where the runs are done.
        store: Where finished runs are kept.
        budget: What the search may spend; None for no limit.
        progress: Told of every finished run.
        device: Where to train.
        weights: Folder for the weights of runs that are scored on test.
    """

    def __init__(
        self,
        task: Task,
        executor: Executor,
        *,
        store: Store | Memory | None = None,
        budget: Budget | None = None,
        progress: Progress | None = None,
        device: str = "cpu",
        weights: Path | None = None,
    ) -> None:
        self.task, self.executor, self.budget = task, executor, budget
        self.store = store if store is not None else Memory()
        self.progress = progress or Silent()
        self._perform = Performance(executor.share(task), device, str(weights) if weights else None)
        self._seconds: list[float] = []
        self._refusals: dict[tuple[str, ...], str | None] = {}

    @property
    def cost(self) -> float:
        """Mean seconds of a run so far; 0 before the first."""
        return fmean(self._seconds) if self._seconds else 0.0

    def has_room(self, runs: int) -> bool:
        """Say whether that many runs more fit into the search."""
        each = self.cost / self.executor.workers
        return self.budget is None or self.budget.has_room(runs, runs * each)

    def refusal(self, recipe: Sequence[RemedySpec]) -> str | None:
        """Say why a recipe cannot serve the network, or None if it can; asked once of each."""
        key = tuple(map(str, recipe))
        if key not in self._refusals:
            try:
                check_serves(self.task, recipe)
                self._refusals[key] = None
            except FAILURES as error:
                self._refusals[key] = str(error).splitlines()[0]
        return self._refusals[key]

    def run(self, jobs: Iterable[Job], *, share: float | None = None) -> dict[Job, Done]:
        """Do jobs and return what each gave, in the order of the jobs.

        Args:
            jobs: What to do; one already done is looked up.
            share: Part of the search's budget that may be used up, in (0, 1]; jobs that no longer
                fit are left out. None does all.
        """
        taken: list[Job] = []
        found: dict[Job, Done] = {}
        missing = self._missing(jobs, share, taken, found)
        for batch, results in self.executor.map(self._perform, missing):
            for job, done in zip(batch, results, strict=True):
                self._note(done)
                self.store.put(job, done, clock=self.budget.elapsed if self.budget else 0.0)
                found[job] = done
                self.progress.advance()
        return {job: found[job] for job in taken}

    def _missing(
        self, jobs: Iterable[Job], share: float | None, taken: list[Job], found: dict[Job, Done]
    ) -> Iterator[Batch]:
        """Yield the jobs that are still to be done, in batches, as long as the budget allows."""
        for job in dict.fromkeys(jobs):
            done = self.store.get(job)
            if share is not None and self.budget is not None:
                cost = None if done else self.cost
                if not self.budget.take(share, cost):
                    return
            taken.append(job)
            if done is None:
                yield (job,)
            else:
                self._note(done)
                found[job] = done
                self.progress.advance()

    def _note(self, done: Done) -> None:
        if isinstance(done, RunRecord):
            self._seconds.append(done.seconds)
