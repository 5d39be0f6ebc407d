"""Where normalisation can stand in a network: new, before an activation, or in another's place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, final

from fitwell.errors import NotApplicable
from fitwell.records import LAYER_ROLES, Anatomy, Edit, InsertAfter, ModuleSpec, Node, Replace, Role
from fitwell.remedies.places import calls, follower, is_convolution, is_hidden, is_linear

NAME = "norm"
"""Name of the new module beside the layer that it follows."""

_BATCH = frozenset({"BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"})
_INSTANCE = frozenset({"InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"})


@final
@dataclass(frozen=True, slots=True)
class Place:
    """A place for a normalisation layer.

    Args:
        node: The layer that it would follow, or what it would replace.
        kind: What would be replaced: a ``"batch"``, ``"layer"``, ``"group"`` or ``"instance"``
            normalisation, or a ``"recurrent"`` layer; "" if nothing would.
        units: Number of features or channels.
        last: Whether they lie on the last axis and not on axis 1; the type of the layer says so.
        calls: How often it runs in one pass.
        samples: Whether axis 0 counts the samples, as it does in an output of the network; not
            where the steps of sequences were flattened into rows.
    """

    node: Node
    kind: str
    units: int
    last: bool
    calls: int
    samples: bool

    @property
    def space(self) -> int:
        """Number of axes besides those of the batch and of the units."""
        return len(self.node.shape) - 2

    @property
    def positions(self) -> int:
        """Number of values that each channel of a sample has; 1 for plain rows."""
        return 1 if self.last else prod(self.node.shape[2:])

    @property
    def is_sequence(self) -> bool:
        """Whether a sample has several rows of features."""
        return self.last and self.space > 0

    def affine(self, name: str) -> dict[str, Any]:
        """Say by an argument of that name that there is no scale, if there was none before."""
        now = self.node.settings.get("elementwise_affine", self.node.settings.get("affine", True))
        return {} if now or not self.kind else {name: False}


def edits_for(
    anatomy: Anatomy, kind: str, module: Callable[[Place], ModuleSpec | str]
) -> list[Edit]:
    """Return the edits that normalise a network in one way, wherever it can be.

    What is replaced hands on the scale, the offset and the weights whose name and shape stay.

    Args:
        anatomy: The network.
        kind: ``"batch"``, ``"layer"`` or ``"group"``.
        module: Returns what shall stand at a place, or why nothing may.

    Raises:
        NotApplicable: If there is no place; each with the reason.
    """
    edits: list[Edit] = []
    reasons: list[str] = []
    for node, place in _places(anatomy):
        spec = place if isinstance(place, str) else module(place)
        if isinstance(spec, str):
            reasons.append(f"{node.path or node.kind} {spec}")
        elif isinstance(place, Place) and place.kind:
            edits.append(Replace(node.path, spec, keep=True))
        else:
            edits.append(InsertAfter(node.path, NAME, spec))
    if not edits:
        raise NotApplicable(
            f"No hidden layer found that {kind} normalisation could follow, and nothing that it "
            "could replace.\n  " + ("\n  ".join(reasons) or "the network has no layers")
        )
    return edits


def _places(anatomy: Anatomy) -> Iterator[tuple[Node, Place | str]]:
    """Yield every node concerned, as a place or with the reason why it is none."""
    rows = {shape[0] for shape in anatomy.outputs if shape}
    for node in anatomy.nodes:
        if node.call or node.role not in (*LAYER_ROLES, Role.NORMALIZATION):
            continue
        found = _known(node) if node.role == Role.NORMALIZATION else _layer(anatomy, node)
        if isinstance(found, str):
            yield node, found
        else:
            samples = not rows or node.shape[0] in rows
            yield node, Place(node, *found, len(calls(anatomy, node.path)), samples)


def _known(node: Node) -> tuple[str, int, bool] | str:
    """Return kind, units and axis of a normalisation, or why they are not certain."""
    settings = node.settings
    if node.functional:
        return f"calls the function {node.kind}, whose place cannot be taken"
    if settings.get("own_forward"):
        return f"is {node.kind}, a class with a forward of its own"
    if node.kind in _BATCH and "num_features" in settings:
        return "batch", int(settings["num_features"]), False
    if node.kind in _INSTANCE and "num_features" in settings:
        if len(node.shape) != int(node.kind[-2]) + 2 or settings.get("track_running_stats"):
            return f"is {node.kind} without a batch axis, or with running statistics"
        return "instance", int(settings["num_features"]), False
    if node.kind == "GroupNorm" and "num_channels" in settings:
        return "group", int(settings["num_channels"]), False
    if node.kind == "LayerNorm" and "normalized_shape" in settings:
        shape = tuple(settings["normalized_shape"])
        if len(shape) > 1:
            return f"is LayerNorm over {len(shape)} axes at once"
        if len(node.shape) < 2:
            return "is LayerNorm without a batch axis"
        return "layer", int(shape[0]), True
    return f"is {node.kind}, which has no counterpart over the same axes"


def _layer(anatomy: Anatomy, layer: Node) -> tuple[str, int, bool] | str:
    """Return kind, units and axis of a layer, or why no normalisation may follow it."""
    if layer.role == Role.RECURRENT and "hidden_size" in layer.settings:
        return "recurrent", int(layer.settings["hidden_size"]), True
    if reason := _objection(anatomy, layer):
        return reason
    units = layer.settings["out_features" if is_linear(layer) else "out_channels"]
    return "", int(units), is_linear(layer)


def _objection(anatomy: Anatomy, layer: Node) -> str:
    """Say why no normalisation may follow a layer, or "" if one may."""
    if not all(is_hidden(anatomy, call) for call in calls(anatomy, layer.path)):
        return "is the output"
    space = len(layer.shape) - 2
    if layer.functional or not (is_linear(layer) or (is_convolution(layer) and space in (1, 2, 3))):
        return f"is no linear layer or convolution but {layer.kind}"
    activation, normalized = follower(anatomy, layer)
    if normalized:
        return "is followed by a normalisation already"
    if activation is None:
        return "leads to no activation, gates left aside"
    return ""
