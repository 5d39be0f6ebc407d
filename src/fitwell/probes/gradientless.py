"""Which parameters got no gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

import torch
from torch import nn

from fitwell.interfaces import Probe, Reading
from fitwell.records import Quantity


@final
class Gradientless(Probe):
    """Counts, for each module, the parameters that the optimizers hold and that got no gradient.

    A parameter that requires no gradient is not counted, nor one whose gradient is zero: it was
    part of what was computed.

    Args:
        model: The network.
        optimizers: What trains it.
    """

    def __init__(self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        held = {id(p) for o in optimizers for group in o.param_groups for p in group["params"]}
        self._owned = [
            (name.rpartition(".")[0], parameter)
            for name, parameter in model.named_parameters()
            if id(parameter) in held
        ]
        self._missing: dict[str, int] = {}

    def before_update(self) -> None:
        """Count what is without a gradient."""
        self._missing = {}
        for module, parameter in self._owned:
            if parameter.grad is None and parameter.requires_grad:
                self._missing[module] = self._missing.get(module, 0) + 1

    def readings(self) -> Iterable[Reading]:
        """Return one reading for each module that has such a parameter."""
        return tuple(
            Reading(Quantity.GRADIENTLESS, torch.tensor(float(number)), module)
            for module, number in self._missing.items()
        )
