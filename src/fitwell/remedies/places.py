"""Where in a network a remedy acts: questions about an anatomy that several remedies ask."""

from __future__ import annotations

from collections.abc import Iterator

from fitwell.records import LAYER_ROLES, TRANSPARENT, Anatomy, Node, Role

_PRODUCTS = frozenset("matmul rmatmul bmm einsum baddbmm".split())


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
    found = [n for n in anatomy.upstream(node, until=LAYER_ROLES) if n.role in LAYER_ROLES]
    return tuple(sorted(found, key=lambda layer: layer.index))


def feeds_attention(anatomy: Anatomy, layer: Node) -> bool:
    """Whether a layer makes queries, keys or values: attention comes before the next layer."""
    reached = anatomy.downstream(layer, until={*LAYER_ROLES, Role.ATTENTION})
    return any(
        node.role == Role.ATTENTION
        or (
            node.role not in LAYER_ROLES
            and node.slug in _PRODUCTS
            and any(source.role == Role.ATTENTION for source in _sources(anatomy, node))
        )
        for node in reached
    )


def _sources(anatomy: Anatomy, node: Node) -> Iterator[Node]:
    """Yield what a node takes, looking through changes of shape and dropout."""
    return anatomy.upstream(node, until=frozenset(Role) - {Role.SHAPE, Role.DROPOUT})


def feeds_itself(anatomy: Anatomy, layer: Node) -> bool:
    """Whether a layer is called again on what came of its own output, as in a loop."""
    return any(
        node.path == layer.path and node.functional == layer.functional
        for node in anatomy.downstream(layer)
    )


def is_recurrent(anatomy: Anatomy, node: Node) -> bool:
    """Whether a node works on the state of a loop: a layer before it takes its output again."""
    before = {(layer.path, layer.functional) for layer in layers_before(anatomy, node)}
    return any(
        reached.role in LAYER_ROLES and (reached.path, reached.functional) in before
        for reached in anatomy.downstream(node)
    )


def stands_between_layers(anatomy: Anatomy, node: Node) -> bool:
    """Whether a node is an activation whose output reaches a layer other than through attention.

    What is put out to a softmax inside the network shapes scores, and is no activation of a layer:
    the cap on the scores of Gemma 2, the position bias of Swin V2.
    """
    reached = anatomy.downstream(node, until={*LAYER_ROLES, Role.ATTENTION})
    return node.role == Role.ACTIVATION and any(n.role in LAYER_ROLES for n in reached)


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
