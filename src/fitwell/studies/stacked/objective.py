"""What every run goes down on: the losses of all, and the gradient at their outputs."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from fitwell.recipe.stacked import StackedRecipe
from fitwell.tasks import Task


@final
class Objective:
    """The training loss of every run, and its gradient.

    Args:
        task: Gives the loss.
        recipe: What changes it.
    """

    def __init__(self, task: Task, recipe: StackedRecipe) -> None:
        self._task = task
        self._loss = recipe.loss(self._plain)

    @torch.enable_grad()
    def __call__(self, outputs: Tensor, targets: Any) -> tuple[Tensor, Tensor]:
        """Return the losses (runs,), and the gradient of their sum at the outputs.

        Args:
            outputs: Outputs of all runs (runs, batch, ...).
            targets: Targets of all runs, as :meth:`StackedRecipe.batch` returned them.
        """
        leaf = outputs.detach().requires_grad_()
        losses = self._loss(leaf, targets)
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        return losses.detach(), gradient

    def _plain(self, outputs: Tensor, targets: Tensor) -> Tensor:
        pairs = zip(outputs.unbind(), targets.unbind(), strict=True)
        return torch.stack([self._task.loss_fn(own, y) for own, y in pairs])
