"""What the connections of a network say of its layers: gates, bypasses, norms, the output."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise, permutations
from math import prod
from types import MappingProxyType

from torch import nn

from fitwell.anatomy.roles import ACTIVATION_NAMES, GATING
from fitwell.records import LAYER_ROLES, TRANSPARENT, Anatomy, Node, NormFact, Role

_NORMS = MappingProxyType(
    {"batch": "batch", "layer": "layer", "group": "group", "instance": "instance", "rms": "rms"}
)
"""What the name of a normalisation contains, to the kind that facts carry."""

_JOINS = frozenset("cat concat concatenate".split())
_STILL_THE_OUTPUT = frozenset("clamp clip clampmin clampmax add radd iadd nantonum".split())
"""Functions of one tensor behind which probabilities are still probabilities, nearly."""

_LOGARITHMS = MappingProxyType({"softmax": "log_softmax", "sigmoid": "logsigmoid"})


def output_activation(anatomy: Anatomy) -> str:
    """Return the slug of the activation that ends a network, or "".

    The way back from the output leads through what moves values only, and through clamps; the
    logarithm of a softmax counts as a log-softmax. Where the recorder did not see what the network
    returned, the last node that nothing takes counts as the output.
    """
    node = _end(anatomy)
    logarithm = False
    seen: set[int] = set()
    while node is not None and node.index not in seen:
        seen.add(node.index)
        name = ACTIVATION_NAMES.get(node.slug, "")
        if name:
            return _LOGARITHMS.get(name, "") if logarithm else name
        alone = len(node.inputs) == 1
        if alone and node.slug == "log":
            logarithm = True
        elif not (node.role in (Role.SHAPE, Role.DROPOUT) or (alone and _keeps(node))):
            return ""
        node = next(iter(anatomy.producers(node)), None)
    return ""


def _keeps(node: Node) -> bool:
    return node.slug in _STILL_THE_OUTPUT


def _end(anatomy: Anatomy) -> Node | None:
    if anatomy.ends:
        return anatomy.nodes[anatomy.ends[0]]
    return next((n for n in reversed(anatomy.nodes) if not anatomy.consumers(n)), None)


def is_gated(anatomy: Anatomy, layer: Node) -> bool:
    """Whether what a layer puts out is a gate or the weights of an attention."""
    calls = [n for n in anatomy.nodes if n.path == layer.path and n.kind == layer.kind]
    return any(_opens_something(anatomy, call) for call in calls)


def _opens_something(anatomy: Anatomy, call: Node) -> bool:
    waiting, seen = [call], set[int]()
    while waiting:
        for node in anatomy.consumers(waiting.pop()):
            if node.role == Role.GATE or (node.role == Role.ATTENTION and _weighs(anatomy, node)):
                return True
            if node.role in TRANSPARENT and node.index not in seen:
                seen.add(node.index)
                waiting.append(node)
    return False


def _weighs(anatomy: Anatomy, softmax: Node) -> bool:
    """Whether a softmax goes on into the network; one that is only indexed ends it."""
    return any(
        node.role in (*LAYER_ROLES, Role.PRODUCT) or (node.slug in GATING and len(node.inputs) > 1)
        for node in anatomy.downstream(softmax)
    )


def bypassed(anatomy: Anatomy) -> frozenset[str]:
    """Return the paths of the layers that a residual connection leads around.

    At each sum or concatenation two ways meet that began at a common node. Where one of them has
    one layer at most (an identity, or a projection) and fewer than the other, it leads around the
    layers of the other. What feeds a layer with its own output is a recurrence, and no bypass.
    """
    behind = _ancestors(anatomy)
    layers = {n.index: n for n in anatomy.of_role(*LAYER_ROLES)}
    every = sum(_bit(index) for index in layers)
    found: set[str] = set()
    for join in anatomy.nodes:
        if join.role != Role.ADD and join.slug not in _JOINS:
            continue
        later = {n.path for n in layers.values() if behind[n.index] & _bit(join.index)}
        ways = [_bit(i) | (behind[i] if i >= 0 else 0) for i in dict.fromkeys(join.inputs)]
        for own, other in permutations(ways, 2):
            theirs = {layers[i].path for i in _members(other & ~own & every)}
            shared = own & other
            if join.role != Role.ADD or theirs:
                shared &= ~_bit(-1)
            parting = 1 << shared.bit_length() >> 1
            between = [i for i in _members(own & ~other & every) if behind[i] & parting]
            mine = {layers[i].path for i in between}
            if len(theirs) <= 1 and len(theirs) < len(mine) and not theirs & mine:
                found |= mine - later
    return frozenset(found)


def looped(anatomy: Anatomy) -> frozenset[str]:
    """Return the paths of the layers that run three times and more, each on what the last made.

    A recurrence that is written out shows so; a layer that is called on one time step after
    another, and not on its own output, is none.
    """
    behind = _ancestors(anatomy)
    calls: dict[str, list[int]] = {}
    for node in anatomy.of_role(*LAYER_ROLES):
        calls.setdefault(node.path, []).append(node.index)
    return frozenset(
        path
        for path, run in calls.items()
        if len(run) > 2 and all(behind[b] & _bit(a) for a, b in pairwise(run))
    )


def _ancestors(anatomy: Anatomy) -> list[int]:
    """For each node, the set of nodes that its input comes from, as the bits of a number."""
    found: list[int] = []
    for node in anatomy.nodes:
        mine = 0
        for index in node.inputs:
            mine |= _bit(index)
            if 0 <= index < len(found):
                mine |= found[index]
        found.append(mine)
    return found


def _bit(index: int) -> int:
    """The bit of a node; the network's input, -1, has the lowest."""
    return 1 << (index + 1)


def _members(bits: int) -> Iterable[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 2
        bits ^= low


def norm_facts(model: nn.Module, anatomy: Anatomy) -> tuple[NormFact, ...]:
    """Return what does not change about each normalisation layer, in order of execution."""
    calls: dict[str, list[Node]] = {}
    for node in anatomy.of_role(Role.NORMALIZATION):
        calls.setdefault(node.path, []).append(node)
    behind = _ancestors(anatomy)
    modules = dict(model.named_modules(remove_duplicate=False))
    facts = []
    for path, nodes in calls.items():
        kind = next((k for name, k in _NORMS.items() if name in nodes[0].slug), "")
        if not kind:
            continue
        module = modules.get(path)
        tracks = getattr(module, "running_mean", None) is not None
        momentum = getattr(module, "momentum", None)
        facts.append(
            NormFact(
                name=path,
                kind=kind,
                calls=len(nodes),
                rows=nodes[0].taken[0] if nodes[0].taken else 0,
                recurrent=_in_recurrence(anatomy, nodes, behind) or _over_time(anatomy, nodes[0]),
                momentum=float(momentum) if tracks and momentum is not None else 0.0,
                tracks=tracks,
            )
        )
    return tuple(facts)


def _in_recurrence(anatomy: Anatomy, calls: list[Node], behind: list[int]) -> bool:
    """Whether a norm is called once a time step: its later calls meet what its first one fed.

    Either a call takes what an earlier one led to, or a layer that the first call feeds runs again
    behind the second one, on its own output.
    """
    if len(calls) < 2:
        return False
    first, second = calls[0], calls[1]
    if behind[second.index] & _bit(first.index):
        return True
    early: dict[str, Node] = {}
    for node in anatomy.of_role(*LAYER_ROLES):
        before = behind[node.index]
        if not before & _bit(second.index):
            if before & _bit(first.index):
                early.setdefault(node.path, node)
        elif node.path in early and before & _bit(early[node.path].index):
            return True
    return False


def _over_time(anatomy: Anatomy, norm: Node) -> bool:
    """Whether a norm takes the states of a recurrent layer at all time steps as its batch."""
    node: Node | None = norm
    while node is not None:
        node = next(iter(anatomy.producers(node)), None)
        if node is None or node.role == Role.RECURRENT:
            break
        if node.role not in (Role.SHAPE, Role.DROPOUT, Role.ACTIVATION):
            return False
    if node is None or len(node.shape) < 3:
        return False
    return prod(norm.taken) == prod(node.shape)
