"""Metrics by name: outputs and targets of many rows in, one number out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias, final

import torch
from torch import Tensor

from fitwell.errors import TaskError
from fitwell.tasks.losses import like, named

Score: TypeAlias = Callable[[Tensor, Tensor], Any]
"""Outputs, targets -> a number, or a tensor of one."""


@final
@dataclass(frozen=True)
class Metric:
    """A score over all rows of a split.

    Args:
        name: Its name, as ``"accuracy"``.
        function: Outputs, targets -> number.
        higher_is_better: Which way it points.
        of_classes: Whether it scores classes; False for numbers, None for a user's own.
        stacks: Whether the function takes outputs and targets of many runs (runs, rows, ...), and
            returns a score for each in double precision.
    """

    name: str
    function: Score
    higher_is_better: bool
    of_classes: bool | None
    stacks: bool = False

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        """Return the score as a number."""
        targets = like(outputs, targets)
        if self.stacks:
            return float(self.function(outputs[None], targets[None]))
        return float(self.function(outputs, targets))


def _decided(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Predicted and true classes (runs, rows); float targets are zeros and ones, outputs logits."""
    if targets.is_floating_point():
        return (outputs > 0).long().flatten(1), targets.round().long().flatten(1)
    return outputs.argmax(2).flatten(1), targets.flatten(1)


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of rows whose class is predicted, in [0, 1]."""
    predicted, true = _decided(outputs, targets)
    return (predicted == true).sum(1).double() / true.shape[1]


def balanced_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over the classes present of the share of their rows predicted, in [0, 1]."""
    predicted, true = _decided(outputs, targets)
    shares = []
    for c in torch.unique(true):
        there = true == c
        shares.append((there & (predicted == c)).sum(1).double() / there.sum(1))
    return torch.stack(shares, 1).nanmean(1)


def macro_f1(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over the classes present or predicted of their F1 score, in [0, 1]."""
    predicted, true = _decided(outputs, targets)
    scores = []
    for c in torch.unique(torch.cat([predicted, true])):
        there, claimed = true == c, predicted == c
        both = (there & claimed).sum(1).double()
        scores.append(2 * both / (there.sum(1) + claimed.sum(1)))
    return torch.stack(scores, 1).nanmean(1)


def r2(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of the targets' variance that is explained, averaged over outputs; at most 1."""
    outputs, targets = _columns(outputs), _columns(targets)
    residual = (targets - outputs).square().sum(1)
    total = (targets - targets.mean(1, keepdim=True)).square().sum(1)
    constant = torch.where(residual == 0, 1.0, 0.0).double()
    return torch.where(total > 0, 1 - residual / total.clamp(min=1e-300), constant).mean(1)


def mae(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error."""
    return (_columns(outputs) - _columns(targets)).abs().mean((1, 2))


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error."""
    return (_columns(outputs) - _columns(targets)).square().mean((1, 2))


def rmse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Square root of the mean squared error."""
    return mse(outputs, targets).sqrt()


def _columns(values: Tensor) -> Tensor:
    """As (runs, rows, outputs), in double precision."""
    return values.double().reshape(*values.shape[:2], -1)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("accuracy", accuracy, True, True, stacks=True),
            Metric("balanced_accuracy", balanced_accuracy, True, True, stacks=True),
            Metric("macro_f1", macro_f1, True, True, stacks=True),
            Metric("r2", r2, True, False, stacks=True),
            Metric("mae", mae, False, False, stacks=True),
            Metric("mse", mse, False, False, stacks=True),
            Metric("rmse", rmse, False, False, stacks=True),
        )
    }
)
"""The metrics that a task can name."""


def metric_of(given: str | Score, higher_is_better: bool | None) -> Metric:
    """Return the metric that a name or a callable stands for.

    Args:
        given: A name, or a callable (outputs, targets) -> number over all rows of a split.
        higher_is_better: Which way a callable points; required for one.

    Raises:
        TaskError: If the name is unknown, a callable comes without a direction, or the direction
            contradicts a named metric.
    """
    if isinstance(given, str):
        metric = named(given, METRICS, "metric")
        if higher_is_better not in (None, metric.higher_is_better):
            raise TaskError(
                f"higher_is_better={higher_is_better} contradicts the metric {metric.name!r}: "
                "leave it out, or give a metric function of your own."
            )
        return metric
    if not callable(given):
        raise TaskError(
            f"A metric is a name or a callable (outputs, targets) -> number, got {given!r}: "
            f"the names are {', '.join(METRICS)}."
        )
    name = getattr(given, "__name__", type(given).__name__)
    if higher_is_better is None:
        raise TaskError(
            f"The metric function {name!r} needs a direction: "
            "add higher_is_better=True or higher_is_better=False."
        )
    return Metric(name, given, higher_is_better, None)
