"""How far one optimizer step moves the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import final

import torch
from torch import Tensor

from fitwell.interfaces import Numbers, Probe, Reading
from fitwell.probes.layout import Layout
from fitwell.probes.norms import LayerNorms, as_readings, joined, norms_of
from fitwell.records import Quantity, Row

_SLICE = 4096
"""So many numbers of a parameter, its first, stand for its direction: their cosine differs
from that of all by 0.06 in the median, 0.18 at most (five MLPs of 84,000 weights on digits, 60
steps of SGD), and they can be kept from step to step."""


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
        keep: Whether to keep the memory of the copy from step to step: where every step is
            sampled, new memory would cost more than the copying.
    """

    def __init__(
        self, layout: Layout, *, clock: Callable[[], int] | None = None, keep: bool = False
    ) -> None:
        self._layout = layout
        self._clock = clock
        self._last: Tensor | None = None
        self._last_step = -1
        self._layers = LayerNorms(Quantity.UPDATE_NORM, layout)
        self._keep = keep
        self._memory: list[Tensor] = []
        self._moving: list[Tensor] = []
        self._before: list[Tensor] = []
        self._found: list[Reading | Numbers] = []

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
        norms = self._layers.numbers(self._moving, norms_of(self._before))
        self._found = [*norms, *self._turn(self._before)]
        self._memory = self._before if self._keep else []
        self._moving, self._before = [], []

    def _turn(self, changes: Sequence[Tensor]) -> Iterable[Numbers]:
        """Yield the cosine with the change in the step before, if that is known."""
        if self._clock is None:
            return
        home = changes[0].device
        parts = [c.reshape(-1)[:_SLICE].to(home, torch.float32) for c in changes]
        change = torch.cat(parts)
        step, last = self._clock(), self._last
        if last is not None and step == self._last_step + 1 and last.shape == change.shape:
            yield Numbers(joined([torch.dot(change, last), *norms_of([change, last])]), _cosine)
        self._last, self._last_step = change, step

    def numbers(self) -> Iterable[Reading | Numbers]:
        """Return the norms, one a parameter, to be put together."""
        return self._found

    def readings(self) -> Iterable[Reading]:
        """Return the norms: of everything first, then of each layer."""
        return tuple(as_readings(self._found))


def _cosine(numbers: Sequence[float]) -> Iterator[Row]:
    """Cosine from a product and two norms; what moved nothing, or is no number, turns nowhere."""
    product, *sizes = numbers
    size = sizes[0] * sizes[1]
    cosine = product / size if size > 0 and math.isfinite(product) and math.isfinite(size) else 0.0
    yield Row(0, Quantity.UPDATE_COSINE, max(-1.0, min(1.0, cosine)))


def _alike(memory: list[Tensor], tensors: list[Tensor]) -> bool:
    return len(memory) == len(tensors) and all(
        m.shape == t.shape and m.dtype == t.dtype and m.device == t.device
        for m, t in zip(memory, tensors, strict=True)
    )
