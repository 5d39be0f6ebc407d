"""Hooks that stay behind when the network that carries them is copied or saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch


@final
class Inert:
    """A hook that does nothing: what a copy or a saved file holds in place of a :class:`Hook`."""

    def __call__(self, *args: object, **kwargs: object) -> None:
        """Do nothing."""


@final
class Hook:
    """A hook for modules, tensors and optimizers that hands its arguments to a callback.

    Closures as hooks break ``torch.save(model)``, and bound methods drag their owner into every
    copy. A copied or unpickled ``Hook`` is :class:`Inert`: it neither records nor holds a trace.
    While a network is compiled, a hook does nothing, so that nothing of it is compiled in.

    Args:
        callback: What to call; its result is dropped, so that a hook can change nothing.
        bound: Leading arguments for the callback.
    """

    __torch_unserializable__ = True
    """A tensor that carries it is saved without it, and without a warning."""

    def __init__(self, callback: Callable[..., object], *bound: object) -> None:
        self._callback = callback
        self._bound = bound

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Call back."""
        if not torch.compiler.is_compiling():
            self._callback(*self._bound, *args, **kwargs)

    def __deepcopy__(self, memo: dict[int, object]) -> Inert:
        return Inert()

    def __reduce__(self) -> tuple[type[Inert], tuple[()]]:
        return Inert, ()
