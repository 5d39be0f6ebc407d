"""Normalisation layers of many runs, and standardised inputs."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from fitwell.studies.stacked.layer import Layer, Values
from fitwell.studies.stacked.sheet import Sheet


class _Affine(Layer):
    """A layer that normalises and then scales and shifts every feature, if it is asked to."""

    def __init__(self, path: str, *, affine: bool, bias: bool) -> None:
        super().__init__(path)
        self._affine, self._shifts = affine, bias
        self._weight: Tensor | None = None
        self._bias: Tensor | None = None

    def bind(self, values: Values) -> None:
        """Use these scales and shifts."""
        if self._affine:
            self._weight = values[self.name("weight")].unsqueeze(1)
        if self._shifts:
            self._bias = values[self.name("bias")].unsqueeze(1)

    def accept(self, gradients: Values) -> None:
        """Write the gradients of scales and shifts there."""
        if self._affine:
            self._weight_to = gradients[self.name("weight")]
        if self._shifts:
            self._bias_to = gradients[self.name("bias")]

    def _scaled(self, normal: Tensor, out: Tensor) -> None:
        """Write the scaled and shifted values."""
        if self._weight is None:
            out.copy_(normal)
        elif self._bias is None:
            torch.mul(normal, self._weight, out=out)
        else:
            torch.addcmul(self._bias, normal, self._weight, out=out)

    def _back_scaled(self, gradient: Tensor, normal: Tensor) -> None:
        """Write the gradients of scale and shift, and turn the gradient into that before them."""
        if self._shifts:
            torch.sum(gradient, 1, out=self._bias_to)
        if self._weight is not None:
            torch.sum(gradient * normal, 1, out=self._weight_to)
            gradient.mul_(self._weight)


@final
class StackedBatchNorm(_Affine):
    """Batch norm over the rows of each run, with the running statistics of each."""

    def __init__(self, path: str, module: nn.BatchNorm1d) -> None:
        super().__init__(path, affine=module.affine, bias=module.affine)
        self._eps, self._momentum = module.eps, module.momentum
        self._tracks = module.track_running_stats

    def bind(self, values: Values) -> None:
        """Use these scales, shifts and statistics."""
        super().bind(values)
        if self._tracks:
            self._mean = values[self.name("running_mean")]
            self._variance = values[self.name("running_var")]
            self._count = values[self.name("num_batches_tracked")]

    def forward(self, x: Sheet) -> Sheet:
        """Return the normalised rows; in training, move the running statistics."""
        out = self.sheets.of(tuple(x.values.shape), x.values)
        if not self.training and self._tracks:
            factor = (self._variance + self._eps).rsqrt()
            shift = -self._mean * factor
            if self._weight is not None and self._bias is not None:
                factor = factor * self._weight.squeeze(1)
                shift = self._bias.squeeze(1) + shift * self._weight.squeeze(1)
            torch.addcmul(shift.unsqueeze(1), x.values, factor.unsqueeze(1), out=out.values)
            return out
        rows = x.values.shape[1]
        if rows < 2:
            raise ValueError("Expected more than 1 row in a batch to train a batch norm on.")
        mean = x.values.mean(1, keepdim=True)
        normal = self.backs.of(tuple(x.values.shape), x.values).values
        torch.sub(x.values, mean, out=normal)
        variance = torch.mul(normal, normal, out=out.values).mean(1, keepdim=True)
        if self.training and self._tracks:
            self._move(mean, variance, rows)
        self._factor = (variance + self._eps).rsqrt()
        self._normal = normal.mul_(self._factor)
        self._scaled(normal, out.values)
        return out

    def _move(self, mean: Tensor, variance: Tensor, rows: int) -> None:
        self._count += 1
        if self._momentum is None:
            share: Any = 1.0 / self._count[:1]
        else:
            share = self._momentum
        self._mean.lerp_(mean.squeeze(1), share)
        self._variance.lerp_(variance.squeeze(1) * (rows / (rows - 1)), share)

    def backward(self, gradient: Sheet, *, wanted: bool) -> Sheet:
        """Write the gradients of scale and shift; subtract what mean and deviation take."""
        g = gradient.values
        self._back_scaled(g, self._normal)
        if wanted:
            along = (g * self._normal).mean(1, keepdim=True)
            g.sub_(g.mean(1, keepdim=True)).addcmul_(self._normal, along, value=-1.0)
            g.mul_(self._factor)
        return gradient


@final
class StackedLayerNorm(_Affine):
    """Layer norm, or group norm, over the features of each row.

    Args:
        path: Name of the module.
        module: The layer.
    """

    def __init__(self, path: str, module: nn.LayerNorm | nn.GroupNorm) -> None:
        affine = module.weight is not None
        super().__init__(path, affine=affine, bias=module.bias is not None)
        self._eps = module.eps
        self._groups = module.num_groups if isinstance(module, nn.GroupNorm) else 1

    def forward(self, x: Sheet) -> Sheet:
        """Return the normalised rows."""
        runs, batch, features = x.values.shape
        self._shape = (runs, batch, self._groups, features // self._groups)
        self._input = x.values.view(self._shape)
        normal, self._mean, self._factor = torch.native_layer_norm(
            self._input, self._shape[-1:], None, None, self._eps
        )
        self._normal = normal.view(x.values.shape)
        out = self.sheets.of((runs, batch, features), x.values)
        self._scaled(self._normal, out.values)
        return out

    def backward(self, gradient: Sheet, *, wanted: bool) -> Sheet:
        """Write the gradients of scale and shift; go back through the norm."""
        self._back_scaled(gradient.values, self._normal)
        if not wanted:
            return gradient
        back, _, _ = torch.ops.aten.native_layer_norm_backward(
            gradient.values.view(self._shape),
            *(self._input, self._shape[-1:], self._mean, self._factor),
            *(None, None, [True, False, False]),
        )
        gradient.values.copy_(back.view(gradient.values.shape))
        return gradient


@final
class StackedStandardize(Layer):
    """Inputs brought to mean 0 and deviation 1."""

    def bind(self, values: Values) -> None:
        """Use these means and deviations."""
        self._mean = values[self.name("mean")].unsqueeze(1)
        self._deviation = values[self.name("deviation")].unsqueeze(1)

    def forward(self, x: Sheet) -> Sheet:
        """Return the standardised rows."""
        out = self.sheets.of(tuple(x.values.shape), x.values)
        torch.sub(x.values, self._mean, out=out.values)
        out.values.div_(self._deviation)
        return out

    def backward(self, gradient: Sheet, *, wanted: bool) -> Sheet:
        """Divide by the deviation."""
        gradient.values.div_(self._deviation)
        return gradient
