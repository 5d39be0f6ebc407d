"""Which parameters got no gradient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import final

import torch
from torch import nn

from fitwell.interfaces import Probe, Reading
from fitwell.probes.membership import held_by
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
        held = {id(p) for p in held_by(*optimizers)}
        self._owned = [
            (name.rpartition(".")[0], parameter)
            for name, parameter in model.named_parameters()
            if id(parameter) in held
        ]
        self._missing: Counter[str] = Counter()

    def before_update(self) -> None:
        """Count what is without a gradient."""
        self._missing = Counter(
            module for module, p in self._owned if p.grad is None and p.requires_grad
        )

    def readings(self) -> Iterable[Reading]:
        """Return one reading for each module that has such a parameter."""
        return by_module(self._missing)


def by_module(missing: Mapping[str, int]) -> tuple[Reading, ...]:
    """Return one reading a module, given how many of its parameters got no gradient."""
    return tuple(
        Reading(Quantity.GRADIENTLESS, torch.tensor(float(number)), module)
        for module, number in missing.items()
    )
