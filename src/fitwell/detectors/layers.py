"""Reading what a trace holds of each layer, on scales that mean the same in every network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from fitwell.detectors.curves import reference_loss
from fitwell.records import LayerFact, Quantity, Trace


def trained_layers(trace: Trace) -> tuple[LayerFact, ...]:
    """Return the layers whose weights are trained, in order of execution."""
    return tuple(layer for layer in trace.facts.layers if layer.trainable and layer.in_optimizer)


def sensitivities(trace: Trace) -> dict[str, dict[int, float]]:
    """Return layer -> step -> how strongly the loss answers to a relative change of its weights.

    It is |gradient| · |weights| / reference loss: the largest relative change of the loss for a
    relative change of the weights, to first order. It has no unit: scaling the loss, or scaling
    weights that a normalisation follows, leaves it alone. Around the start of a sound network it
    is between 0.01 and 10. The reference is the loss of a constant guess where it is known, else
    the first loss, else 1.

    Only trained layers are given, in order of execution.
    """
    reference = reference_loss(trace) or 1.0
    read: dict[Quantity, dict[tuple[str, int], float]] = {
        Quantity.GRADIENT_NORM: {},
        Quantity.WEIGHT_NORM: {},
    }
    for row in trace:
        if row.quantity in read and row.module:
            read[row.quantity][row.module, row.step] = row.value
    found: dict[str, dict[int, float]] = {layer.name: {} for layer in trained_layers(trace)}
    weights = read[Quantity.WEIGHT_NORM]
    for (name, step), gradient in read[Quantity.GRADIENT_NORM].items():
        if name in found and (name, step) in weights:
            found[name][step] = gradient * weights[name, step] / reference
    return found


def middle(values: Sequence[float]) -> float:
    """Return the median of the finite values, or NaN if there is none."""
    finite = [value for value in values if math.isfinite(value)]
    return median(finite) if finite else math.nan


def first_step(trace: Trace, quantity: Quantity) -> Mapping[str, float]:
    """Return module -> value at the first step that was sampled; empty if that was not step 0."""
    return {
        row.module: row.value
        for row in trace
        if row.quantity == quantity and row.step == 0 and row.phase == "train" and row.module
    }


def sampled_steps(trace: Trace) -> list[int]:
    """Return the steps that gradients were read in."""
    return [step for step, _ in trace.series(Quantity.GRADIENT_NORM)]


def read_late(trace: Trace, quantity: Quantity) -> bool:
    """Whether a quantity was read in the second half of the steps whose loss is known."""
    last = max((row.step for row in trace if row.quantity == Quantity.LOSS), default=0)
    return any(row.quantity == quantity and row.step >= last / 2 for row in trace)


def decades(value: float) -> float:
    """Return log10, with zero as -45: below the smallest number that float32 holds."""
    return math.log10(value) if value > 0 else -45.0


def inputs_are_blank(trace: Trace) -> bool:
    """Whether nothing but zeros ever entered the network: then no layer of it can be judged."""
    sizes = [value for _, value in trace.series(Quantity.INPUT_NORM)]
    return bool(sizes) and max(sizes) == 0
