"""How a batch of jobs is done, in whatever process it lands."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch

from fitwell.errors import NotApplicable
from fitwell.records import RunRecord
from fitwell.studies.device_table import DeviceTable
from fitwell.studies.job import Batch, Done, Job, Refusal, Results
from fitwell.studies.programs import Programs
from fitwell.studies.row_scoring import with_test_rows
from fitwell.studies.stacked import Unstackable, fit_stacked, stackable, structure
from fitwell.studies.training import Fitted, fit
from fitwell.tasks import Task

OUTPUTS = "outputs"
"""Name of the outputs for the test rows, beside the weights."""


@final
@dataclass(frozen=True)
class Performance:
    """Does a batch of jobs wherever it is sent; picklable.

    Args:
        task: Gives the task where the job runs.
        device: Where to train.
        weights: Folder for the weights of runs that are scored on test, or None.
        table: What stacking gains on the device, by which runs are stacked or not, or None to stack
            all that can be.
    """

    task: Callable[[], Task]
    device: str = "cpu"
    weights: str | None = None
    table: DeviceTable | None = None

    def __call__(self, batch: Batch) -> Results:
        """Return for every job the record of its run, or why a remedy could not serve.

        Jobs of one structure train as one program, where their network can. What a plain sequence
        of layers gives is the same in every bit whether others are there or not, where MKL is
        strict (``MKL_CBWR=AUTO,STRICT``, as in the commands) or the CPU makes no difference; what
        other networks give, to floating-point tolerance.
        """
        task = self.task()
        groups: dict[Hashable, list[int]] = {}
        for place, job in enumerate(batch):
            groups.setdefault(structure(task, job), []).append(place)
        done: dict[int, Done] = {}
        for places in groups.values():
            jobs = [batch[place] for place in places]
            done.update(zip(places, self._of_one_structure(task, jobs), strict=True))
        return [done[place] for place in range(len(batch))]

    def _of_one_structure(self, task: Task, jobs: Sequence[Job]) -> list[Done]:
        if not self._stacks(task, jobs[0]):
            return [self._alone(task, job) for job in jobs]
        try:
            fitted = fit_stacked(task, jobs, device=self.device)
        except (NotApplicable, Unstackable):
            return [self._alone(task, job) for job in jobs]
        except (RuntimeError, ValueError, TypeError) as error:
            done = [self._alone(task, job) for job in jobs]
            if not any(isinstance(each, Refusal) for each in done):
                warnings.warn(
                    "Runs were trained one by one, since they could not be trained as one program: "
                    f"{type(error).__name__}: {str(error).splitlines()[0]}",
                    stacklevel=2,
                )
            return done
        return [self._kept(job, each) for job, each in zip(jobs, fitted, strict=True)]

    def _stacks(self, task: Task, job: Job) -> bool:
        """Say whether runs of a job's structure train as one program: all of them, or none."""
        if self.table is None:
            return stackable(task, job, self.device) is None
        load = Programs(task, self.device).load(job)
        point = self.table.nearest(load) if load else None
        return point is not None and point.pays

    def _alone(self, task: Task, job: Job) -> Done:
        try:
            fitted = fit(task, job, device=self.device)
        except NotApplicable as error:
            return Refusal(job.arm, str(error))
        except (RuntimeError, ValueError, TypeError) as error:
            if not job.recipe and job.share == 1:
                raise
            which = "treated network" if job.recipe else f"network, on {job.share:.3g} of the rows,"
            reason = f"the {which} does not train: {str(error).splitlines()[0]}"
            return Refusal(job.arm, reason)
        return self._kept(job, fitted)

    def _kept(self, job: Job, fitted: Fitted) -> RunRecord:
        if self.weights and job.test:
            save_weights(fitted.model, Path(self.weights) / weights_name(job.arm, job.seed))
            if fitted.outputs is not None:
                file = Path(self.weights) / outputs_name(job.arm, job.seed)
                save_tensors({OUTPUTS: fitted.outputs}, file)
        return with_test_rows(self.task(), fitted)


def weights_name(arm: str, seed: int) -> str:
    """Return the name of the file that holds the weights of a run."""
    return f"{arm}-{seed}.pt"


def outputs_name(arm: str, seed: int) -> str:
    """Return the name of the file that holds what the network of a run put out for test rows."""
    return f"{arm}-{seed}-{OUTPUTS}.pt"


def save_weights(model: torch.nn.Module, path: Path) -> None:
    """Write a state dict, whole or not at all, as tensors on the CPU."""
    save_tensors(model.state_dict(), path)


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write tensors by name, whole or not at all, on the CPU."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu() for name, value in tensors.items()}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".weights.")
    os.close(handle)
    torch.save(state, temporary)
    Path(temporary).replace(path)
