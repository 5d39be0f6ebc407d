"""One batch before training: will a gradient reach every layer, and of a size to train on?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from fitwell import prescribe
from fitwell.anatomy import Recorder, run, tensors_in, undisturbed
from fitwell.errors import BadInput
from fitwell.interfaces import Reading
from fitwell.probes import Activations, Inputs, Layout, Weights, layout_of
from fitwell.probes.loss_facts import chance_of, classes_of, loss_name
from fitwell.probes.norms import by_layer, norms_of
from fitwell.records import Diagnosis, Facts, LayerFact, Quantity, Row, Trace

JUDGED = (
    "bad_initialization",
    "exploding_gradients",
    "vanishing_gradients",
    "dead_units",
    "saturated_units",
    "non_finite",
)
"""Conditions that can show in the first step."""


def preflight(model: nn.Module, batch: Any, loss_fn: Callable[..., Tensor]) -> Diagnosis:
    """Run one forward and one backward pass, and judge what the first step would see.

    The model is left exactly as it was: weights, ``.grad``, buffers, training mode and random
    numbers. It is run in training mode, as the first step would run it.

    Args:
        model: The network before training.
        batch: (inputs, targets); inputs are a tensor, a tuple of arguments or a mapping of
            keyword arguments.
        loss_fn: Called as ``loss_fn(outputs, targets)``.

    Returns:
        What is wrong already; nothing that needs a run of training is looked for.

    Raises:
        BadInput: If the batch is no pair, or no parameter can be trained.
    """
    return prescribe.diagnose(first_step(model, batch, loss_fn), only=JUDGED)


def first_step(model: nn.Module, batch: Any, loss_fn: Callable[..., Tensor]) -> Trace:
    """Return the trace of one step that is not taken; as :func:`preflight`."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise BadInput(f"Expected a batch (inputs, targets), got {type(batch).__name__}.")
    inputs, targets = batch
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise BadInput("Expected a parameter that requires a gradient, the model has none.")
    with undisturbed(model, training=True), torch.enable_grad():
        activations = Activations(model, None)
        entering = Inputs(model)
        with entering, Recorder(model) as recorder, activations:
            outputs = run(model, inputs)
        loss = loss_fn(outputs, targets)
        loss = loss if loss.dim() == 0 else loss.mean()
        layout, layers = layout_of(model, recorder.anatomy())
        activations.layout = layout
        gradients = torch.autograd.grad(loss, trained, allow_unused=True)
    found = [
        Reading(Quantity.LOSS, loss.detach()),
        *entering.readings(),
        *activations.readings(),
        *_of_weights(layout),
        *_of_gradients(layout, trained, gradients),
    ]
    return Trace(list(_rows(found)), _facts(layers, outputs, loss_fn, entering.rows))


def _of_weights(layout: Layout) -> Iterable[Reading]:
    with Weights(layout, spread=True) as weights:
        weights.before_update()
    return weights.readings()


def _of_gradients(
    layout: Layout, trained: list[nn.Parameter], gradients: tuple[Tensor | None, ...]
) -> Iterable[Reading]:
    pairs = [(p, g) for p, g in zip(trained, gradients, strict=True) if g is not None]
    norms = norms_of([gradient for _, gradient in pairs])
    return by_layer(Quantity.GRADIENT_NORM, layout, [p for p, _ in pairs], norms)


def _rows(readings: Iterable[Reading]) -> Iterable[Row]:
    for r in readings:
        yield Row(0, r.quantity, float(r.value), r.module, r.phase, 0, r.call, r.count)


def _facts(layers: tuple[LayerFact, ...], outputs: object, loss_fn: object, rows: int) -> Facts:
    name = loss_name(loss_fn)
    first = next(tensors_in(outputs), None)
    classes = classes_of(name, tuple(first.shape) if first is not None else ())
    return Facts(
        layers=layers,
        loss=name,
        batch_size=rows,
        classes=classes,
        chance_loss=chance_of(name, classes),
    )
