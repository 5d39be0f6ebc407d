"""Residual blocks: what is added to what, and what the added branch ends with."""

from __future__ import annotations

from collections.abc import Iterator

from fitwell.records import Anatomy, Node, Role
from fitwell.remedies.places import LAYER_ROLES, is_convolution, is_linear

_LOOKED_THROUGH = (Role.SHAPE, Role.DROPOUT)


def branch_ends(anatomy: Anatomy) -> Iterator[tuple[Node, Node | str]]:
    """Yield every residual addition with the norm or layer that its branch ends with.

    Of the two things that are added, the branch is the one that has passed more layers since both
    were the same; the other is the block's input, as it is or brought to another width. Where the
    branch ends with something else, what it is stands in the place of the node.
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
        if lengths[0] == lengths[1]:
            continue
        end = anatomy.nodes[first if lengths[0] > lengths[1] else second]
        while end.role in _LOOKED_THROUGH and len(end.inputs) == 1 and end.inputs[0] >= 0:
            end = anatomy.nodes[end.inputs[0]]
        yield addition, _usable(end)


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


def _usable(end: Node) -> Node | str:
    name = f"{end.kind} ({end.path})" if end.path else end.kind
    own = {parameter.rpartition(".")[2] for parameter in end.parameters}
    layer = (is_linear(end) or is_convolution(end) or end.slug == "multiheadattention") and own
    norm = end.role == Role.NORMALIZATION and not end.functional
    if (layer or norm) and not end.functional and ("weight" in own or layer):
        return end
    return f"ends with {name}" + ("" if "weight" in own or not norm else ", which has no scale")
