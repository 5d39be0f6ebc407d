"""Record what really runs in a forward pass."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final
from weakref import ref

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy.roles import (
    ADDITIONS,
    GATING,
    RESHAPING,
    SCALING,
    function_role,
    kind_of,
    module_role,
    settings,
)
from fitwell.modules.rows import tensors_in
from fitwell.records import Anatomy, Node, Role

_NOT_THE_CALLER = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
"""Folders whose lines are not those of a network: torch's, and the recorder's."""


@final
class _Calls(TorchFunctionMode):
    """Hands every call of a torch function to the recorder."""

    def __init__(self, record: Callable[..., None]) -> None:
        super().__init__()
        self._record = record

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        self._record(func, (args, kwargs), output)
        return output


@final
class Recorder:
    """Context manager that records the anatomy of a network from the forward passes inside it.

    Only the first forward pass counts. Nothing of the network or the run is changed, and no hook
    outlives the ``with``. It may be entered from a forward pre-hook of the network itself.

    Args:
        model: The network whose modules are to be recognised.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._nodes: list[Node] = []
        self._producer = Producers()
        self._from_parameters: dict[int, tuple[str, ...]] = {}
        self._buffers: set[int] = set()
        self._alive: list[object] = []
        self._running: list[tuple[str, Counter[str]]] = [("", Counter())]
        self._inside = 0
        self._handles: list[RemovableHandle] = []
        self._stack = ExitStack()
        self._count: dict[tuple[str, str], int] = {}
        self._ends: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        for name, parameter in self._model.named_parameters(remove_duplicate=False):
            self._from_parameters.setdefault(id(parameter), (name,))
        self._buffers = {id(buffer) for buffer in self._model.buffers()}
        for name, module in self._model.named_modules():
            if module is self._model:
                continue
            role = module_role(module)
            self._handles += [
                module.register_forward_pre_hook(_Enter(self, name, role is not None)),
                module.register_forward_hook(
                    _Leave(self, name, role), with_kwargs=True, always_call=True
                ),
            ]
        # Held by the stack alone: recorder and mode would else keep each other, and the network.
        self._stack.enter_context(_Calls(self._function_ran))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._alive.clear()
        self._producer.clear()

    def anatomy(self) -> Anatomy:
        """Return what was recorded; gates and attention are told by what follows them."""
        plain = Anatomy(tuple(self._nodes))
        nodes = tuple(_with_context(plain, node) for node in plain.nodes)
        return Anatomy(nodes, ends=self._ends)

    def returned(self, output: object) -> None:
        """Note what the network returned; to be called while the recorder still stands.

        Of several tensors, that of the most axes is the main one: a loss that comes with the
        output has none.
        """
        tensors = sorted(tensors_in(output), key=lambda t: min(t.dim(), 2), reverse=True)
        made = [self._producer.of(t) for t in tensors if self._producer.of(t) >= 0]
        self._ends = tuple(dict.fromkeys(made))

    def module_entered(self, name: str, opaque: bool) -> None:
        """Note that a module begins to run."""
        self._running.append((name, Counter()))
        self._inside += opaque

    def module_left(
        self, name: str, role: Role | None, module: nn.Module, given: object, output: object
    ) -> None:
        """Note that a module has run; its output is None if it raised."""
        self._running.pop()
        if role is None:
            return
        self._inside -= 1
        if self._inside or output is None:
            return
        parameters = tuple(
            self._from_parameters.get(id(parameter), (f"{name}.{own}",))[0]
            for own, parameter in module.named_parameters()
        )
        self._add(name, kind_of(module), role, given, output, parameters, settings(module))

    def _function_ran(self, function: Callable[..., Any], given: object, output: object) -> None:
        if self._inside:
            return
        results = list(tensors_in(output))
        if not results:
            return
        name = getattr(function, "__name__", type(function).__name__)
        slug = name.lower().replace("_", "")
        taken = list(tensors_in(given))
        used = [n for t in taken for n in self._from_parameters.get(id(t), ())]
        others = [t for t in taken if id(t) not in self._from_parameters]
        fed = [t for t in others if not self._is_kept(t)]
        if used and not others:
            self._alive.append(output)
            self._from_parameters.update({id(t): tuple(used) for t in results})
            return
        sources = len({self._producer.of(t) for t in fed})
        role = function_role(slug, sources, bool(used))
        owner = used[0].rpartition(".")[0] if role in (Role.LAYER, Role.RECURRENT) else None
        calling, calls = self._running[-1]
        path = calling if owner is None else owner
        kind, made_with = name.strip("_"), None
        if owner == "" and module_role(self._model) == role:
            # The network is a single layer: no hook stands on it, this call is the layer.
            kind, made_with = type(self._model).__name__, settings(self._model)
        self._add(path, kind, role, given, output, tuple(used), made_with, order=calls[kind])
        calls[kind] += 1

    def _is_kept(self, tensor: Tensor) -> bool:
        """Whether a tensor is a parameter or a buffer, and neither input nor computed from it."""
        buffer = id(tensor) in self._buffers and self._producer.of(tensor) < 0
        return buffer or id(tensor) in self._from_parameters

    def _add(
        self,
        path: str,
        kind: str,
        role: Role,
        given: object,
        output: object,
        parameters: tuple[str, ...],
        made_with: Mapping[str, Any] | None,
        *,
        order: int = 0,
    ) -> None:
        taken = [t for t in tensors_in(given) if not self._is_kept(t)]
        results = list(tensors_in(output))
        inputs = tuple(dict.fromkeys(self._producer.of(t) for t in taken))
        key = (path, kind)
        node = Node(
            index=len(self._nodes),
            path=path,
            kind=kind,
            role=role,
            functional=made_with is None,
            inputs=inputs,
            shape=tuple(results[0].shape) if results else (),
            parameters=parameters,
            call=self._count.get(key, 0),
            settings=made_with or {},
            order=order,
            source=_line_of_call() if made_with is None else "",
            taken=tuple(taken[0].shape) if taken else (),
        )
        self._count[key] = node.call + 1
        self._nodes.append(node)
        self._producer.note(results, node.index)


@final
class Producers:
    """Which node put out a tensor, for as long as the tensor lives.

    Tensors are known by their identity, which another one may take after them: so an entry goes
    with its tensor. None is kept alive: a recorded pass needs no more memory than any other.
    """

    def __init__(self) -> None:
        self._nodes: dict[int, int] = {}
        self._watched: dict[int, ref[Tensor]] = {}

    def of(self, tensor: Tensor) -> int:
        """Return the index of the node; -1 if none did."""
        return self._nodes.get(id(tensor), -1)

    def note(self, tensors: Iterable[Tensor], node: int) -> None:
        """Note that a node put out these tensors."""
        for tensor in tensors:
            key = id(tensor)
            self._nodes[key] = node
            self._watched[key] = ref(tensor, _Gone(key, self._nodes, self._watched))

    def __len__(self) -> int:
        return len(self._nodes)

    def clear(self) -> None:
        """Forget all."""
        self._nodes.clear()
        self._watched.clear()


@final
class _Gone:
    """Callback of a weak reference: drops what was kept of a tensor."""

    def __init__(self, key: int, *kept: dict[int, Any]) -> None:
        self._key, self._kept = key, kept

    def __call__(self, reference: object) -> None:
        for entries in self._kept:
            entries.pop(self._key, None)


class _Enter:
    """Forward pre-hook: a module begins to run."""

    def __init__(self, recorder: Recorder, name: str, opaque: bool) -> None:
        self._recorder, self._name, self._opaque = recorder, name, opaque

    def __call__(self, module: nn.Module, args: object) -> None:
        self._recorder.module_entered(self._name, self._opaque)


class _Leave:
    """Forward hook: a module has run, or raised."""

    def __init__(self, recorder: Recorder, name: str, role: Role | None) -> None:
        self._recorder, self._name, self._role = recorder, name, role

    def __call__(self, module: nn.Module, args: object, kwargs: object, output: object) -> None:
        self._recorder.module_left(self._name, self._role, module, (args, kwargs), output)


def _line_of_call() -> str:
    """Return the line of the network's code that is running, as ``"model.py:12"``."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(_NOT_THE_CALLER):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _with_context(anatomy: Anatomy, node: Node) -> Node:
    """Tell gates and attention from plain activations, by what takes their output."""
    if node.role != Role.ACTIVATION:
        return node
    role = Role.ACTIVATION
    if node.slug in ("sigmoid", "tanh", "hardsigmoid") and _opens(anatomy, node):
        role = Role.GATE
    elif node.slug == "softmax" and anatomy.consumers(node):
        role = Role.ATTENTION
    return node if role == node.role else replace(node, role=role)


def _opens(anatomy: Anatomy, node: Node) -> bool:
    """Whether a node scales another one, be it reshaped before or taken from one."""
    for consumer in anatomy.consumers(node):
        alone = len(consumer.inputs) == 1
        if consumer.slug in GATING and not alone:
            return True
        # expand_as takes a second tensor, for its shape alone.
        reshaped = consumer.slug in RESHAPING and consumer.inputs[0] == node.index
        scaled = alone and (consumer.slug in ADDITIONS or consumer.slug in SCALING)
        if (reshaped or scaled) and _opens(anatomy, consumer):
            return True
    return False
