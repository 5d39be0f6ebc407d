"""How far one optimizer step moves the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import final

import torch
from torch import Tensor

from fitwell.interfaces import Probe, Reading
from fitwell.probes.layout import Layout
from fitwell.probes.norms import by_layer, norms_of
from fitwell.records import Quantity

_MOST = 65_536
"""A cosine over so many weights has a standard error of 0.004."""


@final
class Updates(Probe):
    """Reads how far a step moves every layer's weights, and whether as the step before did.

    It copies the trainable parameters before the update and subtracts them after it: on sampled
    steps only, since that takes the memory of one more set of weights. Where the step before was
    sampled too, the cosine of the two changes is read, of all weights together; of a large network,
    over some 65,000 that are evenly spaced.

    Args:
        layout: Which weights belong to which layer.
        clock: Tells the number of the step under way; without it no cosine is read.
    """

    def __init__(self, layout: Layout, *, clock: Callable[[], int] | None = None) -> None:
        self._layout = layout
        self._clock = clock
        self._last: Tensor | None = None
        self._last_step = -1
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
        changes = torch._foreach_sub(now, self._before)
        norms = norms_of(changes)
        found = by_layer(Quantity.UPDATE_NORM, self._layout, self._moving, norms)
        self._readings = [*found, *self._turn(changes)]
        self._moving, self._before = [], []

    def _turn(self, changes: Sequence[Tensor]) -> Iterable[Reading]:
        """Yield the cosine with the change in the step before, if that is known."""
        if self._clock is None:
            return
        stride = -(-sum(c.numel() for c in changes) // _MOST)
        home = changes[0].device
        change = torch.cat([c.reshape(-1)[::stride].to(home, torch.float32) for c in changes])
        step, last = self._clock(), self._last
        if last is not None and step == self._last_step + 1 and last.shape == change.shape:
            sizes = torch.dot(change, change).sqrt() * torch.dot(last, last).sqrt()
            cosine = torch.dot(change, last) / sizes.clamp_min(torch.finfo(torch.float32).tiny)
            # What is no number shows in the norms; a step that moved nothing has no direction.
            yield Reading(Quantity.UPDATE_COSINE, torch.nan_to_num(cosine).clamp(-1, 1))
        self._last, self._last_step = change, step

    def readings(self) -> Iterable[Reading]:
        """Return the norms: of everything first, then of each layer."""
        return tuple(self._readings)
