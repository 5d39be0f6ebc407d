"""How large the weights are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor

from fitwell.interfaces import Probe, Reading
from fitwell.probes.layout import Layout
from fitwell.probes.norms import by_layer, norms_of
from fitwell.records import Quantity


@final
class Weights(Probe):
    """Reads the L2 norm of every layer's weights and of all parameters, before the update.

    Args:
        layout: Which weights belong to which layer.
        spread: Whether to read also how far a layer's units differ from each other, before the
            first update that this probe sees.
    """

    def __init__(self, layout: Layout, *, spread: bool = False) -> None:
        self._layout = layout
        self._spread = spread
        self._readings: list[Reading] = []

    @torch.no_grad()
    def before_update(self) -> None:
        """Read the weights as the forward pass used them."""
        every = list(self._layout.parameters)
        norms = norms_of(every)
        found = list(by_layer(Quantity.WEIGHT_NORM, self._layout, every, norms))
        if self._spread:
            found += [
                Reading(Quantity.UNIT_SPREAD, _unit_spread(layer.weights), layer.name)
                for layer in self._layout.layers
            ]
            self._spread = False
        self._readings = found

    def readings(self) -> Iterable[Reading]:
        """Return the norms: of everything first, then of each layer."""
        return tuple(self._readings)


def _unit_spread(weights: tuple[Tensor, ...]) -> Tensor:
    """Root mean square distance of the units' weights from the mean unit, over their RMS.

    Weights are (units, inputs, *space). Where a layer has several matrices, the largest counts:
    one that differs is enough to tell the units apart.
    """
    shares = []
    for weight in weights:
        values = weight.detach().float()
        size = torch.linalg.vector_norm(values)
        apart = torch.linalg.vector_norm(values - values.mean(0, keepdim=True))
        shares.append(torch.where(size > 0, apart / size, torch.zeros_like(size)))
    return torch.stack(shares).amax()
