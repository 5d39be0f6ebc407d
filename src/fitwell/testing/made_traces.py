"""Traces made by hand, so that the right answer of a detector is known exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fitwell.records import Facts, LayerFact, Quantity, Row, Trace

INPUTS = 100
"""Inputs and units of every layer made here."""


def layer_facts(
    count: int, *, activation: str = "relu", normalized: bool = False
) -> tuple[LayerFact, ...]:
    """Return facts of linear layers ``layers.0`` …, the last one the output layer."""
    return tuple(
        LayerFact(
            name=f"layers.{i}",
            kind="Linear",
            role="output" if i == count - 1 else "hidden",
            order=i,
            activation="" if i == count - 1 else activation,
            fan_in=INPUTS,
            units=INPUTS,
            normalized=normalized,
        )
        for i in range(count)
    )


def curves(
    training: Sequence[float], validation: Sequence[float] = (), *, chance: float | None = 1.0
) -> Trace:
    """Return a trace of losses, one every ten steps.

    Args:
        training: Training losses.
        validation: Validation losses.
        chance: Loss of a constant guess.
    """
    rows = [Row(10 * i, Quantity.LOSS, v) for i, v in enumerate(training)]
    rows += [Row(10 * i, Quantity.LOSS, v, phase="validation") for i, v in enumerate(validation)]
    return Trace(rows, Facts(chance_loss=chance, validation_rows=500))


def gradients(
    profile: Sequence[float], *, losses: Sequence[float] = (1.0,) * 30, normalized: bool = False
) -> Trace:
    """Return a trace of gradient norms that stay the same over the steps.

    The weights of every layer have norm 1, and so does the loss of a constant guess.

    Args:
        profile: Gradient norm of each layer, from the input on.
        losses: Training loss of each step.
        normalized: Whether a normalisation follows the layers.
    """
    facts = Facts(layers=layer_facts(len(profile), normalized=normalized), chance_loss=1.0)
    rows = []
    for step, loss in enumerate(losses):
        rows += [
            Row(step, Quantity.LOSS, loss),
            Row(step, Quantity.GRADIENT_NORM, math.hypot(*profile)),
        ]
        for layer, value in zip(facts.layers, profile, strict=True):
            rows += [
                Row(step, Quantity.GRADIENT_NORM, value, layer.name),
                Row(step, Quantity.WEIGHT_NORM, 1.0, layer.name),
            ]
    return Trace(rows, facts)


def shares(
    quantity: Quantity, values: Sequence[float], *, loss: float = 1.0, count: int = 1024
) -> Trace:
    """Return a trace of one share of the first of three layers, one value a step.

    Args:
        quantity: Which share.
        values: Its values.
        loss: Training loss, the same for nearly twice as many steps, 30 at most.
        count: Number of samples pooled in each value.
    """
    rows = [Row(s, quantity, v, "layers.0", count=count) for s, v in enumerate(values)]
    rows += [
        Row(s, Quantity.LOSS, loss) for s in range(min(30, 2 * len(values) - 1) if values else 30)
    ]
    return Trace(rows, Facts(layers=layer_facts(3), chance_loss=1.0))


def start(
    readings: dict[Quantity, Sequence[float]],
    *,
    activation: str = "relu",
    normalized: bool = False,
    losses: Sequence[float] = (1.0,) * 30,
) -> Trace:
    """Return a trace of what was read at step 0 of a network of six layers.

    Args:
        readings: Quantity to one value a layer; what is not given is as in a sound network.
        activation: What follows the hidden layers.
        normalized: Whether a normalisation stands before it.
        losses: Training loss of each step.
    """
    facts = Facts(
        layers=layer_facts(6, activation=activation, normalized=normalized), chance_loss=1.0
    )
    sound = {
        Quantity.OUTPUT_RMS: [1.0] * 6,
        Quantity.SIGNAL_RMS: [1.0] * 6,
        Quantity.WEIGHT_NORM: [math.sqrt((2.0 if activation == "relu" else 1.0) * INPUTS)] * 6,
        Quantity.UNIT_SPREAD: [1.0] * 6,
    }
    rows = [Row(s, Quantity.LOSS, v) for s, v in enumerate(losses)]
    for quantity, values in {**sound, **readings}.items():
        rows += [
            Row(0, quantity, value, layer.name)
            for layer, value in zip(facts.layers, values, strict=True)
        ]
    return Trace(rows, facts)
