"""How large the gradients are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import torch

from fitwell.interfaces import Probe, Reading
from fitwell.probes.layout import Layout
from fitwell.probes.norms import by_layer, norms_of
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
        self._layout = layout
        self._optimizer = optimizer
        self._readings: list[Reading] = []

    @torch.no_grad()
    def before_update(self) -> None:
        """Read the gradients that lie in ``.grad``."""
        pairs = [(p, p.grad) for p in self._layout.parameters if p.grad is not None]
        norms = norms_of([gradient for _, gradient in pairs])
        scale = getattr(self._optimizer, "grad_scale", None)
        if scale is not None:
            norms = [norm / scale for norm in norms]
        found = by_layer(Quantity.GRADIENT_NORM, self._layout, [p for p, _ in pairs], norms)
        self._readings = list(found)

    def readings(self) -> Iterable[Reading]:
        """Return the norms: of everything first, then of each layer."""
        return tuple(self._readings)
