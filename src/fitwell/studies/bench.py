"""Where a study's runs are done: stored ones are looked up, the others go to an executor."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import final

import torch

from fitwell.errors import NotApplicable
from fitwell.records import RunRecord
from fitwell.studies.budget import Budget
from fitwell.studies.executor import Executor
from fitwell.studies.progress import Progress, Silent
from fitwell.studies.store import Done, Memory, Refusal, Store
from fitwell.studies.training import Job, fit
from fitwell.tasks import Task


@final
@dataclass(frozen=True)
class Performance:
    """Does a job wherever it is sent; picklable.

    Args:
        task: Gives the task where the job runs.
        device: Where to train.
        weights: Folder for the weights of runs that are scored on test, or None.
    """

    task: Callable[[], Task]
    device: str = "cpu"
    weights: str | None = None

    def __call__(self, job: Job) -> Done:
        """Return the record of the run, or why a remedy could not serve."""
        try:
            fitted = fit(self.task(), job, device=self.device)
        except NotApplicable as error:
            return Refusal(job.arm, str(error))
        except (RuntimeError, ValueError, TypeError) as error:
            if not job.recipe and job.share == 1:
                raise
            which = "treated network" if job.recipe else f"network, on {job.share:.3g} of the rows,"
            reason = f"the {which} does not train: {str(error).splitlines()[0]}"
            return Refusal(job.arm, reason)
        if self.weights and job.test:
            save_weights(fitted.model, Path(self.weights) / weights_name(job.arm, job.seed))
        return fitted.run


def weights_name(arm: str, seed: int) -> str:
    """Return the name of the file that holds the weights of a run."""
    return f"{arm}-{seed}.pt"


def save_weights(model: torch.nn.Module, path: Path) -> None:
    """Write a state dict, whole or not at all, as tensors on the CPU."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".weights.")
    os.close(handle)
    torch.save(state, temporary)
    Path(temporary).replace(path)


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

    @property
    def cost(self) -> float:
        """Mean seconds of a run so far; 0 before the first."""
        return fmean(self._seconds) if self._seconds else 0.0

    def has_room(self, runs: int) -> bool:
        """Say whether that many runs more fit into the search."""
        each = self.cost / self.executor.workers
        return self.budget is None or self.budget.has_room(runs, runs * each)

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
        for job, done in self.executor.map(self._perform, missing):
            self._note(done)
            self.store.put(job, done, clock=self.budget.elapsed if self.budget else 0.0)
            found[job] = done
            self.progress.advance()
        return {job: found[job] for job in taken}

    def _missing(
        self, jobs: Iterable[Job], share: float | None, taken: list[Job], found: dict[Job, Done]
    ) -> Iterator[Job]:
        """Yield the jobs that are still to be done, as long as the budget allows."""
        for job in dict.fromkeys(jobs):
            done = self.store.get(job)
            if share is not None and self.budget is not None:
                cost = None if done else self.cost
                if not self.budget.take(share, cost):
                    return
            taken.append(job)
            if done is None:
                yield job
            else:
                self._note(done)
                found[job] = done
                self.progress.advance()

    def _note(self, done: Done) -> None:
        if isinstance(done, RunRecord):
            self._seconds.append(done.seconds)
