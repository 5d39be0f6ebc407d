"""How the weights of the untreated and the treated network are spread."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fitwell.records import ArmWeights, LayerWeights

BINS = 40
"""Bins of a histogram; an even number, so that zero is an edge."""
INSIDE = 0.995
"""Share of the weights of every network that lie within the edges."""
MANY = 1_000_000
"""Weights of a layer that are looked at to set the edges; ``torch.quantile`` has a limit."""


def weights_of(networks: Sequence[tuple[str, int, nn.Module]]) -> tuple[ArmWeights, ...]:
    """Count the weights of networks in the same bins, exact zeros apart.

    Args:
        networks: Name of the arm, seed of the run, and the trained network.

    Returns:
        One record a network; none where no network has a finite weight other than zero.
    """
    found = [(arm, seed, matrices(network)) for arm, seed, network in networks]
    limit = max((_reach(list(layers.values())) for _, _, layers in found), default=0.0)
    if not limit:
        return ()
    edges = torch.linspace(-limit, limit, BINS + 1)
    return tuple(
        ArmWeights(
            arm,
            seed,
            tuple(edges.tolist()),
            tuple(_layer(name, weight, edges) for name, weight in layers.items()),
        )
        for arm, seed, layers in found
    )


def matrices(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights of every layer by its name: parameters of two axes and more.

    Several of one layer, as a recurrent one has, are taken together.
    """
    parts: dict[str, list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1:
            parts.setdefault(name.rpartition(".")[0], []).append(parameter.detach().flatten().cpu())
    return {name: torch.cat(found).float() for name, found in parts.items()}


def _reach(layers: Sequence[Tensor]) -> float:
    """Return the size that all but few of the weights stay under."""
    if not layers:
        return 0.0
    sizes = torch.cat([layer[:: 1 + len(layer) // MANY] for layer in layers]).abs()
    sizes = sizes[torch.isfinite(sizes) & (sizes > 0)]
    sizes = sizes[:: 1 + len(sizes) // MANY]
    return float(torch.quantile(sizes, INSIDE)) if len(sizes) else 0.0


def _layer(name: str, weight: Tensor, edges: Tensor) -> LayerWeights:
    shown = weight[torch.isfinite(weight) & (weight != 0)]
    counts, _ = torch.histogram(shown.clamp(edges[0], edges[-1]), edges)
    return LayerWeights(
        name,
        len(weight),
        int((weight == 0).sum()),
        tuple(int(count) for count in counts),
        float(weight.square().mean().sqrt()),
    )
