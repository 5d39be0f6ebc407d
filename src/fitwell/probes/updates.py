"""How far one optimizer step moves the weights."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import final

import torch
from torch import Tensor

from fitwell.interfaces import Probe, Reading
from fitwell.probes.layout import Layout
from fitwell.probes.norms import by_layer, norms_of
from fitwell.records import Quantity


@final
class Updates(Probe):
    """Reads the L2 norm of the change of every layer's weights in one step.

    It copies the trainable parameters before the update and subtracts them after it: on sampled
    steps only, since that takes the memory of one more set of weights.

    Args:
        layout: Which weights belong to which layer.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._moving: list[Tensor] = []
        self._before: list[Tensor] = []
        self._readings: list[Reading] = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._moving, self._before = [], []

    @torch.no_grad()
    def before_update(self) -> None:
        """Keep a copy of the trainable parameters."""
        self._moving = [p for p in self._layout.parameters if p.requires_grad]
        self._before = [p.detach().clone() for p in self._moving]

    @torch.no_grad()
    def after_update(self) -> None:
        """Subtract, and drop the copy."""
        if not self._before:
            return
        now = [p.detach() for p in self._moving]
        norms = norms_of(torch._foreach_sub(now, self._before))
        found = by_layer(Quantity.UPDATE_NORM, self._layout, self._moving, norms)
        self._readings = list(found)
        self._moving, self._before = [], []

    def readings(self) -> Iterable[Reading]:
        """Return the norms: of everything first, then of each layer."""
        return tuple(self._readings)
