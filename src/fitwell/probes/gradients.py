"""How large the gradients are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor

from fitwell.interfaces import Numbers, Probe, Reading
from fitwell.probes.layout import Layout
from fitwell.probes.norms import LayerNorms, as_readings, norms_of
from fitwell.records import Quantity


@final
class Gradients(Probe):
    """Reads the L2 norm of every layer's weight gradient, and of the whole gradient.

    The gradient is the one that the optimizer is about to see: after accumulation, clipping and
    unscaling. Where ``GradScaler`` hands scaled gradients to a fused optimizer, they are divided
    by ``optimizer.grad_scale``. Parameters without a gradient are left out. No hook is needed.

    Args:
        layout: Which weights belong to which layer.
        optimizer: What may hold a ``grad_scale``.
    """

    def __init__(self, layout: Layout, optimizer: torch.optim.Optimizer | None = None) -> None:
        self._optimizer = optimizer
        self._parameters = layout.parameters
        self._layers = LayerNorms(Quantity.GRADIENT_NORM, layout)
        self._found: list[Numbers] = []

    @torch.no_grad()
    def before_update(self) -> None:
        """Read the gradients that lie in ``.grad``."""
        having: list[Tensor] = []
        gradients: list[Tensor] = []
        for parameter in self._parameters:
            gradient = parameter.grad
            if gradient is not None:
                having.append(parameter)
                gradients.append(gradient)
        scale = getattr(self._optimizer, "grad_scale", None)
        self._found = self._layers.numbers(having, norms_of(gradients), scale)

    def numbers(self) -> Iterable[Numbers]:
        """Return the norms, one a parameter, to be put together."""
        return self._found

    def readings(self) -> Iterable[Reading]:
        """Return the norms: of everything first, then of each layer."""
        return tuple(as_readings(self._found))
