"""Linear layers of many runs: batched matrix products."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from fitwell.studies.stacked.layer import Layer, Values
from fitwell.studies.stacked.sheet import Sheet


@final
class StackedLinear(Layer):
    """A linear layer: ``y = x Wᵀ + b`` in every run.

    It is quickest where the memory holds the weights transposed, (inputs, outputs).
    """

    weight: Tensor
    bias: Tensor | None = None

    def __init__(self, path: str, module: nn.Linear) -> None:
        super().__init__(path)
        self._features = module.out_features
        self._has_bias = module.bias is not None

    def bind(self, values: Values) -> None:
        """Use these weights."""
        self.weight = values[self.name("weight")]  # (runs, outputs, inputs)
        self._turned = self.weight.mT
        if self._has_bias:
            self.bias = values[self.name("bias")].unsqueeze(1)

    def accept(self, gradients: Values) -> None:
        """Write the gradients there; a product can only be written to memory without gaps."""
        self._to = gradients[self.name("weight")].mT
        self._direct = self._to.is_contiguous()
        self._product = self._to if self._direct else torch.empty_like(self._to).contiguous()
        if self._has_bias:
            self._bias_to = gradients[self.name("bias")]

    def forward(self, x: Sheet) -> Sheet:
        """Return the products."""
        self._input = x.values
        runs, batch, _ = x.values.shape
        out = self.sheets.of((runs, batch, self._features), self.weight)
        if self.bias is None:
            torch.bmm(x.values, self._turned, out=out.values)
        else:
            torch.baddbmm(self.bias, x.values, self._turned, out=out.values)
        return out

    def backward(self, gradient: Sheet, *, wanted: bool) -> Sheet:
        """Write the gradients of weight and bias."""
        torch.bmm(self._input.mT, gradient.values, out=self._product)
        if not self._direct:
            self._to.copy_(self._product)
        if self._has_bias:
            torch.sum(gradient.values, 1, out=self._bias_to)
        if not wanted:
            return gradient
        back = self.backs.of(tuple(self._input.shape), self.weight)
        torch.bmm(gradient.values, self.weight, out=back.values)
        return back
