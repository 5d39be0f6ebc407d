"""What is known of a run while it is watched."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

from fitwell.probes import Layout, Tallies
from fitwell.records import LayerFact


@final
@dataclass
class Run:
    """What probes are made from, and what they have found out.

    Args:
        model: The network in training.
        optimizers: What trains it; their steps are the clock.
        loss_fn: What the loop computes its loss with, or None if unknown.
        spending: Makes a context manager to stand around whatever takes time of the run: what a
            hook does, above all.
        step: Number of the optimizer step under way, from 0.
        epoch: Number of evaluations so far.
        layout: What the network's layers are; None before its first forward pass.
        layers: One fact a layer.
        tallies: What training has shown of inputs, targets and first outputs.
        learned: Fields of :class:`fitwell.records.Facts` that probes have found out.
    """

    model: nn.Module
    optimizers: tuple[torch.optim.Optimizer, ...]
    loss_fn: Callable[..., Tensor] | None = None
    spending: Callable[[], AbstractContextManager[None]] = nullcontext
    step: int = 0
    epoch: int = 0
    layout: Layout | None = None
    layers: tuple[LayerFact, ...] = ()
    tallies: Tallies = field(init=False)
    learned: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tallies = Tallies.of(self.model)
