"""Metrics by name: outputs and targets of many rows in, one number out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias, final

import torch
from torch import Tensor

from fitwell.errors import TaskError
from fitwell.tasks.losses import like, named

Score: TypeAlias = Callable[[Tensor, Tensor], "float | Tensor"]


@final
@dataclass(frozen=True)
class Metric:
    """A score over all rows of a split.

    Args:
        name: Its name, as ``"accuracy"``.
        function: Outputs, targets -> number.
        higher_is_better: Which way it points.
        of_classes: Whether it scores classes; False for numbers, None for a user's own.
    """

    name: str
    function: Score
    higher_is_better: bool
    of_classes: bool | None

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        """Return the score as a number."""
        return float(self.function(outputs, like(outputs, targets)))


def _decided(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Predicted and true classes, flat; float targets are zeros and ones scored by logits."""
    if targets.is_floating_point():
        return (outputs > 0).long().flatten(), targets.round().long().flatten()
    return outputs.argmax(1).flatten(), targets.flatten()


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Share of rows whose class is predicted, in [0, 1]."""
    predicted, true = _decided(outputs, targets)
    return float((predicted == true).double().mean())


def balanced_accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Mean over the classes present of the share of their rows predicted, in [0, 1]."""
    predicted, true = _decided(outputs, targets)
    hits = [(predicted[true == c] == c).double().mean() for c in torch.unique(true)]
    return float(torch.stack(hits).mean())


def macro_f1(outputs: Tensor, targets: Tensor) -> float:
    """Mean over the classes present or predicted of their F1 score, in [0, 1]."""
    predicted, true = _decided(outputs, targets)
    scores = []
    for c in torch.unique(torch.cat([predicted, true])):
        both = ((predicted == c) & (true == c)).sum().double()
        scores.append(2 * both / ((predicted == c).sum() + (true == c).sum()))
    return float(torch.stack(scores).mean())


def r2(outputs: Tensor, targets: Tensor) -> float:
    """Share of the targets' variance that is explained, averaged over outputs; at most 1."""
    outputs, targets = _columns(outputs), _columns(targets)
    residual = (targets - outputs).square().sum(0)
    total = (targets - targets.mean(0)).square().sum(0)
    constant = torch.where(residual == 0, 1.0, 0.0).double()
    return float(torch.where(total > 0, 1 - residual / total.clamp(min=1e-300), constant).mean())


def mae(outputs: Tensor, targets: Tensor) -> float:
    """Mean absolute error."""
    return float((_columns(outputs) - _columns(targets)).abs().mean())


def mse(outputs: Tensor, targets: Tensor) -> float:
    """Mean squared error."""
    return float((_columns(outputs) - _columns(targets)).square().mean())


def rmse(outputs: Tensor, targets: Tensor) -> float:
    """Square root of the mean squared error."""
    return math.sqrt(mse(outputs, targets))


def _columns(values: Tensor) -> Tensor:
    """As (rows, outputs), in double precision."""
    return values.double().reshape(len(values), -1)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("accuracy", accuracy, True, True),
            Metric("balanced_accuracy", balanced_accuracy, True, True),
            Metric("macro_f1", macro_f1, True, True),
            Metric("r2", r2, True, False),
            Metric("mae", mae, False, False),
            Metric("mse", mse, False, False),
            Metric("rmse", rmse, False, False),
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
