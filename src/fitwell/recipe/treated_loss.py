"""A loss in which a recipe acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from fitwell.interfaces import Mixed
from fitwell.recipe import printed


@final
class TreatedLoss:
    """A loss that the recipe changes in training, and leaves alone in evaluation.

    Targets of mixed rows are accepted in both.

    Args:
        on_loss: Changes a loss, given outputs and targets too.
        loss_fn: The mean loss of a batch; of a stack, that of every run.
        count: Called with every training loss.
    """

    def __init__(
        self,
        on_loss: Callable[[Tensor, Any, Any], Tensor],
        loss_fn: Callable[[Any, Any], Tensor],
        count: Callable[[], None],
    ) -> None:
        self._on_loss, self._loss_fn, self._count = on_loss, loss_fn, count

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss of a batch."""
        training = torch.is_grad_enabled()
        if training:
            self._count()
        loss_fn = self._treated if training else self._loss_fn
        if isinstance(targets, Mixed):
            return printed.mixed_loss(loss_fn, outputs, targets)
        return loss_fn(outputs, targets)

    def _treated(self, outputs: Any, targets: Any) -> Tensor:
        return self._on_loss(self._loss_fn(outputs, targets), outputs, targets)
