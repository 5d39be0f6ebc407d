"""Where in a network a remedy acts: questions about an anatomy that several remedies ask."""

from __future__ import annotations

from collections.abc import Iterator

from fitwell.records import TRANSPARENT, Anatomy, Node, Role

_PRODUCTS = frozenset("matmul rmatmul bmm einsum baddbmm".split())
LAYER_ROLES = (Role.LAYER, Role.RECURRENT)


def is_linear(node: Node) -> bool:
    """Whether a node is a linear layer that is a module."""
    return {"in_features", "out_features"} <= node.settings.keys()


def is_convolution(node: Node) -> bool:
    """Whether a node is a convolution, transposed or not, that is a module."""
    return {"in_channels", "out_channels", "kernel_size"} <= node.settings.keys()


def is_hidden(anatomy: Anatomy, node: Node) -> bool:
    """Whether the output of a node reaches a layer."""
    return bool(anatomy.next_layers(node))


def calls(anatomy: Anatomy, path: str) -> tuple[Node, ...]:
    """Return every call of the module at a path."""
    return tuple(node for node in anatomy.nodes if node.path == path and not node.functional)


def layers_before(anatomy: Anatomy, node: Node) -> tuple[Node, ...]:
    """Return the nearest layers that the output of a node comes from."""
    found: dict[int, Node] = {}
    seen: set[int] = set()
    queue = list(anatomy.producers(node))
    while queue:
        current = queue.pop()
        if current.index in seen:
            continue
        seen.add(current.index)
        if current.role in LAYER_ROLES:
            found[current.index] = current
        else:
            queue.extend(anatomy.producers(current))
    return tuple(found[index] for index in sorted(found))


def feeds_attention(anatomy: Anatomy, layer: Node) -> bool:
    """Whether a layer makes queries, keys or values: attention comes before the next layer."""
    seen: set[int] = set()
    queue = list(anatomy.consumers(layer))
    while queue:
        node = queue.pop()
        if node.index in seen:
            continue
        seen.add(node.index)
        if node.role == Role.ATTENTION:
            return True
        if node.role in LAYER_ROLES:
            continue
        sources = _sources(anatomy, node) if node.slug in _PRODUCTS else ()
        if any(source.role == Role.ATTENTION for source in sources):
            return True
        queue += anatomy.consumers(node)
    return False


def _sources(anatomy: Anatomy, node: Node) -> Iterator[Node]:
    """Yield what a node takes, looking through changes of shape and dropout."""
    queue = list(anatomy.producers(node))
    while queue:
        current = queue.pop()
        yield current
        if current.role in (Role.SHAPE, Role.DROPOUT):
            queue += anatomy.producers(current)


def feeds_itself(anatomy: Anatomy, layer: Node) -> bool:
    """Whether a layer is called again on what came of its own output, as in a loop."""
    seen: set[int] = set()
    queue = list(anatomy.consumers(layer))
    while queue:
        node = queue.pop()
        if node.index in seen:
            continue
        seen.add(node.index)
        if node.path == layer.path and node.functional == layer.functional:
            return True
        queue += anatomy.consumers(node)
    return False


def is_recurrent(anatomy: Anatomy, node: Node) -> bool:
    """Whether a node works on the state of a loop: a layer before it takes its output again."""
    before = {(layer.path, layer.functional) for layer in layers_before(anatomy, node)}
    seen: set[int] = set()
    queue = list(anatomy.consumers(node))
    while queue:
        current = queue.pop()
        if current.index in seen:
            continue
        seen.add(current.index)
        if current.role in LAYER_ROLES and (current.path, current.functional) in before:
            return True
        queue.extend(anatomy.consumers(current))
    return False


def stands_between_layers(anatomy: Anatomy, node: Node) -> bool:
    """Whether a node is an activation whose output reaches a layer other than through attention.

    What is put out to a softmax inside the network shapes scores, and is no activation of a layer:
    the cap on the scores of Gemma 2, the position bias of Swin V2.
    """
    if node.role != Role.ACTIVATION:
        return False
    seen: set[int] = set()
    queue = list(anatomy.consumers(node))
    while queue:
        current = queue.pop()
        if current.role in LAYER_ROLES:
            return True
        if current.index not in seen and current.role != Role.ATTENTION:
            queue += anatomy.consumers(current)
        seen.add(current.index)
    return False


def hidden_activations(anatomy: Anatomy) -> tuple[Node, ...]:
    """Return the activation modules, at their first call, that are hidden wherever they run.

    A module that also serves as a gate or as the activation of the output is left out: what is
    done to it would be done there too.
    """
    first = [n for n in anatomy.of_role(Role.ACTIVATION) if not n.functional and n.call == 0]
    return tuple(
        node
        for node in first
        if all(stands_between_layers(anatomy, call) for call in calls(anatomy, node.path))
    )


def hidden_functions(anatomy: Anatomy) -> tuple[Node, ...]:
    """Return the activation functions called in a ``forward`` that are hidden wherever they run.

    One node stands for a place in the code: the module whose forward calls it, the function, and
    how often that forward has called it before.
    """
    places: dict[tuple[str, str, int], list[Node]] = {}
    for node in anatomy.nodes:
        if node.functional:
            places.setdefault((node.path, node.kind, node.order), []).append(node)
    return tuple(
        nodes[0]
        for nodes in places.values()
        if all(stands_between_layers(anatomy, node) for node in nodes)
    )


def site(anatomy: Anatomy, node: Node) -> tuple[Node, ...]:
    """Return every call of a function from the same place in the code."""
    place = (node.path, node.kind, node.order)
    functions = (n for n in anatomy.nodes if n.functional)
    return tuple(n for n in functions if (n.path, n.kind, n.order) == place)


def follower(anatomy: Anatomy, layer: Node) -> tuple[Node | None, bool]:
    """Return the activation that a layer leads to, and whether it is normalised on the way.

    Looked through are normalisation, dropout, shape, the addition at the end of a residual block
    and the product with the edges of a graph, as far as an activation follows.
    """
    walk = anatomy.walk_to_activation(layer, TRANSPARENT | {Role.ADD, Role.PRODUCT})
    if walk:
        return walk[-1], any(node.role == Role.NORMALIZATION for node in walk)
    return None, any(node.role == Role.NORMALIZATION for node in anatomy.consumers(layer))


def activations_present(anatomy: Anatomy) -> str:
    """Return a line on the activations of a network: ``"ReLU (act1), functional tanh (net)"``."""
    found: dict[str, list[str]] = {}
    for node in anatomy.of_role(Role.ACTIVATION, Role.GATE, Role.ATTENTION):
        kind = f"functional {node.kind}" if node.functional else node.kind
        where = node.path or "the network's own forward"
        if where not in found.setdefault(kind, []):
            found[kind].append(where)
    return ", ".join(f"{kind} ({', '.join(at)})" for kind, at in found.items()) or "none"
