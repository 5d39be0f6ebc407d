"""Attach the probes to a live training run, sample within a budget of time, diagnose."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from fitwell.errors import BadInput, in_range, is_flag
from fitwell.prescribe import are_conditions
from fitwell.records import SEVERITIES, Finding, Severity
from fitwell.watch.alarms import Asked
from fitwell.watch.session import Watch
from fitwell.watch.told import ToldLoss

__all__ = ["ToldLoss", "Watch", "watch"]


def watch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer],
    loss_fn: Callable[..., Tensor] | None = None,
    *,
    overhead: float = 0.01,
    every: int | None = None,
    updates: bool = True,
    on_finding: Callable[[Finding], object] | None = None,
    stop_on: Severity | None = None,
    checkpoint: str | Path = "fitwell-checkpoint.pt",
    mute: Collection[str] = (),
) -> Watch:
    """Watch a training run without changing it; use it as a context manager around the loop.

    Args:
        model: The network in training; several of them in an ``nn.ModuleDict``.
        optimizer: What trains it; its steps are the clock. With several, a step is over when each
            has stepped once, or one is about to step again.
        loss_fn: What the loop computes its loss with. An ``nn.Module`` is read by itself; for any
            other, call :meth:`Watch.log`.
        overhead: Share of the run's time that watching may take, in (0, 1], once the run has
            lasted some 200 steps; 1.0 samples every step. A few milliseconds are always taken:
            a run of tiny steps has to be long for its share to fall under the limit.
        every: Sample steps 0 to 20 and then every so many steps, whatever it costs: what is sampled
            then depends on no clock, and the same run gives the same trace. Takes the place of
            ``overhead``.
        updates: Whether to read how far each step moves the weights, which takes the memory of one
            more set of weights during a sampled step.
        on_finding: Called with each finding once, when its condition is seen for the first time:
            the run is then judged at evaluations and at sampled steps further and further apart.
            What it raises goes to the loop.
        stop_on: Raise :class:`fitwell.TrainingStopped` from the optimizer's step once a finding is
            as severe as this, ``"mild"``, ``"moderate"`` or ``"severe"``. The last state at which
            the run was judged and nothing was found is saved before.
        checkpoint: File for that state: ``step``, ``model`` and ``optimizer``.
        mute: Conditions that are not to be looked for, as ``["dead_units"]``.

    Raises:
        BadInput: If the model or the optimizer is not one of PyTorch, the loss cannot be called,
            ``stop_on`` is no severity, one of ``mute`` no condition, or ``checkpoint`` a file that
            cannot be written, with ``stop_on``.
        ThresholdError: If ``overhead`` or ``every`` is out of range.
    """
    if not isinstance(model, nn.Module):
        raise BadInput(f"Expected a torch.nn.Module to watch, got {type(model).__name__}.")
    given = optimizer if isinstance(optimizer, (list, tuple)) else (optimizer,)
    optimizers = tuple(one for one in given if isinstance(one, torch.optim.Optimizer))
    if not optimizers or len(optimizers) < len(given):
        wrong = next((one for one in given if one not in optimizers), None)
        raise BadInput(
            f"Expected a torch.optim.Optimizer, got {type(wrong).__name__}: "
            "pass the optimizer whose step() the loop calls, or a list of several."
        )
    if loss_fn is not None and not callable(loss_fn):
        raise BadInput(
            f"Expected a loss function, got {loss_fn!r}: pass what the loop computes its loss with."
        )
    is_flag("updates", updates)
    in_range("overhead", overhead, 0.0, 1.0, open_low=True)
    if every is not None:
        in_range("every", every, 1, float("inf"))
    if stop_on is not None and stop_on not in SEVERITIES:
        raise BadInput(f"stop_on must be one of {', '.join(SEVERITIES)}, got {stop_on!r}.")
    are_conditions("mute", mute)
    _can_save(checkpoint if stop_on is not None else None)
    asked = Asked(on_finding, stop_on, checkpoint, tuple(mute))
    return Watch(
        model, optimizers, loss_fn, overhead=overhead, every=every, updates=updates, asked=asked
    )


def _can_save(checkpoint: str | Path | None) -> None:
    """Refuse a file that could not be written once the run has to be stopped."""
    if checkpoint is None:
        return
    path = Path(checkpoint)
    if path.is_dir():
        raise BadInput(f"Cannot write the checkpoint {path}: it is a folder; name a file in it.")
    if not path.absolute().parent.is_dir():
        raise BadInput(f"Cannot write the checkpoint {path}: there is no folder {path.parent}.")
