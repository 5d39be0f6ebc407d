"""What a layer of a chain is: one step forward, one step back, for all runs at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypeAlias

from torch import Tensor

from fitwell.studies.stacked.sheet import Sheet, Sheets

Values: TypeAlias = Mapping[str, Tensor]
"""Parameters and buffers of all runs by name, with the axis of runs first."""


class Layer(ABC):
    """One layer of a chain; its gradients are worked out by hand.

    A layer keeps what its way back needs, and may overwrite what it is given: its input where the
    layer before does not need it again, and every gradient.

    Args:
        path: Name of the module, which its parameters begin with.
    """

    reads_output: ClassVar[bool] = False
    """Whether the way back needs the output, so that the next layer must not overwrite it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.training = True
        self.may_overwrite = False
        self.sheets, self.backs = Sheets(), Sheets()

    def name(self, part: str) -> str:
        """Return the whole name of a parameter or buffer."""
        return f"{self.path}.{part}" if self.path else part

    def bind(self, values: Values) -> None:
        """Use these parameters and buffers from now on."""

    def accept(self, gradients: Values) -> None:
        """Write the gradients of the parameters there from now on."""

    @abstractmethod
    def forward(self, x: Sheet) -> Sheet:
        """Return the output (runs, batch, features)."""

    @abstractmethod
    def backward(self, gradient: Sheet, *, wanted: bool) -> Sheet:
        """Return the gradient of the input, and write those of the parameters.

        Args:
            gradient: Gradient of the output.
            wanted: Whether the gradient of the input is needed; else anything may be returned.
        """
