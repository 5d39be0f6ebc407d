"""What trains many networks of one structure at once, however it goes about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

Values: TypeAlias = Mapping[str, Tensor]
"""Parameters and buffers of all runs by name, with the axis of runs first."""


class Unstackable(Exception):
    """Networks cannot train as one program; the message says why. They train alone."""


class Program(ABC):
    """The passes of many networks of one structure, forward and back.

    It holds no weights: it works on those that it is bound to, and so serves any number of runs.
    """

    turned: frozenset[str] = frozenset()
    """Names of the matrices that are best held transposed in memory."""

    @abstractmethod
    def bind(self, values: Values) -> None:
        """Use these parameters and buffers from now on; buffers are moved in place."""

    @abstractmethod
    def accept(self, gradients: Values) -> None:
        """Write gradients there from now on."""

    @abstractmethod
    def train(self, x: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return the outputs (runs, batch, ...) in training mode, to be read at once.

        Args:
            x: Batches (runs, batch, ...).
            masks: What every dropout multiplies its input with, by the name of the module.
        """

    @abstractmethod
    def backward(self, gradient: Tensor) -> None:
        """Write the gradients of the parameters, given that of the outputs of :meth:`train`."""

    @abstractmethod
    def evaluate(self, x: Tensor) -> Tensor:
        """Return the outputs (runs, rows, ...) in evaluation mode, to be read at once."""


def trained_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that are trained, by name."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Return everything else that the network holds: buffers, and parameters that are frozen."""
    frozen = {name: p.detach() for name, p in model.named_parameters() if not p.requires_grad}
    return {**frozen, **dict(model.named_buffers())}


def stacked(networks: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return tensors of many networks by name, with an axis of runs first.

    Raises:
        Unstackable: If names or shapes differ.
    """
    first = networks[0]
    for other in networks[1:]:
        if other.keys() != first.keys() or any(other[n].shape != first[n].shape for n in first):
            raise Unstackable("the networks of the runs differ in their shapes")
    return {name: torch.stack([each[name] for each in networks]) for name in first}
