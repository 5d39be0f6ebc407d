"""Attach the probes to a live training run, sample within a budget of time, diagnose."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fitwell.errors import BadInput, in_range
from fitwell.watch.session import Watch
from fitwell.watch.told import ToldLoss

__all__ = ["ToldLoss", "Watch", "watch"]


def watch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: Callable[..., Tensor] | None = None,
    *,
    overhead: float = 0.01,
    every: int | None = None,
) -> Watch:
    """Watch a training run without changing it; use it as a context manager around the loop.

    Args:
        model: The network in training.
        optimizer: What trains it; its steps are the clock.
        loss_fn: What the loop computes its loss with. An ``nn.Module`` is read by itself; for any
            other, call :meth:`Watch.log`.
        overhead: Share of the run's time that watching may take, in (0, 1]. Steps 0 to 20 are
            always sampled; 1.0 samples every step.
        every: Sample every so many steps after those, whatever it costs: what is sampled then
            depends on no clock, and the same run gives the same trace. Takes the place of
            ``overhead``.

    Raises:
        BadInput: If the model or the optimizer is not one of PyTorch.
        ThresholdError: If ``overhead`` or ``every`` is out of range.
    """
    if not isinstance(model, nn.Module):
        raise BadInput(f"Expected a torch.nn.Module to watch, got {type(model).__name__}.")
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise BadInput(
            f"Expected a torch.optim.Optimizer, got {type(optimizer).__name__}: "
            "pass the optimizer whose step() the loop calls."
        )
    in_range("overhead", overhead, 0.0, 1.0, open_low=True)
    if every is not None:
        in_range("every", every, 1, float("inf"))
    return Watch(model, optimizer, loss_fn, overhead=overhead, every=every)
