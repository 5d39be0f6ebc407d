"""How far the steps of a run went, and whether its gradients were fit to be followed."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from operator import itemgetter
from statistics import fmean, median

from fitwell.detectors.curves import curve, reference_loss
from fitwell.detectors.layers import sensitivities, trained_layers
from fitwell.records import LayerFact, Quantity, Trace

EARLY_STEPS = 21
"""Steps 0 to 20 count as the start."""

SOUND_SENSITIVITY = 1e-3
"""Least |gradient| · |weights| / loss of a layer that the learning rate can be blamed for: sound
networks begin between 0.01 and 10; below this the gradient is what keeps the layer still."""


def relative_updates(trace: Trace) -> list[tuple[int, float, float]]:
    """Return (step, median, largest) over the layers of |update| / |weights|, by sampled step.

    Layers that no optimizer moves are left out. Weights near zero, as those of an output layer that
    begins at zero, are compared with the size that a fresh layer has: see :func:`_fresh_size`.
    """
    known = {layer.name: layer for layer in trained_layers(trace)}
    weights, updates = (
        {
            (row.step, row.module): row.value
            for row in trace
            if row.quantity == quantity and row.phase == "train"
        }
        for quantity in (Quantity.WEIGHT_NORM, Quantity.UPDATE_NORM)
    )
    found: dict[int, list[float]] = {}
    for (step, module), update in updates.items():
        if known and module not in known:
            continue
        weight = max(weights.get((step, module), 0.0), _fresh_size(known.get(module)))
        if weight > 0 and math.isfinite(update / weight):
            found.setdefault(step, []).append(update / weight)
    return [(step, median(v), max(v)) for step, v in sorted(found.items())]


def updates_at_later_rates(trace: Trace) -> list[tuple[int, float]]:
    """Return (step, median over the layers of |update| / |weights|) at the rate that followed.

    In a warm-up the first steps are small, and updates are read in the first steps most of all: an
    update counts as many times as the median rate from its step on exceeds the rate of its step.
    """
    rates = sorted(trace.series(Quantity.LEARNING_RATE), key=itemgetter(0))
    rates = [(at, rate) for at, rate in rates if rate > 0]
    later: list[float] = []
    found = []
    # From the last update to the first, so that each rate is sorted among the later ones once.
    for step, update, _ in reversed(relative_updates(trace)):
        begin = bisect_left(rates, step, key=itemgetter(0))
        for _, rate in rates[begin : len(rates) - len(later)]:
            insort(later, rate)
        own = bisect_right(rates, step, key=itemgetter(0))
        if later and own:
            usual = (later[(len(later) - 1) // 2] + later[len(later) // 2]) / 2
            update *= max(1.0, usual / rates[own - 1][1])
        found.append((step, update))
    return found[::-1]


def travelled(trace: Trace) -> float | None:
    """Return how far the weights could have come, in shares of their size.

    It is the sum of the relative updates of all steps, as if each went on where the one before
    had ended; steps that were not sampled count as their neighbours. None where none was.
    """
    found = updates_at_later_rates(trace)
    losses = curve(trace)
    if not found:
        return None
    end = max(losses[-1][0] if losses else 0, found[-1][0]) + 1
    total = 0.0
    for (step, value), after in zip(found, [s for s, _ in found[1:]] + [end], strict=True):
        total += value * (after - step)
    return total


def share_moved_by_gradients(trace: Trace) -> float | None:
    """Return the share of layers whose gradient is large enough to learn from, or None.

    Judged over the first sampled steps by |gradient| · |weights| / loss of a constant guess, where
    weights near zero count as those of a fresh layer: see :data:`SOUND_SENSITIVITY`.
    """
    reference = reference_loss(trace) or 1.0
    sound = []
    for layer in trained_layers(trace):
        weights = dict(trace.series(Quantity.WEIGHT_NORM, layer.name))
        early = [
            gradient * max(weights.get(step, 0.0), _fresh_size(layer)) / reference
            for step, gradient in trace.series(Quantity.GRADIENT_NORM, layer.name)
            if step < EARLY_STEPS and math.isfinite(gradient)
        ]
        if early:
            sound.append(median(early) >= SOUND_SENSITIVITY)
    return fmean(sound) if sound else None


def first_sensitivity(trace: Trace) -> float:
    """Return the largest |gradient| · |weights| / loss of a layer at step 0; 0 if not known.

    Layers that a normalisation follows are left out: their gradients are large by nature.
    """
    normalized = {layer.name for layer in trace.facts.layers if layer.normalized}
    values = [v[0] for n, v in sensitivities(trace).items() if 0 in v and n not in normalized]
    return max((v if math.isfinite(v) else math.inf for v in values), default=0.0)


def decaying(trace: Trace) -> float:
    """Return the share by which decay alone shrinks the weights in one step, from the facts."""
    rates = [rate for _, rate in trace.series(Quantity.LEARNING_RATE)]
    return trace.facts.weight_decay * max(rates, default=0.0)


def rate_varies(trace: Trace) -> bool:
    """Whether the learning rate rises by more than half after it had fallen: a cycle."""
    rates = [rate for _, rate in trace.series(Quantity.LEARNING_RATE) if rate > 0]
    low = math.inf
    for rate in rates:
        if rate > 1.5 * low:
            return True
        low = min(low, rate)
    return False


def _fresh_size(layer: LayerFact | None) -> float:
    """Return a third of the norm that PyTorch gives the weights of a fresh layer.

    Its entries are uniform with variance 1 / (3 inputs), so the norm of a layer is the root of a
    third of its units. Smaller weights say nothing of how far a step goes.
    """
    return math.sqrt(layer.units / 3) / 3 if layer is not None else 0.0
