"""How large the values are that enter the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self, final

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.interfaces import Probe, Reading
from fitwell.probes.hooks import Hook
from fitwell.records import Quantity


@final
class Inputs(Probe):
    """Reads the root mean square of the network's floating-point inputs, and counts its rows.

    Args:
        model: The network; one light hook stands on it during the step.

    Attributes:
        rows: Largest number of rows that entered at once so far, of inputs of any type.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._handle: RemovableHandle | None = None
        self._readings: list[Reading] = []
        self.rows = 0

    def __enter__(self) -> Self:
        self._readings = []
        hook = Hook(self._entered)
        self._handle = self._model.register_forward_pre_hook(hook, with_kwargs=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _entered(self, module: nn.Module, args: object, kwargs: object) -> None:
        if not torch.is_grad_enabled():
            return
        given = [t for t in tensors_in((args, kwargs)) if t.dim() and t.numel()]
        self.rows = max([self.rows, *(len(t) for t in given[:1])])
        numbers = [t.detach() for t in given if t.is_floating_point()]
        if numbers:
            values = numbers[0]
            wide = torch.promote_types(values.dtype, torch.float32)
            size = torch.linalg.vector_norm(values, dtype=wide) / values.numel() ** 0.5
            self._readings.append(Reading(Quantity.INPUT_NORM, size, count=len(values)))

    def readings(self) -> Iterable[Reading]:
        """Return one reading a forward pass with gradients enabled."""
        return tuple(self._readings)

    def facts(self) -> Mapping[str, Any]:
        """Return the largest number of rows that entered at once in training."""
        return {"batch_size": self.rows} if self.rows else {}
