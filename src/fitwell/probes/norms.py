"""L2 norms of many tensors at once, left on their device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import final

import torch
from torch import Tensor

from fitwell.interfaces import Numbers, Reading
from fitwell.probes.layout import Layout
from fitwell.records import Quantity, Row

_HALVES = (torch.float16, torch.bfloat16)


def norms_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the L2 norm of each tensor, as tensors without dimensions.

    Half-precision tensors are summed and returned in float32: their squares overflow at 65,504.
    Sparse gradients count their stored values.
    """
    if not tensors:
        return []
    dense = [t.coalesce().values() if t.is_sparse else t for t in tensors]
    wide = torch.float32 if any(t.dtype in _HALVES for t in dense) else None
    return list(torch._foreach_norm(dense, 2, wide))


def joined(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return tensors without dimensions as one of one axis, where they lie on one device."""
    if len(tensors) < 2 or len({t.device for t in tensors}) > 1:
        return list(tensors)
    return [torch.stack(list(tensors))]


def as_readings(found: Iterable[Reading | Numbers]) -> Iterator[Reading]:
    """Yield what a probe took as readings, one a number; the device is waited for."""
    for one in found:
        if isinstance(one, Reading):
            yield one
            continue
        for row in one.finish(plain(one.values)):
            value = torch.tensor(row.value)
            yield Reading(row.quantity, value, row.module, row.call, row.count, row.phase)


def plain(values: Sequence[Tensor]) -> list[float]:
    """Return the numbers in tensors of at most one axis, in order."""
    numbers: list[float] = []
    for value in values:
        listed = value.tolist()
        numbers += listed if isinstance(listed, list) else [listed]
    return numbers


@final
class LayerNorms:
    """Puts norms of parameters together to norms of layers, when somebody asks.

    Args:
        quantity: What the norms are norms of.
        layout: Which weights belong to which layer.
    """

    def __init__(self, quantity: Quantity, layout: Layout) -> None:
        self._quantity = quantity
        self._layers = [(layer.name, [id(w) for w in layer.weights]) for layer in layout.layers]

    def numbers(
        self, parameters: Sequence[Tensor], norms: Sequence[Tensor], scale: Tensor | None = None
    ) -> list[Numbers]:
        """Return the norm over everything, then over each layer's weights.

        Args:
            parameters: What the norms were taken for.
            norms: One norm a parameter.
            scale: What all are to be divided by.
        """
        if not norms:
            return []
        values = joined(norms)
        if scale is not None:
            values = [value / scale.to(value.device) for value in values]
        owners = [id(parameter) for parameter in parameters]

        def finish(numbers: Sequence[float]) -> Iterator[Row]:
            of = dict(zip(owners, numbers, strict=True))
            yield Row(0, self._quantity, _norm(numbers))
            for name, weights in self._layers:
                own = [of[weight] for weight in weights if weight in of]
                if own:
                    yield Row(0, self._quantity, _norm(own), name)

        return [Numbers(values, finish)]


def by_layer(
    quantity: Quantity, layout: Layout, tensors: Sequence[Tensor], norms: Sequence[Tensor]
) -> Iterator[Reading]:
    """Yield the norm over everything, then the norm over each layer's weights.

    Args:
        quantity: What the norms are norms of.
        layout: Which weights belong to which layer.
        tensors: The parameters that the norms were taken for.
        norms: One norm a parameter.
    """
    return as_readings(LayerNorms(quantity, layout).numbers(tensors, norms))


def _norm(numbers: Sequence[float]) -> float:
    """Norm of norms; it neither overflows nor underflows, and a NaN stays one."""
    return math.nan if any(math.isnan(n) for n in numbers) else math.hypot(*numbers)
