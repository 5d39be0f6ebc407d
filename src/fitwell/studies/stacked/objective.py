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
        self._loss = recipe.loss(task.stacked_loss)
        y = task.data.train.y
        changed = recipe.needs("on_loss") or recipe.needs("on_batch")
        plain = task.has_plain_cross_entropy and not changed
        self._by_hand = plain and y.dim() == 1 and not y.is_floating_point() and bool(y.min() >= 0)

    def __call__(self, outputs: Tensor, targets: Any) -> tuple[Tensor, Tensor]:
        """Return the losses (runs,), and the gradient of their sum at the outputs.

        Args:
            outputs: Outputs of all runs (runs, batch, ...).
            targets: Targets of all runs, as :meth:`StackedRecipe.batch` returned them.
        """
        if self._by_hand and outputs.dim() == 3:
            return cross_entropies(outputs, targets)
        with torch.enable_grad():
            leaf = outputs.detach().requires_grad_()
            losses = self._loss(leaf, targets)
            (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        return losses.detach(), gradient


def cross_entropies(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy of every run, and the gradient of their sum.

    The gradient is the predicted probability, less 1 for the true class, over the batch.

    Args:
        outputs: Logits (runs, batch, classes).
        targets: Classes (runs, batch).
    """
    # With the rows last, the kernels go along them in vector registers.
    true = targets.unsqueeze(1)
    logs = torch.log_softmax(outputs.mT.contiguous(), 1)
    losses = logs.gather(1, true).mean((1, 2)).neg_()
    share = 1.0 / targets.shape[1]
    gradient = logs.exp_().mul_(share)
    gradient.scatter_add_(1, true, gradient.new_full((), -share).expand_as(true))
    return losses, gradient.mT
