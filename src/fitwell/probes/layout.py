"""Which weights and which modules of a network the probes read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import final

from torch import Tensor, nn

from fitwell.anatomy import activation_name, layer_facts
from fitwell.records import Anatomy, LayerFact, Node, Role
from fitwell.records.network import TRANSPARENT


@final
@dataclass(frozen=True)
class Layer:
    """One parameter layer, as the probes see it.

    Args:
        name: Module name of the layer.
        weights: Its parameters of two or more axes: what multiplies an input.
        activation: Name of the activation that follows every call of it, or "".
        source: Name of the module whose output enters that activation: the layer itself, or the
            normalisation behind it; "" if it is no module that could be listened to.
        recurrent: Whether the layer feeds on its own output.
        entry: Where a residual sum lies between the layer and the activation: name of the
            activation, whose input is then read; "" else.
        entry_call: Which of the calls of that activation in a forward pass it is.
        entry_calls: How many calls of it a forward pass makes.
    """

    name: str
    weights: tuple[Tensor, ...]
    activation: str = ""
    source: str = ""
    recurrent: bool = False
    entry: str = ""
    entry_call: int = 0
    entry_calls: int = 1


@final
@dataclass(frozen=True)
class Layout:
    """The layers of a network in order of execution, and all its parameters.

    Args:
        layers: Parameter layers.
        parameters: Every parameter once, trainable or not.
    """

    layers: tuple[Layer, ...]
    parameters: tuple[Tensor, ...]


def layout_of(
    model: nn.Module,
    anatomy: Anatomy | None = None,
    trained: Collection[Tensor] | None = None,
) -> tuple[Layout, tuple[LayerFact, ...]]:
    """Return what to read, and the facts that stand beside it.

    Args:
        model: The network.
        anatomy: How it ran; without it, every module with weights of its own counts as a layer,
            in the order of registration, and no activation is known.
        trained: What the optimizers hold; if that is not known, every layer counts as held.

    Returns:
        The layout, and one fact a layer.
    """
    known = dict(model.named_parameters(remove_duplicate=False))
    everything = tuple(model.parameters())
    if anatomy is None:
        found = tuple(_registered(model))
        return Layout(found, everything), _plain_facts(found, trained)
    facts = layer_facts(model, anatomy, trained)
    layers = []
    sums = _behind_sums(anatomy)
    for node, fact in zip(anatomy.layers, facts, strict=True):
        weights = tuple(known[n] for n in node.parameters if n in known and known[n].dim() > 1)
        if not weights or not node.path:
            continue
        source = _source(anatomy, node)
        activation = fact.activation if _agree(anatomy, node) else ""
        recurrent = node.role == Role.RECURRENT
        layer = Layer(node.path, weights, activation, source, recurrent)
        if not activation and node.index in sums:
            layer = _entering(anatomy, layer, sums[node.index])
        layers.append(layer)
    return Layout(tuple(layers), everything), facts


def _behind_sums(anatomy: Anatomy) -> dict[int, Node]:
    """Layer called once -> module that is the activation behind the residual sum that it ends in.

    Of several layers whose outputs are summed, the last one stands for the sum.
    """
    last: dict[int, int] = {}
    for node in anatomy.layers:
        calls = sum(n.path == node.path and n.kind == node.kind for n in anatomy.nodes)
        if calls > 1 or anatomy.activation_after(node) is not None:
            continue
        walk = anatomy.walk_to_activation(node, TRANSPARENT | {Role.ADD})
        if walk and not walk[-1].functional:
            last[walk[-1].index] = node.index
    return {layer: anatomy.nodes[index] for index, layer in last.items()}


def _entering(anatomy: Anatomy, layer: Layer, activation: Node) -> Layer:
    calls = sum(n.path == activation.path for n in anatomy.nodes)
    return replace(
        layer,
        activation=activation_name(activation),
        entry=activation.path,
        entry_call=activation.call,
        entry_calls=calls,
    )


def _agree(anatomy: Anatomy, node: Node) -> bool:
    """Whether every call of a layer is followed by the same activation."""
    calls = [n for n in anatomy.nodes if n.path == node.path and n.kind == node.kind]
    found = {a.slug if (a := anatomy.activation_after(call)) else "" for call in calls}
    return len(found) == 1


def _source(anatomy: Anatomy, node: Node) -> str:
    """Module whose output decides what the activation gets; pooling and dropout keep its sign."""
    chain = (node, *anatomy.path_to_activation(node))
    deciding = [n for n in chain if n is node or n.role == Role.NORMALIZATION]
    last = deciding[-1]
    return "" if last.functional else last.path


def _registered(model: nn.Module) -> list[Layer]:
    layers = []
    for name, module in model.named_modules():
        own = tuple(p for p in module.parameters(recurse=False) if p.dim() > 1)
        if own and name:
            layers.append(Layer(name, own))
    return layers


def _plain_facts(
    layers: tuple[Layer, ...], trained: Collection[Tensor] | None
) -> tuple[LayerFact, ...]:
    held = None if trained is None else {id(p) for p in trained}
    return tuple(
        LayerFact(
            name=layer.name,
            kind="",
            role="output" if order == len(layers) - 1 else "hidden",
            order=order,
            parameters=sum(w.numel() for w in layer.weights),
            fan_in=layer.weights[0][0].numel() if len(layer.weights[0]) else 0,
            units=layer.weights[0].shape[0],
            trainable=any(w.requires_grad for w in layer.weights),
            in_optimizer=held is None or any(id(w) in held for w in layer.weights),
        )
        for order, layer in enumerate(layers)
    )
