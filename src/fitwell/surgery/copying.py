"""Copies of networks, and the names of what is inside them."""

from __future__ import annotations

from copy import deepcopy

from torch import nn

from fitwell.anatomy import is_normalization

COMPILED = "_orig_mod"
"""Name under which ``torch.compile`` keeps the network that it wraps."""


def copy_of(model: nn.Module) -> nn.Module:
    """Return a deep copy of a model; shared modules and tied weights stay shared within it.

    Where a model or a part of it is under ``torch.compile``, the copy holds what was compiled.
    """
    copy = deepcopy(getattr(model, COMPILED, model))
    for module in list(copy.modules()):
        for name, child in module._modules.items():
            module._modules[name] = getattr(child, COMPILED, child)
    return copy


def module_paths(model: nn.Module, module: nn.Module) -> tuple[str, ...]:
    """Return every name under which a module stands in a model."""
    named = model.named_modules(remove_duplicate=False)
    return tuple(name for name, found in named if found is module)


def weight_names(model: nn.Module) -> frozenset[str]:
    """Return the names of the parameters that multiply an input.

    Biases, slopes of activations and the parameters of normalisation layers are left out: they are
    not penalised.
    """
    return frozenset(
        f"{path}.{name}".lstrip(".")
        for path, module in model.named_modules()
        if not is_normalization(module)
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.dim() > 1 and "bias" not in name
    )
