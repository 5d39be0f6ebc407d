"""Inspect a network aside: one forward pass that leaves no mark."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fitwell.anatomy.connections import bypassed, is_gated, norm_facts, output_activation
from fitwell.anatomy.recorder import Recorder
from fitwell.anatomy.roles import activation_name
from fitwell.modules.rows import run, tensors_in
from fitwell.records import LAYER_ROLES, Anatomy, InputFact, LayerFact, Node, Role


@contextmanager
def undisturbed(model: nn.Module, *, training: bool = False) -> Iterator[None]:
    """Run a model aside: afterwards buffers, modes and random numbers are as they were.

    The random numbers are torch's, numpy's and Python's: networks draw from all three. What is
    compiled runs eagerly meanwhile, so that nothing is compiled anew for the hooks on it.

    Args:
        model: The model that will be run.
        training: The mode that it is put in meanwhile.
    """
    modes = {module: module.training for module in model.modules()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.is_cuda})
    fast_path = torch.backends.mha.get_fastpath_enabled()
    drawn, drawn_by_numpy = random.getstate(), np.random.get_state()
    eager = torch.compiler.set_stance("force_eager")
    with torch.random.fork_rng(devices=devices), eager:
        model.train(training)
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
            random.setstate(drawn)
            np.random.set_state(drawn_by_numpy)
            for module, mode in modes.items():
                module.training = mode
            with torch.no_grad():
                for name, buffer in model.named_buffers():
                    if name in buffers and not torch.equal(buffer, buffers[name]):
                        buffer.copy_(buffers[name])


def inspect(model: nn.Module, example_input: object) -> Anatomy:
    """Record the anatomy of a model from one forward pass in evaluation mode.

    Weights, buffers, modes and random-number state are left as they were.

    Args:
        model: Any eager network.
        example_input: A tensor, a tuple of positional arguments or a mapping of keyword arguments.

    Returns:
        The nodes in the order in which they ran, and what fed what.
    """
    with undisturbed(model), Recorder(model) as recorder:
        outputs = run(model, example_input)
        recorder.returned(outputs)
    shapes = tuple(tuple(tensor.shape) for tensor in tensors_in(outputs))
    return replace(recorder.anatomy(), outputs=shapes, inputs=_input_facts(example_input))


def _input_facts(example_input: object) -> tuple[InputFact, ...]:
    """Return what is to be known of the tensors that a network is called with."""
    keywords = isinstance(example_input, Mapping)
    named = example_input.items() if isinstance(example_input, Mapping) else [("", example_input)]
    return tuple(
        InputFact(str(name) if keywords else "", tuple(tensor.shape), tensor.is_floating_point())
        for name, value in named
        for tensor in tensors_in(value)
    )


def layer_facts(
    model: nn.Module,
    anatomy: Anatomy,
    optimizer: torch.optim.Optimizer | Iterable[Tensor] | None = None,
) -> tuple[LayerFact, ...]:
    """Return what does not change about each layer, for a trace.

    Args:
        model: The network that the anatomy was recorded from.
        anatomy: Its anatomy.
        optimizer: What trains it, or the parameters that several optimizers hold together; without
            it, every layer counts as held.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    if isinstance(optimizer, torch.optim.Optimizer):
        optimizer = [p for group in optimizer.param_groups for p in group["params"]]
    held = None if optimizer is None else {id(p) for p in optimizer}
    heads = {layer.index for layer in anatomy.output_layers}
    around = bypassed(anatomy)
    facts = []
    for order, layer in enumerate(anatomy.layers):
        own = [parameters[name] for name in layer.parameters if name in parameters]
        weight = next((p for p in own if p.dim() > 1), None)
        recurrent = layer.role == Role.RECURRENT
        role = "recurrent" if recurrent else "output" if layer.index in heads else "hidden"
        between = anatomy.path_to_activation(layer)
        facts.append(
            LayerFact(
                name=layer.path,
                kind=layer.kind,
                role=role,
                order=order,
                activation=_activation_of(anatomy, layer),
                parameters=sum(p.numel() for p in own),
                fan_in=weight[0].numel() if weight is not None else 0,
                units=weight.shape[0] if weight is not None else 0,
                trainable=any(p.requires_grad for p in own),
                in_optimizer=held is None or any(id(p) in held for p in own),
                normalized=any(node.role == Role.NORMALIZATION for node in between)
                or bool(layer.settings.get("norm")),
                gated=is_gated(anatomy, layer),
                bypassed=layer.path in around,
            )
        )
    return tuple(facts)


def normalizes_input(anatomy: Anatomy) -> bool:
    """Whether a normalisation reads what enters the network before any layer with weights."""
    first = (*LAYER_ROLES, Role.NORMALIZATION)
    met = [
        node
        for reader in anatomy.readers
        for node in ([reader] if reader.role in first else anatomy.downstream(reader, until=first))
        if node.role in first
    ]
    return bool(met) and all(node.role == Role.NORMALIZATION for node in met)


def network_facts(model: nn.Module, anatomy: Anatomy) -> dict[str, Any]:
    """Return the fields of :class:`fitwell.records.Facts` that an anatomy tells."""
    return {
        "norms": norm_facts(model, anatomy),
        "output_activation": output_activation(anatomy),
        "input_normalized": normalizes_input(anatomy),
    }


def _activation_of(anatomy: Anatomy, layer: Node) -> str:
    if layer.role == Role.RECURRENT:
        return str(layer.settings.get("nonlinearity", "tanh" if layer.kind == "RNN" else ""))
    return activation_name(anatomy.activation_after(layer))
