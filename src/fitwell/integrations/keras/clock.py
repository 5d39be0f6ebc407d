"""The steps of a Keras optimizer as those of an optimizer of torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from fitwell.integrations.keras.network import KerasNetwork


@final
class KerasSteps(torch.optim.Optimizer):
    """Makes the steps that a Keras optimizer makes, so that the hooks of torch hear of them.

    Args:
        optimizer: The optimizer of Keras, built or not.
        network: What it trains.
    """

    def __init__(self, optimizer: Any, network: KerasNetwork) -> None:
        self._optimizer = optimizer
        self._network = network
        self._update: Callable[[], object] | None = None
        self.apply: Callable[..., Any] = optimizer.apply
        super().__init__(list(network.parameters()), {"lr": self._rate()})

    def follow(self, optimizer: Any) -> None:
        """Go on with the optimizer of a model that was compiled anew, if it is another one."""
        if optimizer is not self._optimizer:
            self._optimizer, self.apply = optimizer, optimizer.apply

    def __call__(self, gradients: Any, variables: Any = None) -> None:
        """Stand in place of the Keras optimizer's ``apply``."""
        self._network.show_gradients()
        self.param_groups[0]["lr"] = self._rate()
        self._update = lambda: self.apply(gradients, variables)
        self.step()
        self._update = None

    def step(self, closure: Any = None) -> Any:
        """Make the step of the Keras optimizer."""
        if self._update is not None:
            self._update()

    def _rate(self) -> Any:
        rate = self._optimizer._get_current_learning_rate()
        value = getattr(rate, "value", rate)
        return value.detach().clone() if isinstance(value, Tensor) else float(value)
