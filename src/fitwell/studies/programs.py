"""What the runs of a task are as programs: which go together, and what one asks of a device."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import final
from weakref import WeakKeyDictionary

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


_loads: WeakKeyDictionary[Task, dict[tuple[Hashable, str], Load | None]] = WeakKeyDictionary()
"""What was found out in this process; it depends on task and structure alone."""


@final
@dataclass(frozen=True)
class Programs:
    """What runs of a task have in common; a network of each structure is built once a process.

    Args:
        task: What is trained.
        device: Where.
    """

    task: Task
    device: str = "cpu"

    def key(self, job: Job) -> Hashable:
        """Return what jobs must share to train as one program; it builds nothing."""
        return structure(self.task, job)

    def load(self, job: Job) -> Load | None:
        """Return what a run asks of the device, or None if such runs have to train alone."""
        known = _loads.setdefault(self.task, {})
        key = self.key(job), self.device
        if key not in known:
            alone = stackable(self.task, job, self.device)
            known[key] = None if alone else self._measured(job)
        return known[key]

    def length(self, job: Job) -> float:
        """Return the length of a run as a share of the task's own epochs."""
        return (job.epochs or self.task.epochs) / self.task.epochs

    def _measured(self, job: Job) -> Load:
        rows = self.task.data.train.x
        with reproducible(job.seed):
            model = treated_network(self.task, job.recipe, rows, seed=job.seed).model
        model.eval()
        return load_of(model, rows[:ROWS], min(self.task.batch_size, len(rows)))


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
