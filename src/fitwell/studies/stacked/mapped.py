"""Networks of any shape: the module itself, mapped over the runs by torch.func."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from fitwell.studies.stacked.masks import Masked, dropouts
from fitwell.studies.stacked.program import Program, Unstackable, Values, trained_parameters


@final
class Mapped(Program):
    """A network whose forward pass is mapped over the runs; torch works out its gradients.

    Args:
        model: One of the networks; a copy of it is kept.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = copy.deepcopy(model)
        for name in dropouts(self._model):
            parent, _, child = name.rpartition(".")
            setattr(self._model.get_submodule(parent), child, Masked())
        self._trained = tuple(trained_parameters(model))

    def bind(self, values: Values) -> None:
        """Use these parameters and buffers from now on; buffers are moved in place."""
        self._leaves = {n: values[n].detach().requires_grad_() for n in self._trained}
        self._values = {**values, **self._leaves}

    def accept(self, gradients: Values) -> None:
        """Write gradients there from now on."""
        self._to = [gradients[name] for name in self._trained]

    @torch.enable_grad()
    def train(self, x: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return the outputs (runs, batch, ...) in training mode."""
        self._model.train()
        again = next((call for call in masks if "#" in call), None)
        if again:
            raise Unstackable(f"the dropout {again.partition('#')[0]} is called more than once")
        handed = {f"{name}.mask": mask for name, mask in masks.items()}
        self._outputs = self._call({**self._values, **handed}, x)
        return self._outputs.detach()

    @torch.no_grad()
    def evaluate(self, x: Tensor) -> Tensor:
        """Return the outputs (runs, rows, ...) in evaluation mode."""
        self._model.eval()
        return self._call(self._values, x)

    def _call(self, values: Values, x: Tensor) -> Tensor:
        def of_a_run(own: dict[str, Tensor], rows: Tensor) -> Tensor:
            outputs = functional_call(self._model, own, (rows,))
            if not isinstance(outputs, Tensor):
                raise Unstackable("the network returns more than one tensor")
            return outputs

        outputs: Tensor = vmap(of_a_run, randomness="error")(dict(values), x)
        return outputs

    def backward(self, gradient: Tensor) -> None:
        """Write the gradients of the parameters."""
        leaves = list(self._leaves.values())
        found = torch.autograd.grad(self._outputs, leaves, gradient, allow_unused=True)
        del self._outputs
        if any(g is None for g in found):
            raise Unstackable("a parameter has no part in the output")
        torch._foreach_copy_(self._to, list(found))
