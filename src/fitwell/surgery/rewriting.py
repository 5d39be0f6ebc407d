"""Functions called inside a ``forward``, replaced by modules where the network can be traced."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor, fx, nn

from fitwell.anatomy import run, tensors_in, undisturbed
from fitwell.errors import NotApplicable
from fitwell.modules.tracing import call_in, call_module, graph_of
from fitwell.records import ReplaceCall


def rewrite(
    model: nn.Module, owner: nn.Module, edit: ReplaceCall, new: nn.Module, rows: object
) -> None:
    """Call a new module in the place of a function in the forward of ``owner``.

    What the trace makes of the forward is compared with the forward itself, in training and in
    evaluation, on what the network gives it.

    Raises:
        NotApplicable: If the forward cannot be traced, or its trace does something else; the line
            of the call is named.
    """
    try:
        if not isinstance(owner, fx.GraphModule):
            _check(owner, *_given(model, owner, rows))
        call_module(owner, edit.function, edit.order, edit.name, new, edit.follow)
    except RuntimeError as error:
        raise NotApplicable(
            f"The function {edit.function} called at {edit.source or 'an unknown line'} cannot be "
            f"replaced: the forward of {type(owner).__name__} cannot be traced.\n"
            f"  {error}\n"
            f"  call a module of torch.nn there instead, as self.act = nn.ReLU() in __init__"
        ) from error


def obstacle(model: nn.Module, edit: ReplaceCall, rows: object) -> str:
    """Say why a call cannot be replaced, or "" if it can; nothing is changed."""
    owner = model.get_submodule(edit.path)
    try:
        if isinstance(owner, fx.GraphModule):
            graph = owner.graph
        else:
            graph = _check(owner, *_given(model, owner, rows))
        call_in(graph, edit.function, edit.order)
    except RuntimeError as error:
        return str(error)
    return ""


def _given(model: nn.Module, owner: nn.Module, rows: object) -> tuple[Any, Any]:
    """Return the arguments that the network first calls a module with."""
    calls: list[tuple[Any, Any]] = []
    handle = owner.register_forward_pre_hook(
        lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True
    )
    try:
        with undisturbed(model), torch.no_grad():
            run(model, rows)
    finally:
        handle.remove()
    if not calls:
        raise RuntimeError("it was not called")
    return calls[0]


def _check(owner: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> fx.Graph:
    """Return the trace of a module, if it does the same."""
    if owner._forward_hooks or owner._forward_pre_hooks:
        raise RuntimeError("it carries hooks")
    for name, given in _optional(owner, args, kwargs).items():
        raise RuntimeError(f"it is given {name}={given}, which its trace would fix")
    children = dict(owner._modules)
    try:
        graph = graph_of(owner)
        traced = fx.GraphModule(owner, graph)
        for training in (False, True):
            outputs = [_output(m, args, kwargs, training) for m in (owner, traced)]
            if not _same(*outputs):
                raise RuntimeError("its trace gives another output")
    finally:
        for name in set(owner._modules) - set(children):
            del owner._modules[name]
    return graph


def _optional(owner: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, str]:
    """Return the arguments that are given other values than their defaults, in words."""
    known = signature(owner.forward).parameters
    given = signature(owner.forward).bind(*args, **kwargs).arguments
    return {
        name: type(value).__name__ if isinstance(value, Tensor) else repr(value)
        for name, value in given.items()
        if known[name].default is not Parameter.empty and value is not known[name].default
    }


def _output(
    module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], training: bool
) -> list[Tensor]:
    with undisturbed(module, training=training), torch.no_grad():
        torch.manual_seed(0)
        output = module(*args, **kwargs)
    return [tensor.clone() for tensor in tensors_in(output)]


def _same(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(
        a.shape == b.shape and torch.allclose(a, b, equal_nan=True)
        for a, b in zip(first, second, strict=True)
    )
