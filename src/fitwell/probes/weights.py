"""How large the weights are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import final

import torch
from torch import Tensor

from fitwell.interfaces import Numbers, Probe, Reading
from fitwell.probes.layout import Layout
from fitwell.probes.norms import LayerNorms, as_readings, joined, norms_of
from fitwell.records import Quantity, Row


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
        self._layers = LayerNorms(Quantity.WEIGHT_NORM, layout)
        self._spread = spread
        self._found: list[Reading | Numbers] = []

    @torch.no_grad()
    def before_update(self) -> None:
        """Read the weights as the forward pass used them."""
        every = self._layout.parameters
        self._found = [*self._layers.numbers(every, norms_of([p.detach() for p in every]))]
        if self._spread:
            self._found.append(_unit_spreads(self._layout))
            self._spread = False

    def numbers(self) -> Iterable[Reading | Numbers]:
        """Return the norms, one a parameter, to be put together."""
        return self._found

    def readings(self) -> Iterable[Reading]:
        """Return the norms: of everything first, then of each layer."""
        return tuple(as_readings(self._found))


def _unit_spreads(layout: Layout) -> Numbers:
    """Root mean square distance of the units' weights from the mean unit, over their RMS.

    Weights are (units, inputs, *space). Where a layer has several matrices, the largest counts:
    one that differs is enough to tell the units apart. The first unit is subtracted before
    squaring, so that units that are alike give exactly 0.
    """
    owners: list[tuple[str, int]] = []
    taken: list[Tensor] = []
    for layer in layout.layers:
        for weight in layer.weights:
            values = weight.detach()
            if not values.numel():
                continue
            apart = values - values[:1]
            taken += [values, apart, apart.mean(0)]
            owners.append((layer.name, len(values)))

    def finish(numbers: Sequence[float]) -> Iterator[Row]:
        largest: dict[str, float] = {}
        for place, (name, units) in enumerate(owners):
            size, apart, mean = numbers[3 * place : 3 * place + 3]
            square = max(apart**2 - units * mean**2, 0.0)
            spread = square**0.5 / size if size > 0 else 0.0
            largest[name] = max(largest.get(name, 0.0), spread)
        for name, spread in largest.items():
            yield Row(0, Quantity.UNIT_SPREAD, spread, name)

    return Numbers(joined(norms_of(taken)), finish)
