"""Whether a step's gradient still holds that of the step before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from fitwell.interfaces import Reading
from fitwell.probes.hooks import Hook, Hooked
from fitwell.probes.membership import held_by
from fitwell.records import Quantity

_SMALL = 4096
"""A parameter of at most so many numbers is followed, so that its gradient can be kept."""

_TOLERANCE = 1e-4
"""Relative distance within which two gradients are the same one."""


@final
class Carried(Hooked):
    """Reads the share of the gradient that was not cleared since the step before.

    One small parameter stands for all. The gradient that the last step left is kept, and a hook on
    the parameter sees each gradient before it is added: if what is there is the gradient left
    over, plus what was added since, it was never cleared. The share is the norm of what is left
    over against the sum of its norm and that of all that was added.

    Clearing before the forward pass or before the backward one, to zeros or to None, accumulation
    over several passes, and clipping are told apart from that; so is another network's backward
    pass that fills gradients which are then cleared.

    Args:
        optimizer: Its last small parameter that has a gradient is followed.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        super().__init__()
        self._optimizer = optimizer
        self._parameter: Tensor | None = None
        self._left: Tensor | None = None
        self._expected: Tensor | None = None
        self._added: Tensor | None = None
        self._kept: Tensor | None = None
        self._readings: list[Reading] = []

    @torch.no_grad()
    def _attach(self) -> Iterable[RemovableHandle]:
        self._readings = []
        self._added = self._kept = None
        self._parameter = _followed(self._optimizer)
        if self._parameter is None or self._parameter.grad is None:
            return ()
        self._left = self._parameter.grad.detach().clone()
        self._expected = self._left
        hook = Hook(self._arriving)
        return (self._parameter.register_hook(hook),)  # type: ignore[no-untyped-call]

    def _detach(self) -> None:
        super()._detach()
        self._parameter = self._left = self._expected = self._added = self._kept = None

    @torch.no_grad()
    def _arriving(self, gradient: Tensor) -> None:
        """Note a gradient that is about to be added to what is there."""
        if self._parameter is None or self._left is None:
            return
        there = self._parameter.grad
        if there is None or there.is_sparse or gradient.is_sparse:
            self._kept = torch.zeros_like(self._left.sum())
            self._expected, self._added = None, _sum(self._added, gradient)
            return
        if self._expected is None:
            same = torch.zeros_like(self._left.sum())
        else:
            apart = torch.linalg.vector_norm(there - self._expected)
            same = (apart <= _TOLERANCE * torch.linalg.vector_norm(self._expected)).to(apart.dtype)
        self._kept = same if self._kept is None else self._kept * same
        self._expected = there + gradient
        self._added = _sum(self._added, gradient)

    @torch.no_grad()
    def before_update(self) -> None:
        """Weigh what was left over against what came."""
        if self._left is None or self._added is None or self._kept is None:
            return
        left, added = (torch.linalg.vector_norm(t.float()) for t in (self._left, self._added))
        share = left / (left + added).clamp_min(torch.finfo(torch.float32).tiny)
        # A gradient that is no number says nothing of what was cleared.
        share = torch.nan_to_num(self._kept * share)
        self._readings = [Reading(Quantity.CARRIED_GRADIENT, share)]

    def readings(self) -> Iterable[Reading]:
        """Return one reading, if a gradient stood after the step before and others came."""
        return tuple(self._readings)


def _sum(so_far: Tensor | None, gradient: Tensor) -> Tensor:
    dense = gradient.to_dense() if gradient.is_sparse else gradient
    return dense.clone() if so_far is None else so_far + dense


def _followed(optimizer: torch.optim.Optimizer) -> Tensor | None:
    """Return the last small parameter that has a gradient, else the smallest."""
    having = [
        p
        for p in held_by(optimizer)
        if p.requires_grad and p.grad is not None and not p.grad.is_sparse
    ]
    small = [p for p in having if p.numel() <= _SMALL]
    return small[-1] if small else min(having, key=Tensor.numel, default=None)
