"""How large, and how unlike one another, the values are that enter the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.interfaces import Reading
from fitwell.probes.features import as_rows, channels_first, spread_of, wide
from fitwell.probes.hooks import Hook, Hooked
from fitwell.probes.tallies import Tally
from fitwell.records import Quantity


@final
class Inputs(Hooked):
    """Reads root mean square, mean, largest size and spread of the network's first input.

    Only floating-point inputs are measured; rows of any type are counted. The spread is that of
    all rows of the steps that the probe was entered for, back to the first: its ``count``. Mean
    and spread come from at most some 65,000 evenly spaced values of a batch.

    Args:
        model: The network; one light hook stands on it during the step.
        tally: Account to add the inputs to; one of its own by default.
        spending: Makes a context manager that stands around each reading, to time it.

    Attributes:
        rows: Largest number of rows that entered at once so far, of inputs of any type.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        tally: Tally | None = None,
        spending: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        super().__init__()
        self._model = model
        self._spending = spending
        self._channels_first = channels_first(model)
        self._tally = tally or Tally(channels_first=self._channels_first)
        self._readings: list[Reading] = []
        self._kind = ""
        self.rows = 0

    def _attach(self) -> Iterable[RemovableHandle]:
        self._readings = []
        return (self._model.register_forward_pre_hook(Hook(self._entered), with_kwargs=True),)

    def _entered(self, module: nn.Module, args: object, kwargs: object) -> None:
        if not torch.is_grad_enabled():
            return
        given = [t for t in tensors_in((args, kwargs)) if t.dim() and t.numel()]
        if not given:
            return
        self.rows = max(self.rows, len(given[0]))
        self._kind = self._kind or input_kind(given[0])
        numbers = next((t.detach() for t in given if t.is_floating_point()), None)
        with self._spending(), torch.no_grad():
            self._tally.add(given[0] if numbers is None else numbers)
            if numbers is not None:
                self._readings += self._measured(numbers)

    def _measured(self, values: Tensor) -> Iterator[Reading]:
        rows = as_rows(values, channels_first=self._channels_first)
        dtype = torch.promote_types(values.dtype, torch.float32)
        size = torch.linalg.vector_norm(values, dtype=dtype) / values.numel() ** 0.5
        yield Reading(Quantity.INPUT_NORM, size, count=len(values))
        yield Reading(Quantity.INPUT_MEAN, wide(rows).mean(), count=len(values))
        largest = torch.maximum(values.amax(), -values.amin())
        yield Reading(Quantity.INPUT_MAX, wide(largest), count=len(values))
        moments = self._tally.moments
        if moments.count > 1:
            yield Reading(Quantity.INPUT_SPREAD, spread_of(moments), count=moments.count)

    def readings(self) -> Iterable[Reading]:
        """Return the readings of every forward pass with gradients enabled."""
        return tuple(self._readings)

    def facts(self) -> Mapping[str, Any]:
        """Return what kind of input it is, and the most rows that entered at once in training."""
        return {"batch_size": self.rows, "input_kind": self._kind} if self.rows else {}


def input_kind(values: Tensor) -> str:
    """Tell what a batch is from its type and axes.

    Args:
        values: (batch, …).

    Returns:
        ``"images"`` for four axes or more, ``"tokens"`` for other integers, ``"sequences"`` for
        three axes, ``"rows"`` for fewer.
    """
    if values.dim() > 3:
        return "images"
    if not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool):
        return "tokens"
    return "sequences" if values.dim() == 3 else "rows"
