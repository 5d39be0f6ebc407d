"""Networks that are plain sequences: worked through layer by layer with batched products."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, final

from torch import Tensor, nn

from fitwell.modules.standardize import Standardize
from fitwell.studies.stacked.elementwise import (
    ELEMENTWISE,
    StackedDropout,
    StackedPReLU,
    activation,
)
from fitwell.studies.stacked.layer import Layer
from fitwell.studies.stacked.linear import StackedLinear
from fitwell.studies.stacked.masks import call_name
from fitwell.studies.stacked.normalization import (
    StackedBatchNorm,
    StackedLayerNorm,
    StackedStandardize,
)
from fitwell.studies.stacked.program import Program, Values
from fitwell.studies.stacked.sheet import Sheet, Sheets
from fitwell.studies.stacked.written import calls_of

_LAYERS: Mapping[type[nn.Module], Callable[[str, Any], Layer]] = MappingProxyType(
    {
        **dict.fromkeys(ELEMENTWISE, activation),
        nn.Linear: StackedLinear,
        nn.PReLU: lambda path, _: StackedPReLU(path),
        nn.Dropout: lambda path, _: StackedDropout(path),
        nn.BatchNorm1d: StackedBatchNorm,
        nn.LayerNorm: StackedLayerNorm,
        nn.GroupNorm: StackedLayerNorm,
        Standardize: lambda path, _: StackedStandardize(path),
    }
)
"""How to make the layer of a chain for a module."""
_WITHOUT_STATE = (*ELEMENTWISE, nn.Dropout)
"""Modules that may be called more than once."""


def chain_of(model: nn.Module, example: Tensor) -> Chain | None:
    """Return the program of a network that is a plain sequence, or None if it is not one.

    Args:
        model: The network.
        example: Some rows that it reads.
    """
    modules = list(_in_order("", model))
    if not example.is_floating_point() or any(module is None for _, module in modules):
        return None
    rest = [(p, m) for p, m in modules if not _flattens(m) and type(m) is not nn.Identity]
    if not all(type(m) in _LAYERS and _is_plain(m) for _, m in rest):
        return None
    begins = bool(modules) and _flattens(modules[0][1])
    if (example.dim() != 2 and not begins) or not _is_uniform(model, example):
        return None
    if not _each_once([m for _, m in rest], model) or isinstance(rest[0][1], ELEMENTWISE):
        return None
    names = {id(module): name for name, module in model.named_modules()}
    named = [(names.get(id(module), path), module) for path, module in rest]
    return Chain([_LAYERS[type(module)](path, module) for path, module in _numbered(named)])


def _each_once(modules: list[Any], model: nn.Module) -> bool:
    """Whether every parameter has one place in the sequence, and some layer is linear."""
    own = [id(m) for m in modules if not isinstance(m, _WITHOUT_STATE)]
    held = [id(p) for m in modules for p in m.parameters()]
    every = {id(p) for p in model.parameters()}
    linear = any(isinstance(m, nn.Linear) for m in modules)
    return linear and len(set(own)) == len(own) and len(held) == len(every) == len(set(held))


def is_written(model: nn.Module) -> bool:
    """Whether it says in Python what it does, and not by nested ``nn.Sequential`` alone."""
    return any(
        type(m).forward is not nn.Sequential.forward and list(m.children()) for m in model.modules()
    )


def _numbered(modules: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Tell the calls of one dropout apart."""
    calls: dict[str, int] = {}
    numbered = []
    for path, module in modules:
        calls[path] = calls.get(path, 0) + 1
        again = type(module) is nn.Dropout and calls[path] > 1
        numbered.append((call_name(path, calls[path]) if again else path, module))
    return numbered


def _in_order(path: str, module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield the layers in the order in which they run; a None where that is not known."""
    if type(module) in _LAYERS or _flattens(module) or type(module) is nn.Identity:
        yield path, module
        return
    if _hooked(module) or "forward" in vars(module) or not module._modules:
        yield path, None
        return
    if type(module).forward is nn.Sequential.forward:
        inner: Iterable[tuple[str, Any]] = (
            (f"{path}.{name}" if path else name, child) for name, child in module._modules.items()
        )
    else:
        inner = calls_of(path, module)
    for place, child in inner:
        if child is None:
            yield place, None
        else:
            yield from _in_order(place, child)


def _flattens(module: Any) -> bool:
    return type(module) is nn.Flatten and module.start_dim == 1 and module.end_dim == -1


def _hooked(module: Any) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def _is_plain(module: Any) -> bool:
    """Whether a module does what its kind does, on rows of features."""
    if _hooked(module) or "forward" in vars(module):
        return False
    if isinstance(module, nn.LayerNorm):
        return len(module.normalized_shape) == 1
    if isinstance(module, nn.BatchNorm1d):
        return bool(module.track_running_stats)
    if isinstance(module, Standardize):
        return len(module.shape) == 1
    return True


def _is_uniform(model: nn.Module, example: Tensor) -> bool:
    """Whether everything is trained, and of one type."""
    parameters = list(model.parameters())
    return all(p.requires_grad and p.dtype == example.dtype for p in parameters)


@final
class Chain(Program):
    """Layers that run one after the other; their gradients are worked out by hand.

    Args:
        layers: In order.
    """

    def __init__(self, layers: list[Layer]) -> None:
        self._layers = layers
        linear = [layer for layer in layers if isinstance(layer, StackedLinear)]
        self.turned = frozenset(layer.name("weight") for layer in linear)
        # A gradient is read once, by the layer before: two pieces of memory serve all layers.
        pair = Sheets(), Sheets()
        for number, product in enumerate(linear):
            product.backs = pair[number % 2]
        owned = False
        for before, layer in zip([None, *layers[:-1]], layers, strict=True):
            layer.may_overwrite = owned and before is not None and not before.reads_output
            owned = owned or not isinstance(layer, StackedDropout)
        self._gradients = Sheets()
        self._drops = [layer for layer in layers if isinstance(layer, StackedDropout)]
        trained = (StackedLinear, StackedPReLU, StackedBatchNorm, StackedLayerNorm)
        self._first = next(i for i, layer in enumerate(layers) if isinstance(layer, trained))

    def bind(self, values: Values) -> None:
        """Use these parameters and buffers from now on."""
        for layer in self._layers:
            layer.bind(values)

    def accept(self, gradients: Values) -> None:
        """Write gradients there from now on."""
        self._gradients.clear()
        for layer in self._layers:
            layer.sheets.clear()
            layer.backs.clear()
            layer.accept(gradients)

    def train(self, x: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return the outputs (runs, batch, features) in training mode."""
        for layer in self._drops:
            layer.mask = masks[layer.path]
        return self._forward(x, training=True)

    def evaluate(self, x: Tensor) -> Tensor:
        """Return the outputs (runs, rows, features) in evaluation mode."""
        return self._forward(x, training=False)

    def _forward(self, x: Tensor, *, training: bool) -> Tensor:
        values = x.flatten(2)
        sheet = Sheet(values, values)
        for layer in self._layers:
            layer.training = training
            sheet = layer.forward(sheet)
        return sheet.values

    def backward(self, gradient: Tensor) -> None:
        """Write the gradients of the parameters."""
        sheet = self._gradients.of(tuple(gradient.shape), gradient)
        sheet.values.copy_(gradient)
        for index in range(len(self._layers) - 1, self._first - 1, -1):
            sheet = self._layers[index].backward(sheet, wanted=index > self._first)
