"""Units taken out of a network, with all that depends on them, by torch-pruning's graph.

torch-pruning finds which layers belong together and ranks the units. Each group is then taken out
by itself, and stays out only if the network gives what it gives with those units masked.
"""

from __future__ import annotations

import gc
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fitwell.modules.rows import observe, run, sample, tensors_in

WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)
"""Layers whose units may go."""
CARRIED = (
    *(nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm),
    *(nn.LayerNorm, nn.GroupNorm, nn.PReLU),
)
"""Modules that have a size to follow."""
FAILURES = (
    *(RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError),
    *(NotImplementedError, ArithmeticError),
)
"""What torch-pruning raises, and a network whose parts no longer fit."""

Present = dict[tuple[nn.Module, bool], list[int]]
"""The units (False) or inputs (True) of a module that are left, as they were numbered at first."""


class Part(NamedTuple):
    """What a group takes out of one module: numbers of its units, or of its inputs."""

    module: Any
    inputs: bool
    numbers: tuple[int, ...]
    handler: Callable[[nn.Module, list[int]], object]

    @property
    def side(self) -> tuple[nn.Module, bool]:
        """The module, and whether it is about its inputs."""
        return self.module, self.inputs


class Group(NamedTuple):
    """What goes together, or the reason why it stays."""

    root: str
    parts: tuple[Part, ...]
    reason: str


def prune_units(
    model: nn.Module,
    rows: Any,
    share: float,
    importance: str,
    keep: Collection[str] = (),
    fresh: bool = False,
) -> list[str]:
    """Take a share of the units out of every layer that allows it.

    Args:
        model: The network; it is changed.
        rows: What it can be called with; 8 rows of it are run.
        share: Share of the units of a layer that go, in (0, 1).
        importance: ``"magnitude"``: the units with the smallest weights go; ``"norm_scale"``:
            those with the smallest scale in batch norm; ``"random"``.
        keep: Names of layers whose units stay.
        fresh: Whether the layers concerned are drawn anew by their ``reset_parameters``.

    Returns:
        Why layers that were tried keep their units.

    Raises:
        RuntimeError: If nothing can be taken out; with the reasons.
    """
    rows = sample(rows, 8)
    try:
        groups = groups_of(model, rows, share, importance, keep)
    except FAILURES as error:
        raise RuntimeError(f"torch-pruning cannot follow it: {error!r}") from error
    gc.collect()  # the graph, which holds the untouched weights, goes round in circles
    trained = {name: p.requires_grad for name, p in model.named_parameters()}
    present: Present = {}
    touched: dict[nn.Module, None] = {}
    left = []
    for root, parts, objection in groups:
        reason = objection or take_out(model, rows, parts, present)
        if reason:
            left.append(f"{root} {reason}")
        else:
            touched.update(dict.fromkeys(part.module for part in parts))
    if not touched:
        raise RuntimeError("; ".join(left) or "no layer has units that could go")
    for module in touched if fresh else ():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trained[name])
    return left


def groups_of(
    model: nn.Module, rows: Any, share: float, importance: str, keep: Collection[str]
) -> list[Group]:
    """Return which units go together, by torch-pruning's dependency graph."""
    import torch_pruning

    ranks = {
        "magnitude": torch_pruning.importance.GroupMagnitudeImportance,
        "norm_scale": torch_pruning.importance.BNScaleImportance,
        "random": torch_pruning.importance.RandomImportance,
    }
    names = {module: name for name, module in model.named_modules()}
    with traceable(model) as calls:
        pruner = torch_pruning.pruner.BasePruner(
            model,
            rows,
            ranks[importance](),
            pruning_ratio=share,
            ignored_layers=[model.get_submodule(name) for name in keep],
            root_module_types=list(WEIGHTED),
            in_channel_groups={},
            out_channel_groups={},
            num_heads={},
            forward_fn=run,
            output_transform=lambda out: [t for t in tensors_in(out) if t.grad_fn is not None],
        )
        found = list(pruner.step(interactive=True))
    holders = Counter(id(p) for module in names for p in module._parameters.values())
    groups = []
    for group in found:
        parts, reason = [], ""
        for dependency, numbers in group:
            module = dependency.target.module
            if isinstance(module, nn.Parameter):
                reason = "is tied to a parameter of the network's own"
            elif module in names and getattr(module, "num_parameters", 2) > 1:
                inputs = not pruner.DG.is_out_channel_pruning_fn(dependency.handler)
                handler = dependency.handler
                # The object behind it serves all norms of its kind, each over the last axis.
                handler.__self__.pruning_dim = dependency.target.pruning_dim
                parts.append(Part(module, inputs, tuple(sorted(set(numbers))), handler))
                reason = reason or objection(module, names[module], calls[module], holders)
        groups.append(Group(names[group[0].dep.target.module], tuple(parts), reason))
    return groups


def objection(module: nn.Module, name: str, calls: int, holders: Mapping[int, int]) -> str:
    """Say why nothing may be taken out of a module, or ""."""
    if not isinstance(module, (*WEIGHTED, *CARRIED)):
        return f"is tied to {name}, a {type(module).__name__}"
    if calls > 1:
        return f"is tied to {name}, which runs {calls} times"
    if any(holders[id(p)] > 1 for p in module._parameters.values() if p is not None):
        return f"is tied to {name}, whose weights are shared"
    if isinstance(module, WEIGHTED) and module._parameters.get("weight") is None:
        return f"is tied to {name}, whose weights are computed from others"
    return ""


@contextmanager
def traceable(model: nn.Module) -> Iterator[Counter[nn.Module]]:
    """Let gradients flow through all of a network meanwhile, and count what runs.

    Modes, hooks and what is trained are afterwards as they were, also if the network raises.
    """
    calls: Counter[nn.Module] = Counter()
    modes = {module: module.training for module in model.modules()}
    trained = {p: p.requires_grad for p in model.parameters()}
    hooks = {module: dict(module._forward_hooks) for module in modes}
    for parameter in trained:
        parameter.requires_grad_(parameter.is_floating_point())
    for module in modes:
        module.register_forward_hook(lambda *call: calls.update(call[:1]))
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            yield calls
    finally:
        for module, mode in modes.items():
            module.training = mode
            module._forward_hooks.clear()
            module._forward_hooks.update(hooks[module])
        for parameter, flag in trained.items():
            parameter.requires_grad_(flag)


def take_out(model: nn.Module, rows: Any, parts: Sequence[Part], present: Present) -> str:
    """Take a group out of a network, or leave it as it was and say why."""
    before = {part: present.get(part.side) or list(range(size(part))) for part in parts}
    places = {
        part: [old.index(number) for number in part.numbers if number in old]
        for part, old in before.items()
    }
    if any(len(places[part]) == len(before[part]) for part in parts):
        return "would lose all its units"
    state = {part.module: dict(vars(part.module)) for part in parts}
    tensors = {m: (dict(m._parameters), dict(m._buffers)) for m in state}
    try:
        expected = masked(model, rows, places)
        for part, gone in places.items():
            part.handler(part.module, gone)
        reason = difference(expected, list(tensors_in(observe(model, rows, {}))))
    except FAILURES as error:
        reason = f"is tied to a width: {(str(error).splitlines() or [repr(error)])[0]}"
    if not reason:
        for part, old in before.items():
            present[part.side] = [number for number in old if number not in set(part.numbers)]
        return ""
    for module, attributes in state.items():
        vars(module).update(attributes)
        for now, old in zip((module._parameters, module._buffers), tensors[module], strict=True):
            now.clear()
            now.update(old)
    return reason


def size(part: Part) -> int:
    """Return how many units, or inputs, a module has."""
    kind = "in" if part.inputs else "out"
    names = (f"{kind}_features", f"{kind}_channels", "num_features", "num_channels")
    for name in (*names, "num_parameters"):
        if hasattr(part.module, name):
            return int(getattr(part.module, name))
    return int(part.module.normalized_shape[-1])


def masked(model: nn.Module, rows: Any, places: Mapping[Part, Sequence[int]]) -> list[Tensor]:
    """Return what a network puts out if what follows some units does not see them."""
    hooks = {
        part.module: Blind(gone)
        for part, gone in places.items()
        if isinstance(part.module, (nn.LayerNorm, nn.GroupNorm))
    }
    columns = []
    for part, gone in places.items():
        if part.inputs:
            weight = part.module.weight.detach()
            axis = 0 if getattr(part.module, "transposed", False) else 1
            seen = torch.tensor([n for n in gone if n < weight.shape[axis]], device=weight.device)
            columns.append((weight, axis, seen, weight.index_select(axis, seen)))
    try:
        for weight, axis, seen, _ in columns:
            weight.index_fill_(axis, seen, 0)
        return [tensor.clone() for tensor in tensors_in(observe(model, rows, hooks))]
    finally:
        for weight, axis, seen, values in columns:
            weight.index_copy_(axis, seen, values)


class Blind:
    """Forward hook: a norm takes its statistics without some units, which it puts out as 0."""

    def __init__(self, gone: Sequence[int]) -> None:
        self.gone = set(gone)

    def __call__(self, module: Any, args: Any, kwargs: Any, output: Tensor) -> Tensor:
        """Return what the norm puts out."""
        (x,) = args
        axis = 1 if isinstance(module, nn.GroupNorm) else x.dim() - 1
        seen = [n for n in range(x.shape[axis]) if n not in self.gone]
        part = x.index_select(axis, torch.tensor(seen, device=x.device))
        affine = [None if t is None else t[seen] for t in (module.weight, module.bias)]
        if isinstance(module, nn.GroupNorm):
            part = F.group_norm(part, module.num_groups, *affine, module.eps)
        else:
            part = F.layer_norm(part, part.shape[-1:], *affine, module.eps)
        return torch.zeros_like(x).index_copy(axis, torch.tensor(seen, device=x.device), part)


def difference(expected: Sequence[Tensor], found: Sequence[Tensor]) -> str:
    """Say in what the outputs of two networks differ, or ""."""
    if [tensor.shape for tensor in expected] != [tensor.shape for tensor in found]:
        return "sets the shape of the output"
    for first, second in zip(expected, found, strict=True):
        exact = first.dtype in (torch.float32, torch.float64)
        slack = (1e-3 if exact else 5e-2) * float(first.abs().max()) if first.numel() else 0.0
        if not torch.allclose(first, second, rtol=0, atol=slack, equal_nan=True):
            return "is mixed with others in a way that cannot be followed"
    return ""
