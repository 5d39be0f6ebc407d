"""Rows of data, as a network is called with them, and what is seen while they run; torch alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Hook = Callable[..., Any]
"""Called with a module, the arguments and keyword arguments that it is given, and its output."""


def sample(rows: Any, limit: int = 1024) -> Any:
    """Return that many rows at most, evenly spaced.

    Args:
        rows: A tensor, a tuple of arguments or a mapping of keyword arguments; the first tensor in
            it tells the number of rows, and what has another length stays whole.
        limit: Largest number of rows.
    """
    parts = rows.values() if isinstance(rows, Mapping) else rows
    parts = [rows] if isinstance(rows, Tensor) else list(parts)
    count = next((len(part) for part in parts if isinstance(part, Tensor) and part.dim()), 0)
    step = -(-count // limit) if count > limit else 1

    def thinned(part: Any) -> Any:
        whole = not isinstance(part, Tensor) or not part.dim() or len(part) != count
        return part if whole else part[::step]

    if isinstance(rows, Tensor):
        return thinned(rows)
    if isinstance(rows, Mapping):
        return {name: thinned(part) for name, part in rows.items()}
    return tuple(thinned(part) for part in parts)


def tensors_in(value: object) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples, lists, mappings and dataclass-like outputs."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from tensors_in(getattr(value, name))


def run(model: nn.Module, rows: object) -> object:
    """Call a model on a tensor, on a tuple of arguments, or on a mapping of keywords."""
    if isinstance(rows, Mapping):
        return model(**rows)
    if isinstance(rows, (tuple, list)):
        return model(*rows)
    return model(rows)


@torch.no_grad()
def observe(model: nn.Module, rows: Any, hooks: Mapping[nn.Module, Hook]) -> object:
    """Return the output of a network in evaluation mode, with hooks on the first call of modules.

    What a hook returns, if anything, is passed on in place of the module's output. Afterwards the
    hooks are gone and the modes are as they were.
    """
    modes = {module: module.training for module in model.modules()}
    called: set[nn.Module] = set()

    def first(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        if module in called:
            return None
        called.add(module)
        return hooks[module](module, args, kwargs, output)

    handles = [module.register_forward_hook(first, with_kwargs=True) for module in hooks]
    model.eval()
    try:
        return run(model, rows)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
