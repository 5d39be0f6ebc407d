"""The trace of a first step that is not taken."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from fitwell.anatomy import Recorder, network_facts, run, tensors_in, undisturbed
from fitwell.errors import BadInput
from fitwell.interfaces import Reading
from fitwell.preflight.hearing import Hearing
from fitwell.probes import Activations, Inputs, Layout, Weights, layout_of
from fitwell.probes.gradientless import by_module
from fitwell.probes.loss_facts import chance_of, classes_of, expected_output, loss_name
from fitwell.probes.membership import Membership
from fitwell.probes.norms import by_layer, norms_of
from fitwell.probes.pairs import pair_facts, pair_readings
from fitwell.records import Facts, Quantity, Row, Trace

_ONE_VALUE: Final = re.compile(r"Expected more than 1 value per channel when training")
"""What batch norm says of a batch of one row."""


@final
@dataclass
class _Found:
    """What was measured, and found out, so far."""

    readings: list[Reading] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def trace(self) -> Trace:
        rows = [
            Row(0, r.quantity, float(r.value), r.module, r.phase, 0, r.call, r.count)
            for r in self.readings
        ]
        return Trace(rows, Facts(**self.facts))


def first_step(model: nn.Module, batch: Any, loss_fn: Callable[..., Tensor]) -> Trace:
    """Return the trace of one step that is not taken; as :func:`fitwell.preflight.preflight`."""
    if not isinstance(model, nn.Module):
        raise BadInput(f"Expected a torch.nn.Module, got {type(model).__name__}.")
    if not callable(loss_fn):
        raise BadInput(f"Expected a loss function to call, got {loss_fn!r}.")
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        many = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        raise BadInput(f"Expected a batch (inputs, targets), got {type(batch).__name__}{many}.")
    if any(one.dim() and not len(one) for one in tensors_in(batch[0])):
        raise BadInput("Expected a batch with rows in it, got one without any.")
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise BadInput("Expected a parameter that requires a gradient, the model has none.")
    found = _Found(facts=Membership(model).facts())
    with undisturbed(model, training=True), torch.enable_grad():
        went = _forward(model, batch[0], found)
        if went is None:
            return found.trace()
        outputs, layout, inside = went
        loss = _loss(loss_fn, outputs, batch[1], inside, found)
        del outputs, inside, went
        found.readings += _of_weights(layout)
        if loss is not None:
            found.readings += _of_gradients(model, layout, trained, loss)
    return found.trace()


def _forward(model: nn.Module, inputs: Any, found: _Found) -> tuple[object, Layout, Hearing] | None:
    """Run the network and note what it is made of; None if batch norm was given a single row."""
    activations, entering, hearing = Activations(model, None), Inputs(model), Hearing()
    with entering, hearing, Recorder(model) as recorder, activations:
        try:
            outputs = run(model, inputs)
        except ValueError as error:
            if not _ONE_VALUE.search(str(error)):
                raise
            _, layers = layout_of(model, None)
            found.facts |= {"layers": layers, "error": str(error), "batch_size": 1}
            return None
        recorder.returned(outputs)
        anatomy = recorder.anatomy()
    layout, layers = layout_of(model, anatomy)
    activations.layout = layout
    found.facts |= {"layers": layers, **network_facts(model, anatomy), **entering.facts()}
    found.readings += [*entering.readings(), *activations.readings()]
    return outputs, layout, hearing


def _loss(
    loss_fn: Callable[..., Tensor], outputs: Any, targets: Any, inside: Hearing, found: _Found
) -> Tensor | None:
    """Compute the loss and note what it was given; None if it raised over that."""
    hearing, error, loss = Hearing(), "", None
    try:
        with warnings.catch_warnings(), hearing:
            # A warning of shapes that stretch one another: that is a finding.
            warnings.filterwarnings("ignore", message="Using a target size")
            loss = loss_fn(outputs, targets)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError) as raised:
        error = f"{type(raised).__name__} in the loss: {raised}"
    if not error and not isinstance(loss, Tensor):
        raise BadInput(f"Expected loss_fn to return a tensor, got {type(loss).__name__}.")
    heard = hearing if hearing.function is not None else inside
    known = loss_fn if expected_output(loss_fn) else heard.function or loss_fn
    pair = heard.given or tuple(
        one for value in (outputs, targets) for one in list(tensors_in(value))[:1]
    )
    found.facts |= {"loss": loss_name(known), "loss_expects": expected_output(known)}
    if len(pair) == 2:
        found.facts |= pair_facts(*pair)
        found.readings += pair_readings(*pair, ignored=getattr(loss_fn, "ignore_index", None))
    if loss is None:
        found.facts["error"] = error
        return None
    classes = classes_of(found.facts["loss"], found.facts.get("output_shape", ()))
    if heard.function is None or heard.is_all_of(loss):
        guess = chance_of(found.facts["loss"], classes)
        found.facts |= {"classes": classes, "chance_loss": guess}
    value = loss.detach().mean()
    value = value / len(pair[0]) if heard.summed and pair[0].dim() else value
    found.readings.append(Reading(Quantity.LOSS, value))
    return loss if loss.dim() == 0 else loss.mean()


def _of_weights(layout: Layout) -> Iterable[Reading]:
    with Weights(layout, spread=True) as weights:
        weights.before_update()
    return weights.readings()


def _of_gradients(
    model: nn.Module, layout: Layout, trained: list[nn.Parameter], loss: Tensor
) -> Iterator[Reading]:
    gradients: tuple[Tensor | None, ...] = (None,) * len(trained)
    if loss.requires_grad:
        gradients = torch.autograd.grad(loss, trained, allow_unused=True)
    pairs = [(p, g) for p, g in zip(trained, gradients, strict=True) if g is not None]
    norms = norms_of([gradient for _, gradient in pairs])
    yield from by_layer(Quantity.GRADIENT_NORM, layout, [p for p, _ in pairs], norms)
    reached = {id(p) for p, _ in pairs}
    missing = Counter(
        name.rpartition(".")[0]
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and id(parameter) not in reached
    )
    yield from by_module(missing)
