"""What is known of a run while it is watched."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

from fitwell.probes import Clock, Layout, Tallies
from fitwell.records import LayerFact


@final
@dataclass
class Run:
    """What probes are made from, and what they have found out.

    Args:
        model: The network in training; the original of one that ``torch.compile`` returned.
        optimizers: What trains it; their steps are the clock.
        loss_fn: What the loop computes its loss with, or None if unknown.
        spending: Makes a context manager to stand around whatever takes time of the run: what a
            hook does, above all.
        clock: Step and epoch that the run is at.
        every_step: Whether every step is sampled.
        updates: Whether to read how far each step moves the weights.
        layout: What the network's layers are; None before its first forward pass.
        layers: One fact a layer.
        looped: Names of the layers that run again and again on their own output.
        tallies: What training has shown of inputs, targets and first outputs.
        called: What the loop calls, where that is not ``model``: its compiled form.
        hears: Whether forward passes can be listened to; not where they run compiled inside of
            something else.
        learned: Fields of :class:`fitwell.records.Facts` that probes have found out.
    """

    model: nn.Module
    optimizers: tuple[torch.optim.Optimizer, ...]
    loss_fn: Callable[..., Tensor] | None = None
    spending: Callable[[], AbstractContextManager[None]] = nullcontext
    clock: Clock = field(default_factory=Clock)
    every_step: bool = False
    updates: bool = True
    layout: Layout | None = None
    layers: tuple[LayerFact, ...] = ()
    looped: frozenset[str] = frozenset()
    called: nn.Module | None = None
    hears: bool = True
    tallies: Tallies = field(init=False)
    learned: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tallies = Tallies.of(self.model)

    @property
    def roots(self) -> tuple[nn.Module, ...]:
        """What the loop calls: the network, or the networks in a container that runs nothing."""
        if self.called is not None:
            return (self.called,)
        return tuple(module for _, module in called_in(self.model))


def original(model: nn.Module) -> nn.Module:
    """Return the network inside of what ``torch.compile`` returned, and any other as it is."""
    inside = getattr(model, "_orig_mod", None)
    return inside if isinstance(inside, nn.Module) else model


def compiled_in_place(model: nn.Module) -> bool:
    """Whether calls of a network, or of a part of it, run compiled: ``module.compile()``."""
    return any(getattr(m, "_compiled_call_impl", None) is not None for m in model.modules())


def called_in(model: nn.Module, prefix: str = "") -> list[tuple[str, nn.Module]]:
    """Return the outermost modules with a forward pass of their own, with their names."""
    if type(model).forward is not nn.Module.forward:
        return [(prefix, model)]
    inside = [(f"{prefix}.{n}" if prefix else n, m) for n, m in model.named_children()]
    return [found for name, module in inside for found in called_in(module, name)]
