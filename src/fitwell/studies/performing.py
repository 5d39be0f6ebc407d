"""How a batch of jobs is done, in whatever process it lands."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch

from fitwell.errors import NotApplicable
from fitwell.studies.job import Batch, Done, Job, Refusal, Results
from fitwell.studies.training import fit
from fitwell.tasks import Task


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
        return fitted.run


def without_files(function: Any) -> Any:
    """Return what does a batch for a machine that has not this one's disk: it keeps no weights."""
    return replace(function, weights=None) if isinstance(function, Performance) else function


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
