"""A model of Keras as a network of torch: it runs the model, and probes can read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn

from fitwell.integrations.keras.shells import Shell, shell_of


@final
class KerasNetwork(nn.Module):
    """The layers of a Keras model under their Keras names, with its weights and its forward pass.

    Under :meth:`instead` the model calls its layers through these modules: so hooks on them hear
    of every forward pass, with the outputs before an activation and after it apart. What is
    computed stays the same, operation by operation.

    Args:
        model: The model, built.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._redirected: list[tuple[Any, Callable[..., Any]]] = []
        self._weights: list[tuple[Any, nn.Parameter, Callable[[Tensor], Tensor]]] = []
        taken: set[int] = set()
        for layer in model._flatten_layers(include_self=False):
            if id(layer) in taken or not layer.built:
                continue
            shell = shell_of(layer)
            if shell is not None:
                self._add(shell)
                taken |= {id(inner) for inner in layer._flatten_layers(include_self=False)}
        self._rest(model)
        self._redirected.append((model, _Root(self, model.call)))
        self._call: Callable[..., Any] = model.call

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model of Keras."""
        return self._call(*args, **kwargs)

    def _add(self, shell: Shell) -> None:
        name = _free(shell.layer.name, self)
        for weight in shell.weights:
            parameter = _shared(weight.variable, weight.turn)
            setattr(shell.module, weight.name, parameter)
            self._weights.append((weight.variable, parameter, weight.turn))
        for unused in [n for n, p in shell.module._parameters.items() if p is None or p.is_meta]:
            del shell.module._parameters[unused]
            if unused in ("weight", "bias"):
                shell.module.register_parameter(unused, None)
        self.add_module(name, shell.module)
        if shell.activation is not None:
            self.add_module(
                _free(f"{name}/{type(shell.activation).__name__.lower()}", self), shell.activation
            )
        self._redirected.append((shell.layer, _Layer(shell)))

    def _rest(self, model: Any) -> None:
        """Register the weights of layers that have no likeness, under their paths."""
        known = {id(variable) for variable, _, _ in self._weights}
        for variable in model.trainable_variables:
            if id(variable) not in known:
                parameter = _shared(variable, lambda weight: weight)
                self.register_parameter(_free(variable.path, self), parameter)
                self._weights.append((variable, parameter, lambda weight: weight))

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Have the model call its layers through these modules."""
        for layer, call in self._redirected:
            vars(layer)["call"] = call
        try:
            yield
        finally:
            for layer, _ in self._redirected:
                vars(layer).pop("call", None)

    def show_gradients(self) -> None:
        """Let the parameters have the gradients that the variables have, without a copy."""
        for variable, parameter, turn in self._weights:
            value = variable.value
            parameter.requires_grad_(value.requires_grad)
            parameter.grad = None if value.grad is None else turn(value.grad)


@final
class _Root:
    """Called in place of ``model.call``."""

    def __init__(self, network: KerasNetwork, call: Callable[..., Any]) -> None:
        self._network, self._plain = network, call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not _real(args, kwargs):
            return self._plain(*args, **kwargs)
        training = kwargs.get("training")
        self._network.train(torch.is_grad_enabled() if training is None else bool(training))
        return self._network(*args, **kwargs)


@final
class _Layer:
    """Called in place of ``layer.call``: the shell first, then the activation."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._call = shell.layer.call
        shell.module.forward = self._without_activation
        if shell.activation is not None:
            self._function = shell.layer.activation
            shell.activation.forward = self._activated

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not args or not _real(args[:1], {}):
            return self._call(*args, **kwargs)
        given, *rest = args
        if not self._shell.channels_last:
            output = self._shell.module(given, *rest, **kwargs)
            return output if self._shell.activation is None else self._shell.activation(output)
        output = self._shell.module(given.movedim(-1, 1), *rest, **kwargs)
        if self._shell.activation is not None:
            output = self._shell.activation(output)
        return output.movedim(1, -1)

    def _without_activation(self, given: Tensor, *args: Any, **kwargs: Any) -> Any:
        layer = self._shell.layer
        if self._shell.channels_last:
            given = given.movedim(1, -1)
        if self._shell.activation is None:
            output = self._call(given, *args, **kwargs)
        else:
            kept = layer.activation
            vars(layer)["activation"] = None
            try:
                output = self._call(given, *args, **kwargs)
            finally:
                vars(layer)["activation"] = kept
        return output.movedim(-1, 1) if self._shell.channels_last else output

    def _activated(self, given: Tensor) -> Any:
        if self._shell.channels_last:
            return self._function(given.movedim(1, -1)).movedim(-1, 1)
        return self._function(given)


def _shared(variable: Any, turn: Callable[[Tensor], Tensor]) -> nn.Parameter:
    """Return a parameter in the memory of a variable."""
    value = variable.value
    return nn.Parameter(turn(value.detach()), requires_grad=value.requires_grad)


def _real(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call has numbers, and is no dry run for the shapes."""
    given = [*args, *kwargs.values()]
    flat = [t for g in given for t in (g if isinstance(g, (list, tuple)) else [g])]
    tensors = [t for t in flat if isinstance(t, Tensor)]
    return bool(tensors) and not any(t.is_meta for t in tensors)


def _free(name: str, network: nn.Module) -> str:
    """Return the name, or with a number if it is taken; a module's name has no dots."""
    plain = name.replace(".", "_")
    free, number = plain, 2
    while hasattr(network, free):
        free, number = f"{plain}_{number}", number + 1
    return free
