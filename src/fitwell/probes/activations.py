"""What the layers put out: how large, how different between samples, how dead, how saturated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.interfaces import Numbers, Reading
from fitwell.probes.hooks import Hook, Hooked
from fitwell.probes.layout import Layer, Layout
from fitwell.probes.norms import as_readings, joined, norms_of
from fitwell.probes.outputs import Seen, Wanted, has_units_second, is_read, measured
from fitwell.probes.silence import Silence
from fitwell.records import Quantity, Row

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


class _Place(NamedTuple):
    """A module to listen to: at its output, or at what enters it."""

    module: nn.Module
    hook: Hook
    before: bool


@final
class Activations(Hooked):
    """Reads the layers' outputs through forward hooks that stand during the ``with`` alone.

    For every layer: the root mean square of its output and of the part that differs between
    samples; behind a ReLU, the share of units that never fired; behind a sigmoid or tanh, the
    share of values in the flat part. All is taken from sums, norms and maxima, at the module whose
    output enters the activation: so a functional or in-place activation is seen too, and a unit
    of a ReLU is silent where its input is at most zero for every sample. Where a residual sum
    enters the activation, it is read at the activation, if that is a module; the sum that enters a
    functional one is no module's output, and is not read.

    Units that did not fire are counted over the steps that this probe has been entered for, back
    to ``window`` samples: ``count`` of a dead share is the number of samples that it pools.
    What differs between samples, and what is flat, is taken from some of the rows of a large
    batch. Calls of a reused module are pooled. Only forward passes with gradients enabled count.

    Args:
        model: The network.
        layout: Its layers; None while they are not known: then every layer and normalisation is
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
        super().__init__()
        self._model = model
        self._layout = layout
        self._spending = spending
        self._silence = Silence(window)
        self._places: list[_Place] | None = None
        self._seen: dict[tuple[str, bool], list[Seen]] = {}

    @property
    def layout(self) -> Layout | None:
        """The layers that are read."""
        return self._layout

    @layout.setter
    def layout(self, layout: Layout | None) -> None:
        self._layout, self._places = layout, None

    def _attach(self) -> Iterable[RemovableHandle]:
        if self._places is None:
            self._places = list(self._planned())
        for module, hook, before in self._places:
            register = module.register_forward_pre_hook if before else module.register_forward_hook
            yield register(hook)

    def _planned(self) -> Iterator[_Place]:
        if self._layout is None:
            everything = Wanted(True, (*SATURATED_BEYOND.values(), _TANH_SATURATED), True)
            for name, module in self._model.named_modules():
                if name and is_read(module):
                    yield _Place(module, Hook(self._ran, name, everything), False)
            return
        modules = dict(self._model.named_modules(remove_duplicate=False))
        for layer in self._layout.layers:
            zero_sided, limits = layer.activation in ZERO_SIDED, _limits(layer)
            if layer.source in modules and layer.source:
                wanted = Wanted(zero_sided and not layer.entry, limits, True)
                module = modules[layer.source]
                yield _Place(module, Hook(self._ran, layer.source, wanted), False)
            if layer.entry in modules and layer.entry and layer.source in modules:
                module, first = modules[layer.entry], has_units_second(modules[layer.source])
                wanted = Wanted(zero_sided, limits, False, 1 if first else None)
                yield _Place(module, Hook(self._enters, layer.entry, wanted), True)

    def _ran(
        self, name: str, wanted: Wanted, module: nn.Module, args: object, output: object
    ) -> None:
        self._take((name, False), wanted, module, output)

    def _enters(self, name: str, wanted: Wanted, module: nn.Module, args: object) -> None:
        self._take((name, True), wanted, module, args)

    def _take(
        self, key: tuple[str, bool], wanted: Wanted, module: nn.Module, given: object
    ) -> None:
        if not torch.is_grad_enabled():
            return
        # A recorder of the layers, in the first pass, is not to hear what is computed here.
        with self._spending(), torch.no_grad(), torch._C.DisableTorchFunction():
            values = given if isinstance(given, Tensor) else next(tensors_in(given), None)
            if values is None or values.dim() < 2 or values.is_nested or not values.numel():
                return
            if values.is_floating_point():
                seen = measured(module, values.detach(), wanted)
                self._seen.setdefault(key, []).append(seen)

    @torch.no_grad()
    def numbers(self) -> Iterable[Numbers]:
        """Return what the layers of ``layout`` put out since the last call, to be put together."""
        seen, self._seen = self._seen, {}
        if self._layout is None:
            return ()
        found: list[Numbers] = []
        sizes = [
            (layer, calls)
            for layer in self._layout.layers
            if (calls := seen.get((layer.source, False)))
        ]
        if sizes:
            found.append(_sizes(sizes))
        entering = [
            (layer, calls) for layer in self._layout.layers if (calls := _entering(layer, seen))
        ]
        flat = [(a, c) for a, c in entering if a.activation in SATURATED_BEYOND and _limits(a)]
        if flat:
            found.append(_saturated(flat))
        peaks = [
            (layer.name, [call.peak for call in calls if call.peak is not None], _rows(calls))
            for layer, calls in entering
            if layer.activation in ZERO_SIDED
        ]
        found += self._silence.numbers([(n, p, rows) for n, p, rows in peaks if p])
        return found

    def readings(self) -> Iterable[Reading]:
        """Return what the layers of ``layout`` put out since the last call."""
        return tuple(as_readings(self.numbers()))


def _entering(layer: Layer, seen: Mapping[tuple[str, bool], list[Seen]]) -> list[Seen]:
    """Return the calls in which the output of a layer, or a sum with it, enters an activation."""
    if not layer.entry:
        return seen.get((layer.source, False), [])
    return seen.get((layer.entry, True), [])[layer.entry_call :: layer.entry_calls]


def _rows(calls: Sequence[Seen]) -> int:
    return sum(call.rows for call in calls)


def _limits(layer: Layer) -> tuple[float, ...]:
    """What to compare the output with: a plain recurrent layer puts out tanh(z), not z."""
    if layer.recurrent:
        return (_TANH_SATURATED,) if layer.activation == "tanh" else ()
    limit = SATURATED_BEYOND.get(layer.activation)
    return () if limit is None else (limit,)


def _sizes(found: Sequence[tuple[Layer, list[Seen]]]) -> Numbers:
    """Root mean squares of outputs and signals; put together from norms."""
    calls = [call for _, own in found for call in own]
    apart = [t for call in calls if call.apart is not None for t in call.apart]
    values = [*joined([call.norm for call in calls]), *joined(norms_of(apart))]
    plan = [
        (layer.name, [(c.values, c.taken, c.rows_taken, c.batch) for c in own])
        for layer, own in found
    ]

    def finish(numbers: Sequence[float]) -> Iterator[Row]:
        norms, signals = iter(numbers[: len(calls)]), iter(numbers[len(calls) :])
        for name, own in plan:
            size = sum(values for values, *_ in own)
            square = sum(next(norms) ** 2 for _ in own)
            yield Row(0, Quantity.OUTPUT_RMS, (square / size) ** 0.5, name, count=size)
            squares = [
                _variance(next(signals), next(signals), taken, rows, batch)
                for _, taken, rows, batch in own
                if rows
            ]
            if squares:
                rms = (sum(squares) / len(squares)) ** 0.5
                yield Row(0, Quantity.SIGNAL_RMS, rms, name, count=size)

    return Numbers(values, finish)


def _variance(apart: float, mean: float, taken: int, rows: int, batch: int) -> float:
    """Mean square around the mean over a batch, from norms of some rows less the first of them.

    Args:
        apart: Norm of the rows that were taken, the first one subtracted.
        mean: Norm of the mean of these.
        taken: How many values they have.
        rows: How many they are.
        batch: How many rows the batch has: the sample tells the variance in it without bias.
    """
    square = apart**2 / taken - mean**2 * rows / taken
    # max() would turn a NaN into 0.
    return 0.0 if square < 0 else square * (batch - 1) / batch * rows / (rows - 1)


def _saturated(found: Sequence[tuple[Layer, list[Seen]]]) -> Numbers:
    plan = [(layer.name, len(calls), sum(c.taken for c in calls)) for layer, calls in found]
    counts = [call.flat[_limits(layer)[0]] for layer, calls in found for call in calls]

    def finish(numbers: Sequence[float]) -> Iterator[Row]:
        given = iter(numbers)
        for name, calls, taken in plan:
            share = sum(next(given) for _ in range(calls)) / taken
            yield Row(0, Quantity.SATURATED_SHARE, share, name, count=taken)

    return Numbers(joined(counts), finish)
