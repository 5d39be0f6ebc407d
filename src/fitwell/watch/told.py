"""A loss module that computes nothing: it is told what was computed elsewhere."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class ToldLoss(nn.Module):
    """Stands where a watch expects the loss module of a loop that has none.

    Whoever listens to the calls of a loss module, by forward hooks, hears of a loss that a
    function, a method of the model or another framework has computed.
    """

    reduction = "mean"
    ignore_index: int | None = None
    """Target that the loss leaves out, where it has one."""

    def __init__(self) -> None:
        super().__init__()
        self._value = torch.tensor(0.0)

    def forward(self, outputs: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return the loss that it was told of."""
        return self._value

    def tell(
        self, value: Tensor, outputs: Tensor, targets: Tensor | None = None, *, training: bool
    ) -> None:
        """Say what was computed.

        Args:
            value: The loss, a mean over the rows.
            outputs: What the network put out.
            targets: What it should have put out, if known.
            training: Whether the network is trained on this loss; ``self.training`` says so too.
        """
        self.train(training)
        self._value = value.detach().clone().requires_grad_(training)
        given = outputs.detach()
        with torch.set_grad_enabled(training):
            if training and given.is_floating_point():
                given.requires_grad_()
            if targets is None:
                self(given)
            else:
                self(given, targets.detach())
