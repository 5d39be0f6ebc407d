"""What a network looks like in its first step, read by fitwell's own probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD

from fitwell.claims.courses import Row, point
from fitwell.recipe import Recipe
from fitwell.records import Quantity, Trace
from fitwell.studies.training import reproducible, treated_network
from fitwell.tasks import Task
from fitwell.watch import watch


def first_step(network: nn.Module, x: Tensor, y: Tensor) -> Trace:
    """Return the trace of one training step that leaves the weights as they are.

    Args:
        network: Takes the inputs and puts out logits.
        x: Inputs of one batch.
        y: Their classes.
    """
    optimizer = SGD(network.parameters(), lr=0.0)
    with watch(network, optimizer, every=1) as watched:
        cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return watched.trace


def of_layers(trace: Trace, quantity: Quantity, role: str = "hidden") -> list[float]:
    """Return one value a layer of that role, from the input to the output."""
    layers = sorted(trace.facts.layers, key=lambda layer: layer.order)
    found = (trace.of(quantity, layer.name) for layer in layers if layer.role == role)
    return [rows[0].value for rows in found if rows]


def by_layer(found: Mapping[Any, Sequence[Sequence[float]]]) -> tuple[Row, ...]:
    """Return rows of :class:`fitwell.records.Lines`: arm, number of the layer from 1, and band.

    Args:
        found: By arm, one list a seed, one value a layer.
    """
    return tuple(
        point(arm, layer, values)
        for arm, of in found.items()
        for layer, values in enumerate(zip(*of, strict=True), 1)
    )


def first_gradients(task: Task, recipe: Recipe, seed: int) -> list[float]:
    """Return the norm of the gradient of every hidden layer's weights, before any learning.

    Args:
        task: Its network and 128 of its training rows are taken.
        recipe: Remedies of the network.
        seed: Seed of the initial weights.
    """
    rows = task.data.train.x[:128]
    with reproducible(seed):
        network = treated_network(task, recipe.specs, rows, seed=seed).model.train()
        trace = first_step(network, rows, task.data.train.y[:128])
    return of_layers(trace, Quantity.GRADIENT_NORM)


def straight(values: Sequence[float]) -> tuple[float, float]:
    """Return the slope a place of log10 of the values, and R² of the straight line."""
    logs = np.log10(values)
    places = np.arange(len(logs))
    slope = float(np.polyfit(places, logs, 1)[0])
    return slope, float(np.corrcoef(places, logs)[0, 1] ** 2)
