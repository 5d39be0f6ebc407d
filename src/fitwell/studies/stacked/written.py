"""The layers of a network in the order in which its ``forward`` calls them, if it is a sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from torch import fx, nn

from fitwell.modules.tracing import ChildrenStay, function_name

_FUNCTIONS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {
        "relu": nn.ReLU,
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "elu": nn.ELU,
        "selu": nn.SELU,
        "leaky_relu": nn.LeakyReLU,
        "softplus": nn.Softplus,
        "mish": nn.Mish,
        "hardswish": nn.Hardswish,
    }
)
"""Functions that a forward may call between its layers, with their defaults."""
_RESHAPES = frozenset({"flatten", "view", "reshape"})
_SHAPES = frozenset({"size", "getattr", "getitem"})

_UNTRACEABLE = (
    *(fx.proxy.TraceError, TypeError, ValueError, RuntimeError, AttributeError),
    *(NotImplementedError, LookupError, AssertionError),
)
"""What a forward raises when it is given a placeholder that it cannot work with."""


def calls_of(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module | None]]:
    """Yield what the forward of a module calls, by name, each on the result of the one before.

    A function between the layers is given as the module that does the same; a change of shape as
    :class:`torch.nn.Flatten`, which it may only be taken for after a trial. A None stands where
    the forward is no such sequence.
    """
    was_training = module.training
    try:
        graphs = []
        for training in (False, True):
            module.training = training
            graphs.append(ChildrenStay().trace(module))
    except _UNTRACEABLE:
        yield path, None
        return
    finally:
        module.training = was_training
    alike = str(graphs[0]) == str(graphs[1])
    yield from _sequence(path, module, graphs[1]) if alike else [(path, None)]


def _sequence(
    path: str, module: nn.Module, graph: fx.Graph
) -> Iterator[tuple[str, nn.Module | None]]:
    current: fx.Node | None = None
    for node in graph.nodes:
        if node.op == "output":
            if node.args != (current,):
                yield path, None
        elif node.op == "placeholder" and current is None:
            current = node
        elif function_name(node) in _SHAPES:
            continue
        else:
            yield _called(path, module, node, current)
            current = node


def _called(
    path: str, module: nn.Module, node: fx.Node, current: fx.Node | None
) -> tuple[str, nn.Module | None]:
    """Return what a node calls, or None if it is not called on the current value alone."""
    if not node.args or node.args[0] is not current:
        return path, None
    if node.op == "call_module":
        target = str(node.target)
        called: Any = module.get_submodule(target) if len(node.args) == 1 else None
        return (f"{path}.{target}" if path else target), None if node.kwargs else called
    name, extra = function_name(node), {k: v for k, v in node.kwargs.items() if k != "inplace"}
    if name in _RESHAPES:
        return path, nn.Flatten()
    plain = name in _FUNCTIONS and len(node.args) == 1 and not extra
    return path, _FUNCTIONS[name]() if plain else None
