"""Residual blocks: what is added to what, and what the added branch ends with."""

from __future__ import annotations

from collections.abc import Iterator

from fitwell.records import LAYER_ROLES, Anatomy, Node, Role
from fitwell.remedies.places import is_convolution, is_linear

_LOOKED_THROUGH = (Role.SHAPE, Role.DROPOUT)


def branch_ends(anatomy: Anatomy) -> Iterator[tuple[Node, list[Node] | str]]:
    """Yield every residual addition with the norms or layers that its branch ends with.

    Of the two things that are added, the branch is the one that has passed more layers since both
    were the same; the other is the block's input, as it is or brought to another width. A branch
    that is a sum has several ends; a scale of the block's own behind its last layer is the end.
    Where a branch ends with something else, what it is stands in the place of the nodes.
    """
    ancestors = _ancestors(anatomy)
    layers = sum(1 << n.index + 1 for n in anatomy.of_role(*LAYER_ROLES))
    for addition in anatomy.of_role(Role.ADD):
        if len(addition.inputs) != 2:
            continue
        first, second = addition.inputs
        common = (ancestors[first] & ancestors[second]).bit_length()
        if not common:
            continue
        lengths = [((ancestors[end] & layers) >> common).bit_count() for end in (first, second)]
        if lengths[0] != lengths[1]:
            end = anatomy.nodes[first if lengths[0] > lengths[1] else second]
            yield addition, _ends(anatomy, end, common - 1)


def _ends(anatomy: Anatomy, end: Node, since: int) -> list[Node] | str:
    """Return the norms and layers that a branch ends with, which begins behind a node."""
    while end.role in _LOOKED_THROUGH and len(end.inputs) == 1 and end.inputs[0] >= since:
        end = anatomy.nodes[end.inputs[0]]
    if end.role != Role.ADD:
        return _usable(end)
    found: list[Node] = []
    for source in end.inputs:
        part = _ends(anatomy, anatomy.nodes[source], since) if source >= since else "is its input"
        if isinstance(part, str):
            return part
        found += part
    return found


def _ancestors(anatomy: Anatomy) -> dict[int, int]:
    """Return for every node itself and all that it comes from, as bits of a number.

    The lowest bit is the network's input, the next one the first node.
    """
    found = {-1: 1}
    for node in anatomy.nodes:
        found[node.index] = 1 << node.index + 1
        for source in node.inputs:
            found[node.index] |= found[source]
    return found


def _usable(end: Node) -> list[Node] | str:
    name = f"{end.kind} ({end.path})" if end.path else end.kind
    own = {parameter.rpartition(".")[2] for parameter in end.parameters}
    if end.functional:
        scaled = end.slug == "mul" and len(end.inputs) == len(end.parameters) == 1
        return [end] if scaled else f"ends with {name}"
    if end.role == Role.NORMALIZATION:
        return [end] if "weight" in own else f"ends with {name}, which has no scale"
    layer = is_linear(end) or is_convolution(end) or end.slug == "multiheadattention"
    return [end] if layer and own else f"ends with {name}"
