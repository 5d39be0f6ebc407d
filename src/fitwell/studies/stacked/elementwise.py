"""Activations and dropout of many runs: what acts on every number by itself."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from fitwell.studies.stacked.layer import Layer, Values
from fitwell.studies.stacked.sheet import Sheet

_aten = torch.ops.aten

ELEMENTWISE: tuple[type[nn.Module], ...] = (
    *(nn.ReLU, nn.Sigmoid, nn.Tanh, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU),
    *(nn.Mish, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid),
    *(nn.LogSigmoid, nn.Tanhshrink, nn.Softshrink, nn.Hardshrink, nn.Threshold),
)
"""Activations without parameters and without random numbers."""


def _back_relu(gradient: Tensor, output: Tensor) -> None:
    _aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)


def _back_sigmoid(gradient: Tensor, output: Tensor) -> None:
    _aten.sigmoid_backward.grad_input(gradient, output, grad_input=gradient)


def _back_tanh(gradient: Tensor, output: Tensor) -> None:
    _aten.tanh_backward.grad_input(gradient, output, grad_input=gradient)


Forward = Callable[..., Tensor]
Back = Callable[[Tensor, Tensor], None]

_BY_OUTPUT: Mapping[type[nn.Module], tuple[Forward, Back]] = MappingProxyType(
    {
        nn.ReLU: (torch.relu_, _back_relu),
        nn.Sigmoid: (torch.sigmoid_, _back_sigmoid),
        nn.Tanh: (torch.tanh_, _back_tanh),
    }
)
"""Activations whose slope is told by their output: forward in place, and back in place."""


def activation(path: str, module: nn.Module) -> Layer:
    """Return the layer for an activation of :data:`ELEMENTWISE`."""
    if type(module) in _BY_OUTPUT:
        return ActivationByOutput(path, *_BY_OUTPUT[type(module)])
    return ActivationByAutograd(path, module)


@final
class ActivationByOutput(Layer):
    """An activation whose slope is told by its output."""

    reads_output: ClassVar[bool] = True

    def __init__(self, path: str, forward: Forward, back: Back) -> None:
        super().__init__(path)
        self._forward, self._back = forward, back

    def forward(self, x: Sheet) -> Sheet:
        """Return the activations."""
        out = x
        if not self.may_overwrite:
            out = self.sheets.of(tuple(x.values.shape), x.values)
            out.values.copy_(x.values)
        self._forward(out.flat)
        self._output = out.flat
        return out

    def backward(self, gradient: Sheet, *, wanted: bool) -> Sheet:
        """Multiply by the slope."""
        self._back(gradient.flat, self._output)
        return gradient


@final
class ActivationByAutograd(Layer):
    """Any other activation: torch works out its slope."""

    reads_output: ClassVar[bool] = True

    def __init__(self, path: str, module: nn.Module) -> None:
        super().__init__(path)
        self._module = copy.copy(module)
        if "inplace" in vars(module):
            vars(self._module)["inplace"] = False

    def forward(self, x: Sheet) -> Sheet:
        """Return the activations."""
        with torch.enable_grad():
            self._input = x.flat.detach().requires_grad_(self.training)
            self._output = self._module(self._input)
        return Sheet.around(self._output.detach(), x.values.shape)

    def backward(self, gradient: Sheet, *, wanted: bool) -> Sheet:
        """Multiply by the slope."""
        (back,) = torch.autograd.grad(self._output, self._input, gradient.flat)
        return Sheet.around(back, gradient.values.shape)


@final
class StackedPReLU(Layer):
    """A leaky activation whose slope is learned: one for all units, or one for each."""

    def bind(self, values: Values) -> None:
        """Use these slopes."""
        self._slope = values[self.name("weight")].unsqueeze(1)

    def accept(self, gradients: Values) -> None:
        """Write the gradient of the slopes there."""
        self._to = gradients[self.name("weight")]

    def forward(self, x: Sheet) -> Sheet:
        """Return the activations."""
        self._input = x.values
        out = self.sheets.of(tuple(x.values.shape), x.values)
        torch.where(x.values > 0, x.values, x.values * self._slope, out=out.values)
        return out

    def backward(self, gradient: Sheet, *, wanted: bool) -> Sheet:
        """Write the gradient of the slopes."""
        of_slopes = (gradient.values * self._input.clamp(max=0)).sum(1)
        shared = self._to.shape[1] == 1
        self._to.copy_(of_slopes.sum(1, keepdim=True) if shared else of_slopes)
        back = self.backs.of(tuple(self._input.shape), self._input)
        sloped = gradient.values * self._slope
        torch.where(self._input > 0, gradient.values, sloped, out=back.values)
        return back


@final
class StackedDropout(Layer):
    """Dropout; the masks, already scaled, are handed in before every step."""

    mask: Tensor

    def forward(self, x: Sheet) -> Sheet:
        """Return the input times the mask in training."""
        if not self.training:
            return x
        out = x if self.may_overwrite else self.sheets.of(tuple(x.values.shape), x.values)
        torch.mul(x.values, self.mask, out=out.values)
        return out

    def backward(self, gradient: Sheet, *, wanted: bool) -> Sheet:
        """Multiply by the mask."""
        gradient.values.mul_(self.mask)
        return gradient
