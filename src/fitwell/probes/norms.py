"""L2 norms of many tensors at once, left on their device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from fitwell.interfaces import Reading
from fitwell.probes.layout import Layout
from fitwell.records import Quantity

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
    if not norms:
        return
    yield Reading(quantity, _joined(norms))
    of = {id(tensor): norm for tensor, norm in zip(tensors, norms, strict=True)}
    for layer in layout.layers:
        own = [of[id(weight)] for weight in layer.weights if id(weight) in of]
        if own:
            yield Reading(quantity, _joined(own), layer.name)


def _joined(norms: Sequence[Tensor]) -> Tensor:
    if len(norms) == 1:
        return norms[0]
    home = norms[0].device
    joined: Tensor = torch.linalg.vector_norm(torch.stack([norm.to(home) for norm in norms]))
    return joined
