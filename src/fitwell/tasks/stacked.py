"""Losses and metrics of many runs at once: outputs (runs, rows, ...) in, one number a run out."""

from __future__ import annotations

import warnings
from typing import final

import torch
from torch import Tensor

from fitwell.tasks.losses import Loss, like
from fitwell.tasks.metrics import Metric

_IGNORED = -100
"""Class number that PyTorch's losses leave out of the mean."""

_UNFIT = (RuntimeError, ValueError, TypeError, LookupError, AttributeError)
"""What a function raises that cannot be mapped over runs, as one that asks for a number."""


@final
class StackedLoss:
    """The mean loss of every run, each as alone, to floating-point tolerance.

    PyTorch's own losses are computed for all rows in one pass. A loss of the user's is mapped over
    the runs by ``torch.func.vmap``; if it cannot be, or that gives other numbers than one run after
    the other in the first batch, it is called once a run.

    Args:
        loss: The loss of one run.
    """

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._maps: bool | None = None

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the losses (runs,).

        Args:
            outputs: Outputs of all runs (runs, rows, ...).
            targets: Targets of all runs (runs, rows, ...).
        """
        if self._loss.of_rows is not None:
            return _means(self._loss, outputs, like(outputs, targets))
        if self._maps is None:
            self._maps = self._can_be_mapped(outputs.detach(), targets)
        if self._maps:
            try:
                return self._mapped(outputs, targets)
            except _UNFIT:
                self._maps = False
        return self._each(outputs, targets)

    def _mapped(self, outputs: Tensor, targets: Tensor) -> Tensor:
        losses: Tensor = torch.func.vmap(self._loss)(outputs, targets)
        return losses

    def _each(self, outputs: Tensor, targets: Tensor) -> Tensor:
        pairs = zip(outputs, targets, strict=True)
        return torch.stack([self._loss(own, target) for own, target in pairs])

    @torch.no_grad()
    def _can_be_mapped(self, outputs: Tensor, targets: Tensor) -> bool:
        expected = self._each(outputs, targets)
        with warnings.catch_warnings():
            # Where torch cannot map an operation, it warns and is slower than run by run.
            warnings.simplefilter("error")
            try:
                mapped = self._mapped(outputs, targets)
            except (*_UNFIT, Warning):
                return False
        same = mapped.shape == expected.shape
        return same and torch.allclose(mapped, expected, rtol=1e-4, atol=1e-6, equal_nan=True)


def _means(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the means over the rows of every run, without the rows that the loss ignores."""
    assert loss.of_rows is not None
    of_classes = not targets.is_floating_point()
    if of_classes and outputs.dim() == 3:
        # With the rows last, the kernels go along them in vector registers.
        losses = loss.of_rows(outputs.mT.contiguous(), targets)
    else:
        losses = loss.of_rows(outputs.flatten(0, 1), targets.flatten(0, 1))
    losses = losses.reshape(len(outputs), -1)
    if not of_classes:
        return losses.mean(1)
    return losses.sum(1) / (targets != _IGNORED).flatten(1).sum(1)


def stacked_metric(metric: Metric, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the scores (runs,) in double precision, each as alone.

    A metric of the user's is called once a run: it may be of any library, and is not called often.

    Args:
        metric: The metric of one run.
        outputs: Outputs of all runs (runs, rows, ...).
        targets: Targets of all runs (runs, rows, ...).
    """
    if metric.stacks:
        scores: Tensor = metric.function(outputs, like(outputs, targets))
        return scores
    pairs = zip(outputs, targets, strict=True)
    each = [metric(own, target) for own, target in pairs]
    return torch.tensor(each, dtype=torch.float64, device=outputs.device)
