"""What the runs of a task are as programs: which go together, and what one asks of a device."""

from __future__ import annotations

from collections.abc import Hashable
from typing import final

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fitwell.studies.device_table import Kind, Load
from fitwell.studies.job import Job
from fitwell.studies.stacked import stackable, structure
from fitwell.studies.stacked.chain import Chain
from fitwell.studies.stacked.structure import program_for
from fitwell.studies.training import reproducible, treated_network
from fitwell.tasks import Task

ROWS = 2
"""Rows of the forward pass that is counted."""
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@final
class Programs:
    """What runs of a task have in common; each structure is built once.

    Args:
        task: What is trained.
        device: Where.
    """

    def __init__(self, task: Task, device: str = "cpu") -> None:
        self._task, self._device = task, device
        self._loads: dict[Hashable, Load | None] = {}

    def key(self, job: Job) -> Hashable:
        """Return what jobs must share to train as one program; it builds nothing."""
        return structure(self._task, job)

    def load(self, job: Job) -> Load | None:
        """Return what a run asks of the device, or None if such runs have to train alone."""
        key = self.key(job)
        if key not in self._loads:
            alone = stackable(self._task, job, self._device)
            self._loads[key] = None if alone else self._measured(job)
        return self._loads[key]

    def length(self, job: Job) -> float:
        """Return the length of a run as a share of the task's own epochs."""
        return (job.epochs or self._task.epochs) / self._task.epochs

    def _measured(self, job: Job) -> Load:
        rows = self._task.data.train.x
        with reproducible(job.seed):
            model = treated_network(self._task, job.recipe, rows, seed=job.seed).model
        model.eval()
        return load_of(model, rows[:ROWS], min(self._task.batch_size, len(rows)))


def load_of(model: nn.Module, x: torch.Tensor, batch: int) -> Load:
    """Return what a training step of a network asks of a device; a function of shapes alone.

    Args:
        model: The network, in evaluation mode.
        x: Some rows that it reads.
        batch: Rows of a training batch.
    """
    modules = list(model.modules())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    kind: Kind = "chain" if isinstance(program_for(model, x), Chain) else "mapped"
    if any(isinstance(module, CONVOLUTIONS) for module in modules):
        kind = "convolution"
    own = [m for m in modules if any(p.requires_grad for p in m.parameters(recurse=False))]
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    work = counter.get_total_flops() // 2 * batch // len(x)
    return Load(kind, max(1, len(own)), max(1, parameters), max(1, work))
