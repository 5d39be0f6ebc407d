"""A batch norm taken into the layer beside it; torch alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def fold_norm(model: nn.Module, layer: str, norm: str, first: bool = False) -> None:
    """Take a batch norm into the weights of a layer; an identity stands in its place.

    In evaluation the norm is y = s x + t, with s = γ / √(variance + ε) and t = β - s mean. Behind
    a layer it scales the rows of the weights and moves the bias; before one it scales the columns,
    and what t adds up to through the weights goes into the bias.

    Args:
        model: The network; it is changed.
        layer: Name of a linear layer or convolution.
        norm: Name of a batch norm with running statistics.
        first: Whether the norm stands before the layer, which then is no transposed convolution.
    """
    at: Any = model.get_submodule(layer)
    gone: Any = model.get_submodule(norm)
    scale = (gone.running_var.double() + gone.eps).rsqrt()
    if gone.weight is not None:
        scale = scale * gone.weight.double()
    shift = -scale * gone.running_mean.double()
    if gone.bias is not None:
        shift = shift + gone.bias.double()
    weight = at.weight
    exact = torch.promote_types(weight.dtype, torch.float32)
    bias = 0.0 if at.bias is None else at.bias.double()
    if first:
        moved = (weight * per_input(at, shift.to(exact), weight)).flatten(1).sum(1) + bias
    else:
        moved = scale * bias + shift
    place = per_input if first else per_output
    weight.mul_(place(at, scale.to(exact), weight))
    if at.bias is None:
        at.bias = nn.Parameter(moved.to(weight.dtype), requires_grad=weight.requires_grad)
    else:
        at.bias.copy_(moved)
    identity = nn.Identity().train(gone.training)
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is gone:
                parent._modules[name] = identity


def per_output(layer: Any, values: Tensor, weight: Tensor) -> Tensor:
    """Return a value a unit, in the shape in which it multiplies the weights."""
    if not getattr(layer, "transposed", False):
        return values.reshape(-1, *(1 for _ in weight.shape[1:]))
    # (inputs, units of a group, *window): the inputs of a group see the units of that group.
    blocks = values.reshape(layer.groups, 1, -1).expand(-1, len(weight) // layer.groups, -1)
    return blocks.reshape(len(weight), -1, *(1 for _ in weight.shape[2:]))


def per_input(layer: Any, values: Tensor, weight: Tensor) -> Tensor:
    """Return a value an input, in the shape in which it multiplies the weights."""
    groups = getattr(layer, "groups", 1)
    # (units, inputs of a group, *window): the units of a group see the inputs of that group.
    blocks = values.reshape(groups, 1, -1).expand(-1, len(weight) // groups, -1)
    return blocks.reshape(len(weight), -1, *(1 for _ in weight.shape[2:]))
