"""How much gradient reaches what a recurrent layer takes in at each time step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.interfaces import Reading
from fitwell.probes.features import wide
from fitwell.probes.hooks import Hook, Hooked
from fitwell.records import Quantity

_ROWS = 8
"""Rows that are run again: the fall over time is a matter of orders of magnitude."""

_MOST_STEPS = 64
"""Time steps that are told of, evenly spaced over a longer sequence, the last one among them."""

_EARLY = (0, 5, 20)


@final
@dataclass
class _Call:
    """What a recurrent module was given in one call, and the gradients that came back to it."""

    module: nn.RNNBase
    values: Tensor
    state: Any
    gradients: dict[int, Tensor] = field(default_factory=dict)


@final
class TimeGradients(Hooked):
    """Reads the norm of the loss's gradient at each time step of the recurrent layers.

    ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU`` hide their steps: with the gradient that came back to
    its output, a layer is run again alone on a few rows of its input, and the gradient with
    respect to that input is taken step by step. A cell that the network calls in a loop, and any
    layer known to be ``looped``, has the gradient of what it put out at each call. Packed
    sequences are left out.

    It costs part of a step, so it acts on steps 0, 5 and 20, and then on ever rarer ones.

    Args:
        model: The network; its recurrent modules carry light hooks in those steps.
        clock: Tells the number of the step under way; without it, every step is read.

    Attributes:
        looped: Names of further modules that run on their own output; they may be set later.
    """

    def __init__(self, model: nn.Module, *, clock: Callable[[], int] | None = None) -> None:
        super().__init__()
        named = list(model.named_modules())
        self._layers = [(n, m) for n, m in named if isinstance(m, nn.RNNBase)]
        self._modules = dict(named)
        self._cells = frozenset(n for n, m in named if isinstance(m, nn.RNNCellBase))
        self.looped: frozenset[str] = frozenset()
        self._clock = clock
        self._due = 2 * _EARLY[-1]
        self._calls: dict[str, _Call] = {}
        self._stepped: dict[str, list[list[Tensor]]] = {}
        self._readings: list[Reading] = []

    def _attach(self) -> Iterable[RemovableHandle]:
        self._readings, self._calls, self._stepped = [], {}, {}
        if self._is_due():
            for name, layer in self._layers:
                yield layer.register_forward_hook(Hook(self._ran, name), with_kwargs=True)
            for name in sorted(self._cells | (self.looped & self._modules.keys())):
                yield self._modules[name].register_forward_hook(Hook(self._stepping, name))

    def _is_due(self) -> bool:
        if self._clock is None:
            return True
        step = self._clock()
        if step >= self._due:
            self._due = 2 * step
            return True
        return step in _EARLY

    def _detach(self) -> None:
        super()._detach()
        self._calls, self._stepped = {}, {}

    def _ran(self, name: str, module: nn.RNNBase, args: Any, kwargs: Any, output: Any) -> None:
        given, state = (*args, *kwargs.values(), None)[:2]
        if not torch.is_grad_enabled() or name in self._calls:
            return
        if isinstance(given, PackedSequence) or given.dim() != 3:
            return
        axis = 0 if module.batch_first else 1
        # A state is (layers, batch, units), batch first or not.
        kept = [s.detach()[:, :_ROWS].clone() for s in tensors_in(state)] or None
        values = given.detach().narrow(axis, 0, min(_ROWS, given.shape[axis])).clone()
        call = _Call(module, values, kept)
        for place, tensor in enumerate(tensors_in(output)):
            if tensor.requires_grad:
                hook = Hook(_keep, call.gradients, place, 1 if place else axis)
                tensor.register_hook(hook)  # type: ignore[no-untyped-call]
        self._calls[name] = call

    def _stepping(self, name: str, module: nn.Module, args: object, output: object) -> None:
        if not torch.is_grad_enabled():
            return
        sizes: list[Tensor] = []
        self._stepped.setdefault(name, []).append(sizes)
        for tensor in tensors_in(output):
            if tensor.requires_grad:
                tensor.register_hook(Hook(_measure, sizes))  # type: ignore[no-untyped-call]

    def before_update(self) -> None:
        """Run the recurrent layers again, with the weights that the step was computed with."""
        found: list[Reading] = []
        for name, call in self._calls.items():
            if call.gradients:
                try:
                    found += _told(name, _over_time(call))
                except (RuntimeError, TypeError):  # a layer of somebody's own, called otherwise
                    continue
        for name, steps in self._stepped.items():
            if len(steps) > 1 and any(steps):
                none = next(sizes[0] for sizes in steps if sizes).new_zeros(())
                sums = [torch.stack(sizes).sum().sqrt() if sizes else none for sizes in steps]
                found += _told(name, torch.stack(sums))
        # Where several optimizers step, the first one's weights are still those of the step.
        self._calls, self._stepped = {}, {}
        self._readings += found

    def readings(self) -> Iterable[Reading]:
        """Return one reading a recurrent layer and time step; ``call`` is the time step."""
        return tuple(self._readings)


def _keep(gradients: dict[int, Tensor], place: int, axis: int, gradient: Tensor) -> None:
    rows = min(_ROWS, gradient.shape[axis])
    gradients[place] = gradient.detach().narrow(axis, 0, rows).clone()


def _measure(sizes: list[Tensor], gradient: Tensor) -> None:
    sizes.append(wide(gradient.detach()).square().sum())


def _over_time(call: _Call) -> Tensor:
    """Return the norm, at each time step, of the gradient with respect to the layer's input."""
    weight = next(call.module.parameters())
    devices = [weight.device.index or 0] if weight.is_cuda else []
    values = call.values.to(weight.dtype).requires_grad_()
    state = None
    if call.state is not None:
        parts = tuple(part.to(weight.dtype) for part in call.state)
        state = parts if len(parts) > 1 else parts[0]
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        outputs = list(tensors_in(call.module.forward(values, state)))
        places = sorted(call.gradients)
        gradients = [call.gradients[place].to(weight.dtype) for place in places]
        made = [outputs[place] for place in places]
        (gradient,) = torch.autograd.grad(made, [values], gradients)
    time = 1 if call.module.batch_first else 0
    norms: Tensor = torch.linalg.vector_norm(wide(gradient), dim=(1 - time, 2))
    return norms


def _told(name: str, norms: Tensor) -> Iterable[Reading]:
    # A step that a gradient scaler skips has infinite ones by design; real ones show elsewhere.
    norms = torch.nan_to_num(norms, nan=0.0, posinf=0.0)
    steps: Sequence[int] = range(len(norms))
    if len(steps) > _MOST_STEPS:
        steps = [round(i * (len(norms) - 1) / (_MOST_STEPS - 1)) for i in range(_MOST_STEPS)]
    for step in steps:
        yield Reading(Quantity.TIME_GRADIENT, norms[step], name, call=step)
