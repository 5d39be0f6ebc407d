"""Which nodes of a network are drawn, and what feeds what once the others are folded away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from fitwell.records.network import Anatomy, Node, Role

INPUT = -1
"""The network's input, as a source."""

_ASIDE = -2
"""What was computed from the input alone, without weights: masks, positions. It is no branch."""

_ALWAYS = frozenset(
    {
        *(Role.LAYER, Role.RECURRENT, Role.ACTIVATION, Role.NORMALIZATION),
        *(Role.DROPOUT, Role.GATE, Role.ATTENTION),
    }
)
_RESAMPLING = ("pool", "upsample", "interpolate", "pixelshuffle")


@final
@dataclass(frozen=True)
class Folded:
    """The nodes that are drawn, and the edges between them.

    Args:
        nodes: They, in the order in which they ran.
        sources: For each the places in ``nodes`` of what it takes, in the order of its arguments;
            :data:`INPUT` is the network's input. Edges lead through the nodes that are not drawn.
    """

    nodes: tuple[Node, ...]
    sources: tuple[tuple[int, ...], ...]


def folded(anatomy: Anatomy) -> Folded:
    """Fold away what moves values or works on one branch alone, such as views and scalings."""
    nodes: list[Node] = []
    sources: list[tuple[int, ...]] = []
    origins: dict[int, tuple[int, ...]] = {INPUT: (INPUT,)}
    for node in anatomy.nodes:
        taken = _together(origins[index] for index in node.inputs)
        if is_drawn(node, len(taken)):
            origins[node.index] = (len(nodes),)
            nodes.append(node)
            sources.append(tuple(dict.fromkeys(max(source, INPUT) for source in taken)))
        else:
            aside = node.role != Role.SHAPE and taken == (INPUT,)
            origins[node.index] = (_ASIDE,) if aside else taken
    return Folded(tuple(nodes), tuple(sources))


def is_drawn(node: Node, branches: int) -> bool:
    """Whether a node that takes so many branches is drawn.

    What holds weights or is made for training always is, and so is what changes the resolution;
    anything else where it joins branches.
    """
    if node.role in _ALWAYS or node.parameters:
        return True
    return branches > 1 or is_resampling(node)


def is_resampling(node: Node) -> bool:
    """Whether a node changes the resolution of its input: pooling, upsampling."""
    return node.role == Role.SHAPE and any(part in node.slug for part in _RESAMPLING)


def _together(origins: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Return all sources once; of what was computed aside only where there is nothing else."""
    found = tuple(dict.fromkeys(source for sources in origins for source in sources))
    branches = tuple(source for source in found if source != _ASIDE)
    return branches or found
