"""What a network is made of, recorded from a real forward pass.

A :class:`Recorder` stands around a forward pass and writes down every call of a module and of a
function, in the order in which they ran, with what fed what. It needs no tracing: control flow,
shared modules, functional calls and keyword inputs are seen as they happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from fitwell.records import Anatomy, LayerFact, Node, Role

ACTIVATION_NAMES: Mapping[str, str] = {
    "celu": "celu",
    "elu": "elu",
    "gelu": "gelu",
    "hardsigmoid": "hardsigmoid",
    "hardswish": "hardswish",
    "hardtanh": "hardtanh",
    "leakyrelu": "leaky_relu",
    "logsigmoid": "logsigmoid",
    "logsoftmax": "log_softmax",
    "mish": "mish",
    "prelu": "prelu",
    "relu": "relu",
    "relu6": "relu6",
    "rrelu": "rrelu",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "softmax": "softmax",
    "softplus": "softplus",
    "softsign": "softsign",
    "tanh": "tanh",
}
"""Slug of a node to the name that torch's functions have."""

_LAYERS = (nn.Linear, nn.Bilinear, nn.Embedding, nn.EmbeddingBag, nn.MultiheadAttention)
_CONVOLUTIONS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_NORMALIZATIONS = (
    *(nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm),
    *(nn.LocalResponseNorm, nn.RMSNorm),
)
_DROPOUTS = (nn.modules.dropout._DropoutNd,)
_PADDINGS = (nn.modules.padding._ConstantPadNd, nn.ReflectionPad2d, nn.ReplicationPad2d)
_SHAPES = (
    *(nn.Flatten, nn.Unflatten, nn.Identity, nn.Upsample, nn.PixelShuffle, nn.ZeroPad2d),
    *(nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd, *_PADDINGS),
    *(nn.modules.pooling._AdaptiveAvgPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd),
)
_WEIGHTED_CALLS = frozenset(
    "linear bilinear conv1d conv2d conv3d convtranspose1d convtranspose2d convtranspose3d "
    "embedding embeddingbag matmul rmatmul mm bmm addmm baddbmm einsum multiheadattentionforward "
    "rnntanh rnnrelu lstm gru".split()
)
_NORMALIZING_CALLS = frozenset(
    "batchnorm layernorm groupnorm instancenorm rmsnorm localresponsenorm normalize".split()
)
_SHAPE_CALLS = frozenset(
    "view reshape flatten unflatten permute transpose swapaxes movedim t squeeze unsqueeze expand "
    "expandas contiguous to float double half bfloat16 type typeas clone detach getitem get chunk "
    "split unbind cat concat stack pad narrow select roll repeat flip mean amax adaptiveavgpool1d "
    "adaptiveavgpool2d adaptivemaxpool2d avgpool1d avgpool2d maxpool1d maxpool2d maxpool2d "
    "interpolate pixelshuffle packpaddedsequence padpackedsequence".split()
)
_ADDITIONS = frozenset("add radd iadd sub rsub".split())
_PRODUCTS = frozenset("mul rmul imul".split())


def activation_name(node: Node | None) -> str:
    """Return the name of an activation as torch's functions spell it, or "" if it is none."""
    return ACTIVATION_NAMES.get(node.slug, "") if node is not None else ""


def is_normalization(module: nn.Module) -> bool:
    """Whether a module is a normalisation layer."""
    return isinstance(module, _NORMALIZATIONS)


def tensors_in(value: object) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples, lists, mappings and dataclass-like outputs."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from tensors_in(getattr(value, name))


def _module_role(module: nn.Module) -> Role | None:
    """Role of a module that is a node of its own, or None if one looks inside it."""
    roles: tuple[tuple[tuple[type, ...], Role], ...] = (
        ((*_LAYERS, *_CONVOLUTIONS), Role.LAYER),
        (_RECURRENT, Role.RECURRENT),
        (_NORMALIZATIONS, Role.NORMALIZATION),
        (_DROPOUTS, Role.DROPOUT),
        (_SHAPES, Role.SHAPE),
    )
    for types, role in roles:
        if isinstance(module, types):
            return role
    home = type(module).__module__
    if home.startswith("torch.nn.modules.") and next(module.children(), None) is None:
        slug = type(module).__name__.lower()
        return Role.ACTIVATION if slug in ACTIVATION_NAMES else Role.OTHER
    return None


def _function_role(slug: str, sources: int, weighted: bool) -> Role:
    if slug in _WEIGHTED_CALLS and weighted:
        recurrent = slug in ("rnntanh", "rnnrelu", "lstm", "gru")
        return Role.RECURRENT if recurrent else Role.LAYER
    if slug in ACTIVATION_NAMES:
        return Role.ACTIVATION
    if slug in _NORMALIZING_CALLS:
        return Role.NORMALIZATION
    if "dropout" in slug:
        return Role.DROPOUT
    if slug == "scaleddotproductattention":
        return Role.ATTENTION
    if slug in _ADDITIONS and sources > 1:
        return Role.ADD
    return Role.SHAPE if slug in _SHAPE_CALLS else Role.OTHER


def _settings(module: nn.Module) -> dict[str, Any]:
    """Constructor arguments of a module of torch, as far as it lists them."""
    names = [*getattr(type(module), "__constants__", ()), "p", "nonlinearity", "negative_slope"]
    found = {n: getattr(module, n) for n in names if hasattr(module, n)}
    if hasattr(module, "bias"):
        found["bias"] = isinstance(module.bias, Tensor) or bool(module.bias)
    return found


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
        self._producer: dict[int, int] = {}
        self._from_parameters: dict[int, tuple[str, ...]] = {}
        self._alive: list[object] = []
        self._path: list[str] = [""]
        self._inside = 0
        self._handles: list[RemovableHandle] = []
        self._calls = _Calls(self._function_ran)
        self._stack = ExitStack()
        self._count: dict[tuple[str, str], int] = {}

    def __enter__(self) -> Self:
        for name, parameter in self._model.named_parameters(remove_duplicate=False):
            self._from_parameters.setdefault(id(parameter), (name,))
        for name, module in self._model.named_modules():
            if module is self._model:
                continue
            role = _module_role(module)
            self._handles += [
                module.register_forward_pre_hook(_Enter(self, name, role is not None)),
                module.register_forward_hook(
                    _Leave(self, name, role), with_kwargs=True, always_call=True
                ),
            ]
        self._stack.enter_context(self._calls)
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
        return Anatomy(tuple(_with_context(plain, node) for node in plain.nodes))

    def module_entered(self, name: str, opaque: bool) -> None:
        """Note that a module begins to run."""
        self._path.append(name)
        self._inside += opaque

    def module_left(
        self, name: str, role: Role | None, module: nn.Module, given: object, output: object
    ) -> None:
        """Note that a module has run; its output is None if it raised."""
        self._path.pop()
        if role is None:
            return
        self._inside -= 1
        if self._inside or output is None:
            return
        parameters = tuple(f"{name}.{own}" for own, _ in module.named_parameters())
        self._add(name, type(module).__name__, role, given, output, parameters, _settings(module))

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
        if used and not others:
            self._alive.append(output)
            self._from_parameters.update({id(t): tuple(used) for t in results})
            return
        sources = len({self._producer.get(id(t), -1) for t in others})
        role = _function_role(slug, sources, bool(used))
        owner = used[0].rpartition(".")[0] if role in (Role.LAYER, Role.RECURRENT) else None
        path = self._path[-1] if owner is None else owner
        self._add(path, name.strip("_"), role, given, output, tuple(used), None)

    def _add(
        self,
        path: str,
        kind: str,
        role: Role,
        given: object,
        output: object,
        parameters: tuple[str, ...],
        settings: Mapping[str, Any] | None,
    ) -> None:
        taken = [t for t in tensors_in(given) if id(t) not in self._from_parameters]
        results = list(tensors_in(output))
        inputs = tuple(dict.fromkeys(self._producer.get(id(t), -1) for t in taken))
        key = (path, kind)
        node = Node(
            index=len(self._nodes),
            path=path,
            kind=kind,
            role=role,
            functional=settings is None,
            inputs=inputs,
            shape=tuple(results[0].shape) if results else (),
            parameters=parameters,
            call=self._count.get(key, 0),
            settings=settings or {},
        )
        self._count[key] = node.call + 1
        self._nodes.append(node)
        self._alive += [given, output]
        self._producer.update({id(t): node.index for t in results})


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


def _with_context(anatomy: Anatomy, node: Node) -> Node:
    """Tell gates and attention from plain activations, by what takes their output."""
    if node.role != Role.ACTIVATION:
        return node
    role = Role.ACTIVATION
    if node.slug in ("sigmoid", "tanh", "hardsigmoid") and any(
        c.slug in _PRODUCTS and len(c.inputs) > 1 for c in anatomy.consumers(node)
    ):
        role = Role.GATE
    elif node.slug == "softmax" and anatomy.consumers(node):
        role = Role.ATTENTION
    return node if role == node.role else replace(node, role=role)


@contextmanager
def undisturbed(model: nn.Module, *, training: bool = False) -> Iterator[None]:
    """Run a model aside: afterwards buffers, modes and random numbers are as they were.

    Args:
        model: The model that will be run.
        training: The mode that it is put in meanwhile.
    """
    modes = {module: module.training for module in model.modules()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.is_cuda})
    fast_path = torch.backends.mha.get_fastpath_enabled()
    with torch.random.fork_rng(devices=devices):
        model.train(training)
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
            for module, mode in modes.items():
                module.training = mode
            with torch.no_grad():
                for name, buffer in model.named_buffers():
                    if name in buffers and not torch.equal(buffer, buffers[name]):
                        buffer.copy_(buffers[name])


def run(model: nn.Module, example_input: object) -> object:
    """Call a model on a tensor, on a tuple of arguments, or on a mapping of keywords."""
    if isinstance(example_input, Mapping):
        return model(**example_input)
    if isinstance(example_input, (tuple, list)):
        return model(*example_input)
    return model(example_input)


def inspect(model: nn.Module, example_input: object) -> Anatomy:
    """Record the anatomy of a model from one forward pass in evaluation mode.

    Weights, buffers, modes and random-number state are left as they were.

    Args:
        model: Any eager network.
        example_input: A tensor, a tuple of positional arguments or a mapping of keyword arguments.

    Returns:
        The nodes in the order in which they ran, and what fed what.
    """
    with undisturbed(model), Recorder(model) as recorder:
        run(model, example_input)
    return recorder.anatomy()


def layer_facts(
    model: nn.Module, anatomy: Anatomy, optimizer: torch.optim.Optimizer | None = None
) -> tuple[LayerFact, ...]:
    """Return what does not change about each layer, for a trace.

    Args:
        model: The network that the anatomy was recorded from.
        anatomy: Its anatomy.
        optimizer: What trains it; without one, every layer counts as held by it.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    held = (
        {id(p) for group in optimizer.param_groups for p in group["params"]} if optimizer else None
    )
    heads = {layer.index for layer in anatomy.output_layers}
    facts = []
    for order, layer in enumerate(anatomy.layers):
        own = [parameters[name] for name in layer.parameters if name in parameters]
        weight = next((p for p in own if p.dim() > 1), None)
        recurrent = layer.role == Role.RECURRENT
        role = "recurrent" if recurrent else "output" if layer.index in heads else "hidden"
        between = anatomy.path_to_activation(layer)
        facts.append(
            LayerFact(
                name=layer.path,
                kind=layer.kind,
                role=role,
                order=order,
                activation=_activation_of(anatomy, layer),
                parameters=sum(p.numel() for p in own),
                fan_in=weight[0].numel() if weight is not None else 0,
                units=weight.shape[0] if weight is not None else 0,
                trainable=any(p.requires_grad for p in own),
                in_optimizer=held is None or any(id(p) in held for p in own),
                normalized=any(node.role == Role.NORMALIZATION for node in between),
            )
        )
    return tuple(facts)


def _activation_of(anatomy: Anatomy, layer: Node) -> str:
    if layer.role == Role.RECURRENT:
        return str(layer.settings.get("nonlinearity", "tanh" if layer.kind == "RNN" else ""))
    return activation_name(anatomy.activation_after(layer))
