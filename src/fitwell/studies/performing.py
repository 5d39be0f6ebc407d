"""How a batch of jobs is done, in whatever process it lands."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch

from fitwell.errors import NotApplicable
from fitwell.studies.job import Batch, Done, Job, Refusal, Results
from fitwell.studies.row_scoring import with_test_rows
from fitwell.studies.training import fit
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
    """

    task: Callable[[], Task]
    device: str = "cpu"
    weights: str | None = None

    def __call__(self, batch: Batch) -> Results:
        """Return for every job the record of its run, or why a remedy could not serve."""
        return [self._alone(job) for job in batch]

    def _alone(self, job: Job) -> Done:
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
            if fitted.outputs is not None:
                file = Path(self.weights) / outputs_name(job.arm, job.seed)
                save_tensors({OUTPUTS: fitted.outputs}, file)
        return with_test_rows(self.task(), fitted.run, fitted.model, device=self.device)


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
