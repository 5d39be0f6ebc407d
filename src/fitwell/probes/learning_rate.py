"""How large the learning rate is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import torch

from fitwell.interfaces import Probe, Reading
from fitwell.records import Quantity


@final
class LearningRate(Probe):
    """Reads the learning rate of the first parameter group, as the update used it.

    Args:
        optimizer: What holds it.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer

    def readings(self) -> Iterable[Reading]:
        """Return the rate; a tensor of the optimizer's is copied, for it may change in place."""
        rate = self._optimizer.param_groups[0]["lr"]
        value = rate.detach().reshape(()).clone() if torch.is_tensor(rate) else torch.tensor(rate)
        return (Reading(Quantity.LEARNING_RATE, value),)
