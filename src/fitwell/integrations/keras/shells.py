"""Keras layers as modules of torch, whose weights lie in the same memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, final

import torch
from torch import Tensor, nn

Turn = Callable[[Tensor], Tensor]


def _same(weight: Tensor) -> Tensor:
    return weight


def _units_first(weight: Tensor) -> Tensor:
    """Turn (*space, inputs, units), as Keras has it, into (units, inputs, *space)."""
    return weight.permute(-1, -2, *range(weight.dim() - 2))


@final
@dataclass(frozen=True)
class Weight:
    """One weight of a shell.

    Args:
        name: Name of the parameter in the shell.
        variable: The variable of Keras.
        turn: Turns what Keras keeps into the order of torch, without copying.
    """

    name: str
    variable: Any
    turn: Turn = _same


@final
@dataclass(frozen=True)
class Shell:
    """A module of torch that stands for a layer of Keras.

    It is of the class that a detector knows the kind of layer by, its parameters share the
    memory of Keras' variables, and it computes what the Keras layer computes.

    Args:
        layer: The layer of Keras.
        module: The module; the output enters the activation.
        weights: Its weights.
        activation: A module for the activation that Keras has inside the layer, or None.
        channels_last: Whether Keras has the channels on the last axis, and torch on the second.
    """

    layer: Any
    module: nn.Module
    weights: tuple[Weight, ...] = ()
    activation: nn.Module | None = None
    channels_last: bool = False


_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {
        "relu": nn.ReLU,
        "relu6": nn.ReLU6,
        "sigmoid": nn.Sigmoid,
        "hard_sigmoid": nn.Hardsigmoid,
        "tanh": nn.Tanh,
        "softmax": lambda: nn.Softmax(dim=-1),
        "log_softmax": lambda: nn.LogSoftmax(dim=-1),
        "softplus": nn.Softplus,
        "softsign": nn.Softsign,
        "elu": nn.ELU,
        "selu": nn.SELU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "swish": nn.SiLU,
        "mish": nn.Mish,
        "leaky_relu": nn.LeakyReLU,
    }
)
"""Name of Keras' function to the class of torch."""

_ACTIVATION_LAYERS = MappingProxyType(
    {
        "ReLU": "relu",
        "LeakyReLU": "leaky_relu",
        "ELU": "elu",
        "Softmax": "softmax",
    }
)


def activation_of(layer: Any) -> str:
    """Return the name of the activation inside a layer, as Keras spells it; "" if linear."""
    name = _ACTIVATION_LAYERS.get(type(layer).__name__)
    function = getattr(layer, "activation", None)
    found = name or str(getattr(function, "__name__", ""))
    return "" if found == "linear" else found


def shell_of(layer: Any) -> Shell | None:
    """Return the module that stands for a layer of Keras, or None for one without a likeness."""
    for cls in type(layer).__mro__:
        make = _MAKERS.get(cls.__name__)
        if make is not None and cls.__module__.startswith("keras."):
            with torch.device("meta"):  # nothing is drawn: the program's random numbers stay
                return make(layer)
    return None


def _activation(layer: Any) -> nn.Module | None:
    make = _ACTIVATIONS.get(activation_of(layer))
    return make() if make is not None else None


def _dense(layer: Any) -> Shell:
    inputs, units = layer.kernel.shape
    module = nn.Linear(inputs, units, bias=layer.bias is not None)
    return Shell(layer, module, _kernel(layer, _units_first), _activation(layer))


def _convolution(layer: Any) -> Shell:
    shape, rank = tuple(layer.kernel.shape), len(layer.kernel.shape) - 2
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    turned = "Transpose" in type(layer).__name__
    make = (transposed if turned else kinds)[rank - 1]
    groups = getattr(layer, "groups", 1)
    inputs, units = shape[-1 if turned else -2] * groups, shape[-2 if turned else -1]
    module = make(inputs, units, shape[:rank], groups=groups, bias=layer.bias is not None)
    last = layer.data_format == "channels_last"
    return Shell(layer, module, _kernel(layer, _units_first), _activation(layer), last)


def _kernel(layer: Any, turn: Turn) -> tuple[Weight, ...]:
    weights = [Weight("weight", layer.kernel, turn)]
    if layer.bias is not None:
        weights.append(Weight("bias", layer.bias))
    return tuple(weights)


def _embedding(layer: Any) -> Shell:
    module = nn.Embedding(*layer.embeddings.shape)
    return Shell(layer, module, (Weight("weight", layer.embeddings),))


_CELLS: Mapping[str, Callable[..., nn.RNNBase]] = MappingProxyType(
    {"LSTM": nn.LSTM, "GRU": nn.GRU, "SimpleRNN": nn.RNN}
)


def _recurrent(layer: Any) -> Shell:
    cell = layer.cell
    kind = next(c.__name__ for c in type(layer).__mro__ if c.__name__ in _CELLS)
    biased = cell.bias is not None
    module = _CELLS[kind](cell.kernel.shape[0], layer.units, bias=biased, batch_first=True)
    if kind == "SimpleRNN" and activation_of(cell) == "relu":
        module.nonlinearity = "relu"
    weights = [
        Weight("weight_ih_l0", cell.kernel, _units_first),
        Weight("weight_hh_l0", cell.recurrent_kernel, _units_first),
    ]
    if biased:
        weights.append(Weight("bias_ih_l0", cell.bias))
    return Shell(layer, module, tuple(weights))


def _batch_norm(layer: Any) -> Shell:
    axes = layer.moving_mean.shape[0]
    dimensions = len(layer.input_spec.axes) and layer.input_spec.ndim
    kind = {4: nn.BatchNorm2d, 5: nn.BatchNorm3d}.get(dimensions or 2, nn.BatchNorm1d)
    affine = layer.scale or layer.center
    module = kind(axes, eps=layer.epsilon, momentum=1 - layer.momentum, affine=affine)
    module.running_mean = layer.moving_mean.value.detach()
    module.running_var = layer.moving_variance.value.detach()
    module.num_batches_tracked = torch.zeros((), dtype=torch.long, device="cpu")
    weights = [
        Weight(name, variable)
        for name, variable, there in (
            ("weight", layer.gamma, layer.scale),
            ("bias", layer.beta, layer.center),
        )
        if there
    ]
    last = layer.axis in (-1, (dimensions or 0) - 1) and (dimensions or 2) > 2
    return Shell(layer, module, tuple(weights), None, last)


def _layer_norm(layer: Any) -> Shell:
    known = {"weight": getattr(layer, "gamma", None), "bias": getattr(layer, "beta", None)}
    weights = [Weight(name, variable) for name, variable in known.items() if variable is not None]
    shape = tuple(weights[0].variable.shape) if weights else (1,)
    return Shell(layer, nn.LayerNorm(shape, elementwise_affine=bool(weights)), tuple(weights))


def _dropout(layer: Any) -> Shell:
    return Shell(layer, nn.Dropout(float(layer.rate)))


def _activation_layer(layer: Any) -> Shell | None:
    module = _activation(layer)
    return None if module is None else Shell(layer, module)


_MAKERS: Mapping[str, Callable[[Any], Shell | None]] = MappingProxyType(
    {
        "Dense": _dense,
        **dict.fromkeys(("BaseConv", "BaseConvTranspose"), _convolution),
        "Embedding": _embedding,
        **dict.fromkeys(_CELLS, _recurrent),
        "BatchNormalization": _batch_norm,
        "LayerNormalization": _layer_norm,
        **dict.fromkeys(("Dropout", "BaseSpatialDropout", "GaussianDropout"), _dropout),
        **dict.fromkeys(("Activation", *_ACTIVATION_LAYERS), _activation_layer),
    }
)
"""Class of Keras, or a base of it, to what makes its shell."""
