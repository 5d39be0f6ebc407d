"""Networks of many runs evaluated together."""

from __future__ import annotations

import torch
from torch import Tensor

from fitwell.records import Score
from fitwell.studies.stacked.program import Program
from fitwell.tasks import Split, Task

ROWS = 256
"""Rows of one forward pass: what bounds the memory, and stays in the cache for a few runs."""


@torch.no_grad()
def outputs_of(program: Program, x: Tensor, rows: Tensor | None, runs: int) -> Tensor:
    """Return the outputs (runs, rows, ...) in evaluation mode.

    Args:
        program: Bound to the weights.
        x: Rows that are there.
        rows: Numbers of those to evaluate (runs, rows); None for all, the same in every run.
        runs: Number of runs.
    """
    if rows is None:
        parts = [part.expand(runs, *part.shape) for part in torch.split(x, ROWS)]
        return torch.cat([program.evaluate(part).clone() for part in parts], 1)
    parts = [x[part] for part in torch.split(rows, ROWS, 1)]
    return torch.cat([program.evaluate(part).clone() for part in parts], 1)


@torch.no_grad()
def scores_of(
    program: Program, task: Task, split: Split, rows: Tensor | None, runs: int
) -> list[Score]:
    """Return metric and mean loss of every run; arguments as for :func:`outputs_of`."""
    outputs = outputs_of(program, split.x, rows, runs)
    y = split.y.expand(runs, *split.y.shape) if rows is None else split.y[rows]
    metrics = task.stacked_metric(outputs, y).tolist()
    losses = task.stacked_loss(outputs, y).tolist()
    return [Score(float(m), float(loss)) for m, loss in zip(metrics, losses, strict=True)]
