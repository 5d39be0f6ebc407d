"""How far training has moved the weights: whether a run has tried at all."""

from __future__ import annotations

import math

from fitwell.detectors.layers import trained_layers
from fitwell.records import Quantity, Trace


def updates_by_layer(trace: Trace) -> dict[str, dict[int, float]]:
    """Return layer -> step -> |update| / |weights|, for trained layers with weights."""
    norms: dict[tuple[str, int], float] = {}
    moves: dict[tuple[str, int], float] = {}
    for row in trace:
        if row.module and row.quantity == Quantity.WEIGHT_NORM:
            norms[row.module, row.step] = row.value
        elif row.module and row.quantity == Quantity.UPDATE_NORM:
            moves[row.module, row.step] = row.value
    found: dict[str, dict[int, float]] = {layer.name: {} for layer in trained_layers(trace)}
    for (name, step), move in moves.items():
        size = norms.get((name, step), 0.0)
        if name in found and size > 0 and math.isfinite(move) and math.isfinite(size):
            found[name][step] = move / size
    return {name: values for name, values in found.items() if values}


def furthest(trace: Trace) -> float | None:
    """Return how far the layer that moved most could have come, in multiples of its weights.

    It is the mean relative update times the number of steps: an upper bound, as if all steps went
    the same way. None where updates were not recorded.
    """
    moves = updates_by_layer(trace)
    if not moves:
        return None
    steps = max((row.step for row in trace if row.phase == "train"), default=0) + 1
    return max(steps * sum(v.values()) / len(v) for v in moves.values())


def largest_update(trace: Trace, layers: tuple[str, ...], until: int) -> float | None:
    """Return the largest relative update of some layers before a step; None if there is none."""
    moves = updates_by_layer(trace)
    seen = [v for name in layers for step, v in moves.get(name, {}).items() if step < until]
    return max(seen, default=None)
