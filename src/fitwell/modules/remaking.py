"""A network made anew by its factory, called with other arguments; torch alone."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn


def altered(make_model: Callable[..., nn.Module], argument: str, **values: Any) -> Any:
    """Return the default of an argument of a factory, with values inside it changed.

    Args:
        make_model: The factory.
        argument: An argument whose default is a configuration.
        values: What to change inside it.
    """
    default: Any = inspect.signature(make_model).parameters[argument].default
    changed = copy.deepcopy(default)
    for name, value in values.items():
        # What is frozen is so for those who hold it; this copy is nobody's yet.
        object.__setattr__(changed, name, value)
    return changed


def as_given(new: nn.Module, model: nn.Module) -> nn.Module:
    """Bring a new network to the device, dtype and mode of another."""
    like = next((p for p in model.parameters() if p.is_floating_point()), None)
    if like is not None:
        new = new.to(device=like.device, dtype=like.dtype)
    return new.train(model.training)
