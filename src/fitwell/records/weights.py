"""How the weights of trained networks are spread: counts in bins, exact zeros apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class LayerWeights:
    """The weights of one layer.

    Args:
        name: Module name of the layer.
        total: How many weights there are.
        zeros: How many are exactly zero.
        counts: How many of the others lie in each bin; those beyond the edges are in the outermost.
            What is not finite is in none.
        deviation: Root mean square of all.
    """

    name: str
    total: int
    zeros: int
    counts: tuple[int, ...]
    deviation: float


@final
@dataclass(frozen=True)
class ArmWeights:
    """The weights of one trained network of an arm, without biases and normalisations.

    Args:
        arm: Name of the arm.
        seed: Seed of the run.
        edges: Edges of the bins, one more than bins, ascending; the same for all arms of a study.
        layers: Layer by layer.
    """

    arm: str
    seed: int
    edges: tuple[float, ...]
    layers: tuple[LayerWeights, ...]

    @property
    def total(self) -> int:
        """Number of weights."""
        return sum(layer.total for layer in self.layers)

    @property
    def zeros(self) -> int:
        """Number of weights that are exactly zero."""
        return sum(layer.zeros for layer in self.layers)

    @property
    def counts(self) -> tuple[int, ...]:
        """Counts of all layers together."""
        return tuple(map(sum, zip(*(layer.counts for layer in self.layers), strict=True)))
