"""Hooks that stay behind when a network is copied or saved, and probes that hang them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, final

import torch
from torch.utils.hooks import RemovableHandle

from fitwell.interfaces import Probe


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


class Hooked(Probe):
    """A probe that listens through hooks: they hang from ``__enter__`` to ``__exit__``."""

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []

    @abstractmethod
    def _attach(self) -> Iterable[RemovableHandle]:
        """Hang the hooks, each a :class:`Hook`; called anew each time the probe is entered."""

    def __enter__(self) -> Self:
        self._handles.extend(self._attach())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._detach()

    def _detach(self) -> None:
        """Take the hooks off; a probe that has heard enough may do so before its end."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
