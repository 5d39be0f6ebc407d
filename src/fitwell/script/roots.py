"""Which network an optimizer trains: the outermost module that is called and holds its weights."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from fitwell.probes import Hook

_LIBRARIES = (str(Path(__file__).parent.parent), str(Path(torch.__file__).parent))
"""Folders whose variables are not those of the program."""

_WRAPPERS = ("_orig_mod", "module")
"""Where ``torch.compile``, ``DataParallel`` and ``DistributedDataParallel`` keep the network."""


@final
class Candidates:
    """The modules that hold weights of an optimizer, listened to until one of them is called.

    Every such module, and every module around one, carries a light hook. The first that is called
    with gradients enabled is the outermost one: hooks before a forward pass run from the outside
    to the inside. When every weight is accounted for, no hook is left.

    Args:
        parameters: What the optimizer holds.
        found: Called with the module and its arguments, before its forward pass.
    """

    def __init__(
        self,
        parameters: Iterable[torch.Tensor],
        found: Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None],
    ) -> None:
        self._missing = {id(p) for p in parameters}
        self._found = found
        self._handles: dict[int, tuple[nn.Module, RemovableHandle]] = {}
        for module in holders_of(self._missing):
            hook = Hook(self._called)
            handle = module.register_forward_pre_hook(hook, prepend=True, with_kwargs=True)
            self._handles[id(module)] = (module, handle)

    def holds(self, module: nn.Module) -> bool:
        """Whether a module holds weights of the optimizer that are not accounted for yet."""
        return id(module) in self._handles

    def outermost(self) -> nn.Module | None:
        """Return the module that holds most of the weights left, the outermost of equals."""
        modules = [module for module, _ in self._handles.values()]
        runnable = [m for m in modules if _can_run(m)] or modules
        return max(runnable, key=self._weight_of, default=None)

    def _weight_of(self, module: nn.Module) -> tuple[int, int]:
        own = sum(id(p) in self._missing for p in module.parameters())
        return own, sum(1 for _ in module.modules())

    def _called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return
        if id(module) in self._handles:
            self.settle(module)
            self._found(module, args, kwargs)

    def settle(self, module: nn.Module) -> None:
        """Take the weights of a module as accounted for."""
        self._missing -= {id(p) for p in module.parameters()}
        for key, (other, handle) in list(self._handles.items()):
            if not any(id(p) in self._missing for p in other.parameters()):
                handle.remove()
                del self._handles[key]

    def close(self) -> None:
        """Take every hook off."""
        for _, handle in self._handles.values():
            handle.remove()
        self._handles.clear()


def holders_of(parameters: set[int]) -> list[nn.Module]:
    """Return every living module that holds one of these parameters, itself or inside.

    Args:
        parameters: Identities of the parameters.
    """
    modules = [one for one in gc.get_objects() if issubclass(type(one), nn.Module)]
    around: dict[int, list[nn.Module]] = {}
    holding: dict[int, nn.Module] = {}
    for module in modules:
        if "_modules" not in vars(module):  # made, and not yet initialised
            continue
        for child in module._modules.values():
            around.setdefault(id(child), []).append(module)
        if any(id(p) in parameters for p in module._parameters.values()):
            holding[id(module)] = module
    waiting = list(holding.values())
    while waiting:
        for outer in around.get(id(waiting.pop()), ()):
            if id(outer) not in holding:
                holding[id(outer)] = outer
                waiting.append(outer)
    return list(holding.values())


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the network inside what ``torch.compile`` or data parallelism put around it."""
    wraps = type(module).__name__ in (
        *("OptimizedModule", "DataParallel", "DistributedDataParallel"),
        "FullyShardedDataParallel",
    )
    for name in _WRAPPERS if wraps else ():
        inner = module._modules.get(name)
        if inner is not None:
            return unwrapped(inner)
    return module


def _can_run(module: nn.Module) -> bool:
    """Whether a module has a forward pass: lists and mappings of modules have none."""
    return type(module).forward is not nn.Module.forward


def name_in_program(value: object) -> str:
    """Return the name by which the running program knows an object, or "".

    The outermost variable counts: ``netG`` of the script rather than ``model`` of a function that
    was given it.
    """
    frame = sys._getframe(1)
    found = ""
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_LIBRARIES):
            found = _name_among(frame.f_locals, value) or found
        frame = frame.f_back  # type: ignore[assignment]  # the loop ends where it is None
    return found


def _name_among(variables: Mapping[str, object], value: object) -> str:
    names = (n for n, v in list(variables.items()) if v is value and not n.startswith("_"))
    return next((name for name in names if name != "self"), "")
