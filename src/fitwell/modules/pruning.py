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
    """What a group takes out of one module: numbers of its units, or of its inputs.

    ``roots`` says which unit of the group's first layer each of them belongs to.
    """

    module: Any
    inputs: bool
    numbers: tuple[int, ...]
    roots: tuple[int, ...]
    handler: Callable[[nn.Module, list[int]], object]

    @property
    def side(self) -> tuple[nn.Module, bool]:
        """The module, and whether it is about its inputs."""
        return self.module, self.inputs

    @property
    def groups(self) -> int:
        """How many groups the numbers fall into."""
        depthwise = getattr(self.module, "groups", 1) == getattr(self.module, "out_channels", 0)
        return (
            1
            if depthwise
            else getattr(self.module, "groups", 0) or getattr(self.module, "num_groups", 1)
        )

    def without(self, gone: Collection[int]) -> Part:
        """Return the part of those numbers alone whose root is among some."""
        pairs = [pair for pair in zip(self.numbers, self.roots, strict=True) if pair[1] in gone]
        return self._replace(
            numbers=tuple(number for number, _ in pairs), roots=tuple(root for _, root in pairs)
        )

    def score(self, importance: str) -> Tensor | None:
        """Return how much each number matters here, with mean 1; None if this module says nothing.

        References:
            Li et al., 2017, arXiv:1608.08710 (magnitude); Liu et al., 2017, arXiv:1708.06519
            (scales of batch norm); Fang et al., 2023, arXiv:2301.12900 (whole groups).
        """
        weight = self.module.weight
        norm = isinstance(self.module, nn.modules.batchnorm._BatchNorm)
        if weight is None or (importance == "norm_scale" and not norm):
            return None
        if importance == "random":
            return torch.rand(len(self.numbers))
        values = weight.detach().abs() if norm else weight.detach().square()
        if isinstance(self.module, WEIGHTED) and self.inputs != self.transposed:
            values = values.transpose(0, 1)
        values = values.flatten(1).sum(1) if values.dim() > 1 else values
        places = torch.tensor(self.numbers, device=values.device) % len(values)
        values = values[places]
        mean_one: Tensor = values / values.mean().clamp_min(1e-30)
        return mean_one

    @property
    def transposed(self) -> bool:
        """Whether the weight of the module counts its inputs first."""
        return bool(getattr(self.module, "transposed", False))


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
        fresh: Whether the layers that lose units, and what is behind them, are drawn anew by their
            ``reset_parameters``; layers of ``keep`` keep what is left of their weights.

    Returns:
        Why layers that were tried keep their units.

    Raises:
        RuntimeError: If nothing can be taken out; with the reasons.
    """
    rows = sample(rows, 8)
    try:
        groups = groups_of(model, rows, share, importance, keep, fresh)
    except FAILURES as error:
        raise RuntimeError(f"torch-pruning cannot follow it: {error!r}") from error
    gc.collect()  # the graph, which holds the weights, goes round in circles
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
    stays = {model.get_submodule(name) for name in keep}
    for module in [m for m in touched if m not in stays] if fresh else ():
        draw: Any = getattr(module, "reset_parameters", None)
        if draw is not None:
            draw()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trained[name])
    return left


def groups_of(
    model: nn.Module,
    rows: Any,
    share: float,
    importance: str,
    keep: Collection[str],
    fresh: bool,
) -> list[Group]:
    """Return which units go together, by torch-pruning's dependency graph."""
    import torch_pruning

    names = {module: name for name, module in model.named_modules()}
    stays = {model.get_submodule(name) for name in keep}
    with traceable(model) as calls:
        graph: Any = torch_pruning.DependencyGraph()
        graph.build_dependency(
            model,
            rows,
            forward_fn=run,
            output_transform=lambda out: [t for t in tensors_in(out) if t.grad_fn is not None],
        )
    holders = Counter(id(p) for module in names for p in module._parameters.values())
    seen: set[nn.Module] = set()
    groups = []
    for root in [module for module in graph.module2node if isinstance(module, WEIGHTED)]:
        if root in stays or root in seen:
            continue
        whole, reason = followed(graph, root)
        for side in whole:
            if not reason and side.module in stays and not side.inputs:
                reason = f"is tied to {names[side.module]}, which keeps its units"
            reason = reason or objection(side, names, calls[side.module], holders)
            if fresh and not all(p.requires_grad for p in side.module.parameters()):
                reason = reason or f"is tied to {names[side.module]}, whose weights are frozen"
        seen |= {side.module for side in whole if not side.inputs}
        gone = set() if reason else chosen(whole, share, importance)
        parts = (side.without(gone) for side in whole)
        if reason or gone:
            groups.append(Group(names[root], tuple(p for p in parts if p.numbers), reason))
    return groups


def followed(graph: Any, root: nn.Module) -> tuple[list[Part], str]:
    """Return everything that follows the units of a layer, and why they have to stay, or ""."""
    from torch_pruning._helpers import _HybridIndex

    node = graph.module2node[root]
    handler = graph.get_pruner_of_module(root).prune_out_channels
    units = range(graph.get_out_channels(root))
    found: dict[Any, dict[int, int]] = {(node, handler): {n: n for n in units}}
    stack = [(node, handler, [_HybridIndex(idx=n, root_idx=n) for n in units])]
    # Nothing that is pruned has more units: what goes beyond goes astray, for ever perhaps.
    limit = max(max(p.shape, default=0) for p in graph.model.parameters())
    while stack:
        node, handler, indices = stack.pop()
        for dependency in node.dependencies:
            if not dependency.is_triggered_by(handler):
                continue
            reached = indices
            try:
                for mapping in dependency.index_mapping:
                    reached = reached if mapping is None else mapping(reached)
            except FAILURES:
                return [], "goes where torch-pruning cannot follow it"
            key = dependency.target, dependency.handler
            known = found.setdefault(key, {})
            fresh = [i for i in reached if i.idx not in known]
            lost = any(i.root_idx is None or not 0 <= i.idx < limit for i in fresh)
            if lost or len(reached) > limit:
                return [], "goes where torch-pruning cannot follow it"
            known.update((i.idx, i.root_idx) for i in fresh)
            if fresh:
                stack.append((*key, fresh))
    parts: list[Part] = []
    for (node, handler), roots in found.items():
        if isinstance(node.module, nn.Parameter):
            return parts, "is tied to a parameter of the network's own"
        if type(node.module).__name__ == "_OutputOp":
            return parts, "reaches the output of the network"
        if node.name and roots and getattr(node.module, "num_parameters", 2) > 1:
            inputs = not graph.is_out_channel_pruning_fn(handler)
            parts.append(Part(node.module, inputs, tuple(roots), tuple(roots.values()), handler))
    return [part for part in parts if part.module in graph._module2name], ""


def chosen(parts: Sequence[Part], share: float, importance: str) -> set[int]:
    """Return the units that go, by the numbers that they have in the first part.

    Where a convolution or a norm takes its inputs in groups, each group loses as many.
    """
    count = len(parts[0].numbers)
    scores = [part.score(importance) for part in parts]
    known = [score for score in scores if score is not None]
    if not known:
        return set()
    total = torch.zeros(count, dtype=torch.float64)
    for part, score in zip(parts, scores, strict=True):
        if score is not None:
            total.index_add_(0, torch.tensor(part.roots), score.double().cpu())
    groups = max(part.groups for part in parts)
    order = total.view(groups, -1).mean(0).argsort(stable=True)
    gone = order[: min(int(share * len(order)), len(order) - 1)].tolist()
    return {n + group * len(order) for group in range(groups) for n in gone}


def objection(
    part: Part, names: Mapping[nn.Module, str], calls: int, holders: Mapping[int, int]
) -> str:
    """Say why nothing may be taken out of a module, or ""."""
    module, name = part.module, names[part.module]
    if not isinstance(module, (*WEIGHTED, *CARRIED)):
        return f"is tied to {name}, of kind {type(module).__name__}"
    if calls > 1:
        return f"is tied to {name}, which runs {calls} times"
    own = module._parameters
    if any(holders[id(p)] > 1 for p in own.values() if p is not None):
        return f"is tied to {name}, whose weights are shared"
    if isinstance(module, WEIGHTED) and own.get("weight") is None:
        return f"is tied to {name}, whose weights are computed from others"
    if max(part.numbers) >= size(part):
        return f"is tied to {name}, with which it does not fit"
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
        reason = difference(expected, outputs(model, rows, {}))
    except FAILURES as error:
        reason = f"is tied to a width: {(str(error).splitlines() or [repr(error)])[0]}"
    if not reason:
        for part, old in before.items():
            present[part.side] = [number for number in old if number not in set(part.numbers)]
        return ""
    for module, attributes in state.items():
        vars(module).update(attributes)
        for now, then in zip((module._parameters, module._buffers), tensors[module], strict=True):
            now.clear()
            now.update(then)
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
    hooks: dict[nn.Module, Blind] = {
        part.module: Blind(gone)
        for part, gone in places.items()
        if isinstance(part.module, (nn.LayerNorm, nn.GroupNorm))
    }
    columns = []
    for part, gone in places.items():
        if part.inputs:
            weight = part.module.weight.detach()
            axis = 0 if part.transposed else 1
            seen = torch.tensor([n for n in gone if n < weight.shape[axis]], device=weight.device)
            columns.append((weight, axis, seen, weight.index_select(axis, seen)))
    try:
        for weight, axis, seen, _ in columns:
            weight.index_fill_(axis, seen, 0)
        return [tensor.clone() for tensor in outputs(model, rows, hooks)]
    finally:
        for weight, axis, seen, values in columns:
            weight.index_copy_(axis, seen, values)


def outputs(model: nn.Module, rows: Any, hooks: Mapping[nn.Module, Any]) -> list[Tensor]:
    """Return what a network puts out, with the same random numbers each time."""
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.is_cuda})
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        return list(tensors_in(observe(model, rows, hooks)))


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
        scale, shift = (None if t is None else t[seen] for t in (module.weight, module.bias))
        if isinstance(module, nn.GroupNorm):
            part = F.group_norm(part, module.num_groups, scale, shift, module.eps)
        else:
            part = F.layer_norm(part, list(part.shape[-1:]), scale, shift, module.eps)
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
