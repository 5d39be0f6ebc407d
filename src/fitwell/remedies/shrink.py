"""Less capacity: fewer units, fewer layers."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import lcm
from typing import Any, ClassVar, final

from torch import nn

from fitwell.errors import NotApplicable, ThresholdError, in_range
from fitwell.interfaces import Remedy, Sizes, Stage
from fitwell.records import Anatomy, Edit, ModuleSpec, Node, PruneUnits, Remake, Replace, Role
from fitwell.remedies.places import calls, is_convolution, is_linear, layers_before
from fitwell.remedies.prune import that_keep

_CUTTING = frozenset(
    "cat concat stack getitem get chunk split unbind narrow select pixelshuffle".split()
)
"""Shape functions behind which the units of a layer can no longer be counted."""


@final
@dataclass(frozen=True, slots=True)
class Shrink(Remedy):
    """Rebuild the network with fewer hidden units or fewer hidden layers.

    A linear layer or convolution becomes narrower if its output reaches only such layers, through
    activations, normalisation, dropout and changes of shape; what follows it is rebuilt to fit.
    Layers whose width is tied, by a residual addition, a gate, attention, a concatenation or shared
    weights, keep theirs. A layer can be left out, with its activation, if it has as many inputs as
    outputs. New layers get torch's own initial weights.

    Given the factory of the network (``make_model``), the whole network is made anew by it, with
    smaller arguments, where it has some: whole numbers with a default that, by measurement, make
    the layers narrower, or fewer. Without, and where every width is tied, torch-pruning's
    dependency graph says what belongs together, and all of it becomes narrower.

    Args:
        width: Share of the units that hidden layers keep, in (0, 1].
        layers: Number of hidden layers to leave, the later ones going first; at least 0. None
            leaves all.

    Raises:
        ThresholdError: If an argument is out of range.
        NotApplicable: On ``edit``, if nothing can shrink, or not as many layers can go.
        MissingExtra: On ``apply``, if every width is tied and torch-pruning is not installed.

    References:
        Geman et al., "Neural Networks and the Bias/Variance Dilemma", 1992.
        Fang et al., "DepGraph: Towards Any Structural Pruning", 2023, arXiv:2301.12900.
    """

    stage: ClassVar[Stage] = Stage.CAPACITY

    width: float = 0.5
    layers: int | None = None

    def __post_init__(self) -> None:
        in_range("width", self.width, 0.0, 1.0, open_low=True)
        if self.layers is not None:
            in_range("layers", self.layers, 0, 1_000_000)
            if not isinstance(self.layers, int):
                raise ThresholdError(f"layers must be a whole number, got {self.layers!r}.")

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Leave layers out, and rebuild those that become narrower or follow one that does."""
        gone = self._left_out(anatomy)
        shorter = Anatomy(
            tuple(
                replace(n, role=Role.SHAPE, kind="Identity", parameters=(), settings={})
                if n.path in gone and not n.functional
                else n
                for n in anatomy.nodes
            )
        )
        changes, reasons = _narrower(shorter, self.width)
        if self.layers is None and anatomy.of_role(Role.ATTENTION):
            # Heads are split off by reshapes, through which units cannot be counted.
            reasons += [f"{path} is beside attention" for path in changes]
            changes = {}
        edits: list[Edit] = [Replace(path, ModuleSpec("Identity")) for path in gone]
        rebuilt = {n.path: n for n in shorter.nodes if n.path in changes and not n.functional}
        edits += [Replace(path, _rebuilt(node, changes[path])) for path, node in rebuilt.items()]
        if not edits and self.width < 1 and reasons:
            keep, left = that_keep(anatomy)
            edits.append(PruneUnits(1 - self.width, "random", keep, (*reasons, *left), fresh=True))
        if not edits:
            raise NotApplicable(
                "No hidden layer found that could shrink.\n  "
                + ("\n  ".join(reasons) or "the network has no hidden linear layer or convolution")
            )
        return edits

    def remake(self, factory: Sizes) -> Remake | None:
        """Return the smaller arguments of the factory; None if it has none that would serve."""
        found = factory.capacities()
        args: dict[str, int] = {}
        if self.layers is not None:
            depths = (c.name for c in found if c.kind == "depth")
            fewer = ((name, factory.shorter(name, self.layers)) for name in depths)
            name, value = next(((n, v) for n, v in fewer if v is not None), ("", None))
            if value is None:
                return None
            args[name] = value
        wanted = {
            c.name: max(1, round(c.value * self.width))
            for c in found
            if c.kind == "width" and round(c.value * self.width) < c.value
        }
        args = dict(factory.nearest(wanted, args))
        return Remake(args) if args else None

    def _left_out(self, anatomy: Anatomy) -> tuple[str, ...]:
        """Return the modules of the layers to leave out."""
        hidden = [n for n in anatomy.hidden_layers if is_linear(n) or is_convolution(n)]
        surplus = len(hidden) - self.layers if self.layers is not None else 0
        blocks: list[tuple[str, ...]] = []
        for layer in reversed(hidden):
            if len(blocks) < surplus and (block := _block(anatomy, layer)):
                blocks.append(block)
        if len(blocks) < surplus:
            raise NotApplicable(
                f"Only {len(blocks)} of {len(hidden)} hidden layers can be left out, and "
                f"{surplus} would have to go: the others change the width, or are tied."
            )
        return tuple(path for block in blocks for path in block)


def _is_plain(anatomy: Anatomy, layer: Node) -> bool:
    """Whether a layer is torch's own, runs once, and shares its weights with no other."""
    owners = Counter(
        name for path in {n.path: n for n in anatomy.layers}.values() for name in path.parameters
    )
    return (
        not layer.functional
        and hasattr(nn, layer.kind)
        and (is_linear(layer) or (is_convolution(layer) and layer.settings["groups"] == 1))
        and len(calls(anatomy, layer.path)) == 1
        and all(owners[name] == 1 for name in layer.parameters)
        and {name.rpartition(".")[2] for name in layer.parameters} <= {"weight", "bias"}
    )


def _widths(layer: Node) -> tuple[int, int]:
    """Inputs and outputs of a layer."""
    name = "features" if is_linear(layer) else "channels"
    return int(layer.settings[f"in_{name}"]), int(layer.settings[f"out_{name}"])


def _block(anatomy: Anatomy, layer: Node) -> tuple[str, ...]:
    """Return the modules that go with a layer that can be left out; none if it cannot."""
    inputs, outputs = _widths(layer)
    before = anatomy.producers(layer)
    same_space = is_linear(layer) or (bool(before) and before[0].shape == layer.shape)
    if not _is_plain(anatomy, layer) or inputs != outputs or not same_space:
        return ()
    paths = [layer.path]
    node = layer
    while True:
        following = anatomy.consumers(node)
        if len(following) != 1:
            return ()
        (node,) = following
        if node.role == Role.LAYER:
            return tuple(paths)
        once = not node.functional and len(calls(anatomy, node.path)) == 1
        if node.role in (Role.ACTIVATION, Role.NORMALIZATION) and once:
            paths.append(node.path)
        elif node.role == Role.ACTIVATION and not _is_repeated(anatomy, layer, node):
            return ()
        elif node.role == Role.DROPOUT:
            paths += [node.path] if once else []
        elif node.role not in (Role.ACTIVATION, Role.SHAPE):
            return ()


def _is_repeated(anatomy: Anatomy, layer: Node, activation: Node) -> bool:
    """Whether a ReLU that must stay only repeats the one before the layer, and so does nothing."""
    before = anatomy.producers(layer)
    while len(before) == 1 and before[0].role in (Role.DROPOUT, Role.SHAPE):
        before = anatomy.producers(before[0])
    return activation.slug == "relu" and len(before) == 1 and before[0].slug == "relu"


def _narrower(anatomy: Anatomy, width: float) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the settings that change, by module, and why layers keep their width."""
    changes: dict[str, dict[str, Any]] = {}
    reasons: list[str] = []
    for layer in anatomy.hidden_layers:
        if not _is_plain(anatomy, layer):
            plain = is_linear(layer) or is_convolution(layer)
            reason = "is shared, grouped or reparametrised" if plain else f"is of kind {layer.kind}"
            reasons.append(f"{layer.path or layer.kind} {reason}, whose width stays")
            continue
        behind = _behind(anatomy, layer)
        if isinstance(behind, str):
            reasons.append(f"{layer.path} {behind}")
            continue
        old = _widths(layer)[1]
        groups = lcm(*(int(n.settings.get("num_groups", 1)) for n in behind))
        new = max(1, round(old * width / groups)) * groups
        if new >= old:
            reasons.append(f"{layer.path} keeps its {old} units at width {width:g}")
            continue
        out = "out_features" if is_linear(layer) else "out_channels"
        changes.setdefault(layer.path, {})[out] = new
        for node in behind:
            changes.setdefault(node.path, {}).update(_scaled(node, old, new))
    return changes, reasons


def _behind(anatomy: Anatomy, layer: Node) -> list[Node] | str:
    """Return the modules that must follow a change of width, or the reason why none may happen."""
    found: dict[int, Node] = {}
    queue = [layer]
    while queue:
        node = queue.pop()
        following = anatomy.consumers(node)
        if not following:
            return f"reaches an output of the network through {node.kind}"
        for consumer in following:
            reason = _tie(anatomy, layer, consumer)
            if reason:
                return reason
            if consumer.role == Role.LAYER or _carried(consumer):
                found[consumer.index] = consumer
            if consumer.role != Role.LAYER:
                queue.append(consumer)
    old = _widths(layer)[1]
    if any(size % old for node in found.values() for size in _sizes(node)):
        return "is followed by a layer whose inputs are no multiple of its units"
    return [found[index] for index in sorted(found)]


def _tie(anatomy: Anatomy, layer: Node, consumer: Node) -> str:
    """Say what ties the width of a layer to something else, or ""."""
    name = f"{consumer.kind} ({consumer.path})" if consumer.path else consumer.kind
    if consumer.role == Role.LAYER:
        alone = [n.index for n in layers_before(anatomy, consumer)] == [layer.index]
        return "" if alone and _is_plain(anatomy, consumer) else f"feeds {name} beside others"
    harmless = (Role.ACTIVATION, Role.DROPOUT, Role.SHAPE, Role.NORMALIZATION)
    if consumer.role not in harmless or consumer.slug in _CUTTING or len(consumer.inputs) > 1:
        return f"is tied to a width by {name}"
    if _carried(consumer) and len(calls(anatomy, consumer.path)) != 1:
        return f"shares {name} with others, or it is a function"
    if _carried(consumer) and not _sizes(consumer):
        return f"is followed by {name}, whose size is not known"
    return ""


def _carried(node: Node) -> bool:
    """Whether a node that is no layer has a size that must follow."""
    return node.role == Role.NORMALIZATION or node.settings.get("num_parameters", 1) > 1


def _sizes(node: Node) -> tuple[int, ...]:
    """Sizes of a module that count the units before it."""
    if node.role == Role.LAYER:
        return (_widths(node)[0],)
    for name in ("num_features", "num_channels", "num_parameters"):
        if name in node.settings:
            return (int(node.settings[name]),)
    shape = node.settings.get("normalized_shape", ())
    return (int(shape[0]),) if len(shape) else ()


def _scaled(node: Node, old: int, new: int) -> dict[str, Any]:
    """Settings of a module after the units before it went from ``old`` to ``new``."""
    if node.role == Role.LAYER:
        name = "in_features" if is_linear(node) else "in_channels"
        return {name: _widths(node)[0] * new // old}
    for name in ("num_features", "num_channels", "num_parameters"):
        if name in node.settings:
            return {name: int(node.settings[name]) * new // old}
    first, *rest = node.settings["normalized_shape"]
    return {"normalized_shape": (int(first) * new // old, *rest)}


def _rebuilt(node: Node, changes: dict[str, Any]) -> ModuleSpec:
    """Return the module with changed settings, in terms of its constructor."""
    known = inspect.signature(getattr(nn, node.kind)).parameters
    settings = {k: v for k, v in node.settings.items() if k in known and v != known[k].default}
    return ModuleSpec(node.kind, settings | changes)
