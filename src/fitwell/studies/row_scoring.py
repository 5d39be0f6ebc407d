"""What a finished run scores on every single test row, where they are few."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor

from fitwell.records import RowScores, RunRecord
from fitwell.studies.training import Fitted, constant
from fitwell.tasks import Task

MOST_ROWS = 2000
"""Test rows up to which single ones are kept: with more, they hardly add to the uncertainty."""

RowMetric: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Outputs and targets of many rows in, one number a row out."""


def _hits(outputs: Tensor, targets: Tensor) -> Tensor:
    if targets.is_floating_point():
        return ((outputs > 0).reshape(targets.shape) == (targets > 0.5)).double()
    return (outputs.argmax(1) == targets).double()


def _absolute(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.double().reshape(targets.shape) - targets.double()).abs()


def _squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.double().reshape(targets.shape) - targets.double()).square()


ROW_METRICS: Mapping[str, RowMetric] = MappingProxyType(
    {"accuracy": _hits, "mae": _absolute, "mse": _squared}
)
"""The metrics that are means over rows."""


def with_test_rows(task: Task, fitted: Fitted) -> RunRecord:
    """Return the record of a run with the scores of its test rows.

    It stays as it is where the run was not scored on test, the test rows are many, or neither
    metric nor loss is a mean over rows: the mean must be the score that is on record.
    """
    run, split = fitted.run, task.data.test
    if run.test is None or not 0 < len(split) <= MOST_ROWS:
        return run
    outputs = constant(task, split) if fitted.outputs is None else fitted.outputs
    outputs, targets = outputs.to(split.y.device), split.y
    metric = _kept(_metric_rows(task, outputs, targets), run.test.metric)
    loss = _kept(_loss_rows(task, outputs, targets), run.test.loss)
    if not metric and not loss:
        return run
    return replace(run, test_rows=RowScores.of(metric, loss))


def _metric_rows(task: Task, outputs: Tensor, targets: Tensor) -> Tensor | None:
    function = ROW_METRICS.get(task.metric_name)
    if function is None:
        return None
    preprocess = task.data.preprocess
    if preprocess is not None:
        outputs, targets = preprocess.restored(outputs), preprocess.restored(targets)
    return function(outputs, targets)


def _loss_rows(task: Task, outputs: Tensor, targets: Tensor) -> Tensor | None:
    def of_one(output: Tensor, target: Tensor) -> Tensor:
        return task.loss_fn(output[None], target[None])

    try:
        rows: Tensor = torch.func.vmap(of_one)(outputs, targets)
    except (RuntimeError, ValueError, TypeError, IndexError):
        return None  # a loss of the user's own that cannot be taken row by row
    return rows


def _kept(rows: Tensor | None, score: float) -> list[float]:
    """Return one number a row if their mean is the score, else nothing."""
    if rows is None:
        return []
    each = rows.double().reshape(len(rows), -1).mean(1)
    same = math.isclose(float(each.mean()), score, rel_tol=1e-4, abs_tol=1e-6)
    return each.tolist() if same else []
