"""How far the statistics of a batch lie from those that a batch norm keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.interfaces import Reading
from fitwell.probes.features import wide
from fitwell.probes.hooks import Hook, Hooked
from fitwell.records import Quantity


@final
class StatisticsDrift(Hooked):
    """Reads how far the mean of each batch norm's batch lies from its running mean.

    The distance is in running standard deviations, root mean square over the channels, taken
    before the running statistics take the batch in. ``count`` is the number of values that a
    channel has in the batch, ``call`` that of the layer's call within the forward pass.

    Args:
        model: The network; its batch norms with running statistics carry a light hook during the
            step, and so does the network itself.
        spending: Makes a context manager that stands around each reading, to time it.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        spending: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        super().__init__()
        self._model = model
        self._spending = spending
        self._norms = [(n, m) for n, m in model.named_modules() if isinstance(m, _BatchNorm)]
        self._calls: Counter[str] = Counter()
        self._readings: list[Reading] = []

    def _attach(self) -> Iterable[RemovableHandle]:
        self._readings = []
        self._calls.clear()
        if self._norms:
            yield self._model.register_forward_pre_hook(Hook(self._begins))
        for name, norm in self._norms:
            yield norm.register_forward_pre_hook(Hook(self._given, name), with_kwargs=True)

    def _begins(self, module: nn.Module, args: object) -> None:
        self._calls.clear()

    def _given(self, name: str, norm: _BatchNorm, args: object, kwargs: object) -> None:
        mean, variance = norm.running_mean, norm.running_var
        values = next(tensors_in((args, kwargs)), None)
        if not (norm.training and isinstance(mean, Tensor) and isinstance(variance, Tensor)):
            return
        if values is None or values.dim() < 2 or not values.numel():
            return
        if not torch.is_grad_enabled():
            return
        with self._spending(), torch.no_grad():
            # (batch, channels, *space)
            others = [0, *range(2, values.dim())]
            found = wide(values.detach()).mean(others)
            drift = (found - wide(mean)) / (wide(variance) + norm.eps).sqrt()
            size = torch.linalg.vector_norm(drift) / len(drift) ** 0.5
            count, call = values.numel() // len(drift), self._calls[name]
            reading = Reading(Quantity.STATISTICS_DRIFT, size, name, call=call, count=count)
            self._readings.append(reading)
        self._calls[name] += 1

    def readings(self) -> Iterable[Reading]:
        """Return one reading a call of each batch norm in training mode."""
        return tuple(self._readings)
