"""How far one optimizer step moves the weights."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import final

import torch
from torch import Tensor

from fitwell.interfaces import Numbers, Probe, Reading
from fitwell.probes.layout import Layout
from fitwell.probes.norms import LayerNorms, as_readings, norms_of
from fitwell.records import Quantity


@final
class Updates(Probe):
    """Reads the L2 norm of the change of every layer's weights in one step.

    It copies the trainable parameters before the update and subtracts them after it: on sampled
    steps only, since that takes the memory of one more set of weights.

    Args:
        layout: Which weights belong to which layer.
        keep: Whether to keep the memory of the copy from step to step: where every step is
            sampled, new memory would cost more than the copying.
    """

    def __init__(self, layout: Layout, *, keep: bool = False) -> None:
        self._layout = layout
        self._layers = LayerNorms(Quantity.UPDATE_NORM, layout)
        self._keep = keep
        self._memory: list[Tensor] = []
        self._moving: list[Tensor] = []
        self._before: list[Tensor] = []
        self._found: list[Numbers] = []

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
        self._found = []
        moving = [p for p in self._layout.parameters if p.requires_grad]
        now = [p.detach() for p in moving]
        if self._memory and _alike(self._memory, now):
            self._before, self._memory = self._memory, []
            torch._foreach_copy_(self._before, now)
        else:
            self._before = [p.clone() for p in now]
        self._moving = moving

    @torch.no_grad()
    def after_update(self) -> None:
        """Subtract, and drop the copy."""
        if not self._before:
            return
        torch._foreach_sub_(self._before, [p.detach() for p in self._moving])
        self._found = self._layers.numbers(self._moving, norms_of(self._before))
        self._memory = self._before if self._keep else []
        self._moving, self._before = [], []

    def numbers(self) -> Iterable[Numbers]:
        """Return the norms, one a parameter, to be put together."""
        return self._found

    def readings(self) -> Iterable[Reading]:
        """Return the norms: of everything first, then of each layer."""
        return tuple(as_readings(self._found))


def _alike(memory: list[Tensor], tensors: list[Tensor]) -> bool:
    return len(memory) == len(tensors) and all(
        m.shape == t.shape and m.dtype == t.dtype and m.device == t.device
        for m, t in zip(memory, tensors, strict=True)
    )
