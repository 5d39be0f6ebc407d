"""Where a study's runs are done: stored ones are looked up, the others go to an executor."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import final

from fitwell.errors import NotApplicable
from fitwell.records import RemedySpec, RunRecord
from fitwell.studies.allowance import Allowance
from fitwell.studies.budget import Budget
from fitwell.studies.device_table import table_for
from fitwell.studies.executor import Executor
from fitwell.studies.job import Batch, Done, Job, Results
from fitwell.studies.pace import Pace
from fitwell.studies.performing import Performance
from fitwell.studies.plan import Plan
from fitwell.studies.programs import Programs
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
        table = table_for(device)
        folder = str(weights) if weights else None
        self._perform = Performance(executor.share(task), device, folder, table)
        self._plan = Plan(Programs(task, device), table, executor.workers)
        self._pace = Pace(self._plan, executor.workers)
        self._seconds: list[float] = []
        self._refusals: dict[tuple[str, ...], str | None] = {}

    @property
    def cost(self) -> float:
        """Mean seconds of a run so far, of one stacked its share; 0 before the first."""
        return fmean(self._seconds) if self._seconds else 0.0

    def forecast(self, jobs: Iterable[Job]) -> float:
        """Estimate the wall time of jobs, those already done left out; 0 before the first run."""
        return self._pace.forecast([j for j in dict.fromkeys(jobs) if self.store.get(j) is None])

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
        allowance = None if share is None or self.budget is None else Allowance(self.budget, share)
        self._plan.workers = self._pace.workers = self.executor.workers  # they may come and go
        found: dict[Job, Done] = {}
        wanted = self._granted(jobs, allowance)
        missing = [job for job in wanted if not self._looked_up(job, found, allowance)]
        for batch, results in self.executor.map(self._perform, self._drawn(missing, allowance)):
            done = dict(zip(batch, results, strict=True))
            self._note(batch, results)
            self.store.put_all(done, clock=self.budget.elapsed if self.budget else 0.0)
            found |= done
            self.progress.advance(len(batch))
        return {job: found[job] for job in wanted if job in found}

    def _granted(self, jobs: Iterable[Job], allowance: Allowance | None) -> list[Job]:
        """Return the jobs up to the one that the number of runs no longer covers."""
        wanted = list(dict.fromkeys(jobs))
        if allowance is None:
            return wanted
        lengths = accumulate(map(self._plan.length, wanted))
        return [job for job, runs in zip(wanted, lengths, strict=True) if allowance.covers(runs)]

    def _looked_up(self, job: Job, found: dict[Job, Done], allowance: Allowance | None) -> bool:
        """Look a job up among those already done, and say whether it was there."""
        done = self.store.get(job)
        if done is None:
            return False
        if allowance is not None:
            allowance.spend(self._plan.length(job))
        if isinstance(done, RunRecord) and not self._pace.known:
            self._pace.note((job,), done.seconds)
        self._count([done])
        found[job] = done
        self.progress.advance()
        return True

    def _drawn(self, missing: Sequence[Job], allowance: Allowance | None) -> Iterator[Batch]:
        """Yield the jobs that are still to be done, in batches, as long as the time allows.

        A batch that would end too late is cut, and what was cut off waits for its own turn.
        """
        waiting = deque(self._plan.batches(missing))
        while waiting:
            batch = waiting.popleft()
            count = len(batch)
            if allowance is not None:
                count = allowance.fitting(batch, self._pace)
                if count == 0:
                    return
                allowance.spend(sum(map(self._plan.length, batch[:count])))
            if count < len(batch):
                waiting.appendleft(batch[count:])
            yield batch[:count]

    def _note(self, batch: Batch, results: Results) -> None:
        runs = [done.seconds for done in results if isinstance(done, RunRecord)]
        if runs:
            self._pace.note(batch[: len(runs)], sum(runs))
        self._count(results)

    def _count(self, results: Results) -> None:
        self._seconds += [done.seconds for done in results if isinstance(done, RunRecord)]


def seconds_stacked(task: Task, seconds: float, runs: int, device: str = "cpu") -> float:
    """Return the seconds of one of so many untreated runs done together, given those of one alone.

    Args:
        task: What is trained.
        seconds: What one run takes alone.
        runs: How many are there.
        device: Where.
    """
    plan = Plan(Programs(task, device), table_for(device))
    jobs = [Job((), seed) for seed in range(runs)]
    return seconds / plan.gain(jobs[: plan.most(jobs)])
