"""What the layers put out: how large, how different between samples, how dead, how saturated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Self, final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.interfaces import Probe, Reading
from fitwell.probes.hooks import Hook
from fitwell.probes.layout import Layer, Layout
from fitwell.records import Quantity

ZERO_SIDED = frozenset({"relu", "relu6"})
"""Activations that are exactly zero, with zero slope, for every input up to zero."""

SATURATED_BEYOND: Mapping[str, float] = MappingProxyType(
    {"sigmoid": 4.6, "tanh": 2.65, "hardsigmoid": 3.0}
)
"""Distance of the input from zero beyond which an activation counts as flat.

The slope of a sigmoid, s (1 - s), is below 0.01 beyond 4.6; that of tanh, 1 - t², is below 0.02
beyond 2.65; a hard sigmoid is exactly flat beyond 3.
"""

_TANH_SATURATED = 0.99
_CHANNELS_SECOND = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
)


@final
@dataclass
class _Seen:
    """What one call of a module put out."""

    values: int
    rows: int
    norm: Tensor
    signal: Tensor | None
    peak: Tensor
    flat: dict[float, Tensor]


@final
class Activations(Probe):
    """Reads the layers' outputs through forward hooks that stand during the ``with`` alone.

    For every layer: the root mean square of its output and of the part that differs between
    samples; behind a ReLU, the share of units that never fired; behind a sigmoid or tanh, the
    share of values in the flat part. All is taken from sums, norms and maxima, at the module whose
    output enters the activation: so a functional or in-place activation is seen too, and a unit
    of a ReLU is silent where its input is at most zero for every sample.

    Units that did not fire are counted over the steps that this probe has been entered for, back
    to ``window`` samples: ``count`` of a dead share is the number of samples that it pools.
    Calls of a reused module are pooled. Only forward passes with gradients enabled count.

    Args:
        model: The network.
        layout: Its layers; None while they are not known: then every module without children is
            read in all ways, and ``layout`` is set before ``readings`` is called.
        window: Number of samples a unit must have been silent for to count as dead. One that fires
            for a hundredth of the samples is silent for 256 in a row once in 13.
        spending: Makes a context manager that stands around each reading, to time it.
    """

    def __init__(
        self,
        model: nn.Module,
        layout: Layout | None,
        *,
        window: int = 256,
        spending: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._model = model
        self.layout = layout
        self._window = window
        self._spending = spending
        self._handles: list[RemovableHandle] = []
        self._seen: dict[str, list[_Seen]] = {}
        self._silent: dict[str, Tensor] = {}
        self._pooled: dict[str, int] = {}

    def __enter__(self) -> Self:
        modules = dict(self._model.named_modules(remove_duplicate=False))
        for name, limits in self._targets().items():
            hook = Hook(self._ran, name, limits)
            self._handles.append(modules[name].register_forward_hook(hook))
        return self

    def _targets(self) -> dict[str, tuple[bool, tuple[float, ...]]]:
        """Module to read -> whether to look for peaks, and which limits of flatness."""
        if self.layout is None:
            leaves = {
                id(module): name
                for name, module in self._model.named_modules()
                if name and (next(module.children(), None) is None or _is_opaque(module))
            }
            return {
                name: (True, (*SATURATED_BEYOND.values(), _TANH_SATURATED))
                for name in leaves.values()
            }
        return {
            layer.source: (layer.activation in ZERO_SIDED, _limits(layer))
            for layer in self.layout.layers
            if layer.source
        }

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _ran(
        self,
        name: str,
        wanted: tuple[bool, tuple[float, ...]],
        module: nn.Module,
        args: object,
        output: object,
    ) -> None:
        values = next(tensors_in(output), None)
        if values is None or values.dim() < 2 or not values.numel():
            return
        if not values.is_floating_point() or not torch.is_grad_enabled():
            return
        peaks, limits = wanted
        with self._spending(), torch.no_grad():
            seen = _measure(module, values.detach(), peaks, limits)
        self._seen.setdefault(name, []).append(seen)

    @torch.no_grad()
    def readings(self) -> Iterable[Reading]:
        """Return what the layers of ``layout`` put out since the last call."""
        if self.layout is None:
            return ()
        found: list[Reading] = []
        for layer in self.layout.layers:
            calls = self._seen.get(layer.source, [])
            if calls:
                found += _sizes(layer, calls)
                found += self._dead(layer, calls)
                found += _saturated(layer, calls)
        self._seen = {}
        return tuple(found)

    def _dead(self, layer: Layer, calls: list[_Seen]) -> Iterator[Reading]:
        if layer.activation not in ZERO_SIDED:
            return
        peak = torch.stack([call.peak for call in calls]).amax(0)
        rows = sum(call.rows for call in calls)
        silent = self._silent.get(layer.name, torch.zeros_like(peak))
        # NaN counts as firing: a broken unit is not a silent one.
        silent = torch.where(peak <= 0, silent + rows, torch.zeros_like(silent))
        self._silent[layer.name] = silent
        self._pooled[layer.name] = self._pooled.get(layer.name, 0) + rows
        pooled = min(self._pooled[layer.name], self._window)
        share = (silent >= pooled).to(torch.float32).mean()
        yield Reading(Quantity.DEAD_SHARE, share, layer.name, count=pooled)


def _is_opaque(module: nn.Module) -> bool:
    return isinstance(module, (nn.RNNBase, nn.MultiheadAttention))


def _limits(layer: Layer) -> tuple[float, ...]:
    limit = _limit(layer)
    return () if limit is None else (limit,)


def _limit(layer: Layer) -> float | None:
    """What to compare the output with: a plain recurrent layer puts out tanh(z), not z."""
    if layer.recurrent:
        return _TANH_SATURATED if layer.activation == "tanh" else None
    return SATURATED_BEYOND.get(layer.activation)


def _measure(module: nn.Module, values: Tensor, peaks: bool, limits: tuple[float, ...]) -> _Seen:
    # (batch, units, *space) for convolutions, else (batch, *space, units)
    axis = 1 if isinstance(module, _CHANNELS_SECOND) else values.dim() - 1
    others = [i for i in range(values.dim()) if i != axis]
    wide = torch.promote_types(values.dtype, torch.float32)
    size = values.abs() if limits else values
    return _Seen(
        values=values.numel(),
        rows=len(values) if axis == 1 else values.numel() // values.shape[axis],
        norm=torch.linalg.vector_norm(values, dtype=wide),
        signal=_signal(module, values.to(wide)),
        peak=values.amax(others) if peaks else values,
        flat={limit: (size > limit).sum() for limit in limits},
    )


def _signal(module: nn.Module, values: Tensor) -> Tensor | None:
    """RMS around the mean over the batch, or None where the axis of the batch is not known.

    The first sample is subtracted before squaring: a signal far smaller than the mean would be
    lost in the difference of two large sums.
    """
    batch_first = getattr(module, "batch_first", True)
    if not batch_first:
        values = values.transpose(0, 1)
    if len(values) < 2:
        return None
    apart = values - values[:1]
    squares = torch.linalg.vector_norm(apart).square() / values.numel()
    mean = torch.linalg.vector_norm(apart.mean(0)).square() / values[0].numel()
    signal: Tensor = (squares - mean).clamp_min(0).sqrt()
    return signal


def _sizes(layer: Layer, calls: list[_Seen]) -> Iterator[Reading]:
    values = sum(call.values for call in calls)
    norm = torch.linalg.vector_norm(torch.stack([call.norm for call in calls]))
    yield Reading(Quantity.OUTPUT_RMS, norm / values**0.5, layer.name, count=values)
    signals = [call.signal for call in calls if call.signal is not None]
    if signals:
        mean = torch.stack(signals).square().mean().sqrt()
        yield Reading(Quantity.SIGNAL_RMS, mean, layer.name, count=values)


def _saturated(layer: Layer, calls: list[_Seen]) -> Iterator[Reading]:
    limit = _limit(layer)
    if limit is None or layer.activation not in SATURATED_BEYOND:
        return
    values = sum(call.values for call in calls)
    flat = torch.stack([call.flat[limit] for call in calls]).sum()
    yield Reading(Quantity.SATURATED_SHARE, flat / values, layer.name, count=values)
