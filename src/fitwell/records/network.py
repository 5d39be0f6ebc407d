"""What a network is made of: plain data, without torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, final


class Role(StrEnum):
    """What a node of a network does."""

    LAYER = "layer"
    """Multiplies its input by weights: linear, convolution, embedding, attention."""
    RECURRENT = "recurrent"
    """A layer that feeds on its own output: RNN, LSTM, GRU."""
    ACTIVATION = "activation"
    NORMALIZATION = "normalization"
    DROPOUT = "dropout"
    ADD = "add"
    GATE = "gate"
    """A sigmoid or tanh whose value is multiplied into something."""
    ATTENTION = "attention"
    """A softmax inside the network, over something other than the output."""
    PRODUCT = "product"
    """A matrix product without weights: attention by hand, the edges of a graph."""
    SHAPE = "shape"
    """Moves values and changes none: reshape, flatten, pooling, identity."""
    OTHER = "other"


LAYER_ROLES = frozenset({Role.LAYER, Role.RECURRENT})
TRANSPARENT = frozenset({Role.NORMALIZATION, Role.DROPOUT, Role.SHAPE})
"""Roles that are looked through when asking which activation follows a layer."""


@final
@dataclass(frozen=True)
class Node:
    """One call of a module or of a function, as it really ran.

    Args:
        index: Place in the order of execution, from 0.
        path: Name of the module; for a function, of the module that called it.
        kind: Class of the module (``"Linear"``), or name of the function (``"relu"``).
        role: What it does.
        functional: Whether it was a function call and not a module of its own.
        inputs: Indices of the nodes that produced its inputs; -1 is the network's input.
        shape: Shape of its (first) output.
        taken: Shape of the first tensor that it was given, weights left aside; () if none.
        parameters: Names of the parameters that it used, as in ``named_parameters()``.
        call: How often the same path had run before.
        settings: Constructor-like settings of the module (``in_features`` …).
        order: For a function, how often this run of the calling module had called it before.
        source: For a function, the line that called it, as ``"model.py:12"``; "" if unknown.
    """

    index: int
    path: str
    kind: str
    role: Role
    functional: bool
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    parameters: tuple[str, ...] = ()
    call: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    order: int = 0
    source: str = ""
    taken: tuple[int, ...] = ()

    @property
    def slug(self) -> str:
        """Kind in lower case with underscores left out, as ``"leakyrelu"``."""
        return self.kind.lower().replace("_", "")


@final
@dataclass(frozen=True)
class InputFact:
    """One tensor that a network was called with.

    Args:
        name: The keyword that it was given by; "" if by its place.
        shape: Its shape.
        floating: Whether it holds floating-point numbers.
    """

    name: str
    shape: tuple[int, ...]
    floating: bool


@final
@dataclass(frozen=True)
class Anatomy:
    """What a network is made of, as it ran on an example input.

    Args:
        nodes: Its nodes, in the order in which they ran.
        outputs: Shapes of the tensors that it put out.
        inputs: The tensors that it was called with; empty if unknown.
        ends: Indices of the nodes that made these outputs, the main one first; empty if unknown.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[tuple[int, ...], ...] = ()
    inputs: tuple[InputFact, ...] = ()
    ends: tuple[int, ...] = ()

    @cached_property
    def _consumers(self) -> Mapping[int, tuple[Node, ...]]:
        found: dict[int, list[Node]] = {}
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                found.setdefault(source, []).append(node)
        return {source: tuple(nodes) for source, nodes in found.items()}

    def consumers(self, node: Node) -> tuple[Node, ...]:
        """Return the nodes that take the output of this one."""
        return self._consumers.get(node.index, ())

    def producers(self, node: Node) -> tuple[Node, ...]:
        """Return the nodes whose output this one takes; the network's input has none."""
        return tuple(self.nodes[index] for index in node.inputs if index >= 0)

    @cached_property
    def layers(self) -> tuple[Node, ...]:
        """Layers and recurrent layers, each at its first call, in the order of execution."""
        return tuple(n for n in self.nodes if n.role in LAYER_ROLES and n.call == 0)

    @cached_property
    def output_layers(self) -> tuple[Node, ...]:
        """Layers with no other layer behind them."""
        return tuple(layer for layer in self.layers if not self.next_layers(layer))

    @cached_property
    def hidden_layers(self) -> tuple[Node, ...]:
        """Layers that are not output layers."""
        heads = {layer.index for layer in self.output_layers}
        return tuple(layer for layer in self.layers if layer.index not in heads)

    def downstream(self, node: Node, *, until: Collection[Role] = ()) -> Iterator[Node]:
        """Yield what the output of a node reaches, each node once.

        Args:
            node: Where to begin; it is yielded only if it reaches itself.
            until: Roles behind which nothing is yielded; they are.
        """
        return self._walk(node, self.consumers, until)

    def upstream(self, node: Node, *, until: Collection[Role] = ()) -> Iterator[Node]:
        """Yield what the input of a node comes from, each node once; ``until`` as downstream."""
        return self._walk(node, self.producers, until)

    def _walk(
        self, node: Node, step: Callable[[Node], Iterable[Node]], until: Collection[Role]
    ) -> Iterator[Node]:
        seen: set[int] = set()
        queue = list(step(node))
        while queue:
            current = queue.pop()
            if current.index in seen:
                continue
            seen.add(current.index)
            yield current
            if current.role not in until:
                queue.extend(step(current))

    def next_layers(self, node: Node) -> tuple[Node, ...]:
        """Return the nearest layers that the output of a node reaches, in order."""
        found = [n for n in self.downstream(node, until=LAYER_ROLES) if n.role in LAYER_ROLES]
        return tuple(sorted(found, key=lambda layer: layer.index))

    def activation_after(self, node: Node) -> Node | None:
        """Return the activation that follows, looking through normalisation, dropout and shape.

        Where the output goes to several places (a residual block), the first one that runs and
        leads to an activation counts.
        """
        walk = self.walk_to_activation(node, TRANSPARENT)
        return walk[-1] if walk else None

    def path_to_activation(self, node: Node) -> tuple[Node, ...]:
        """Return the transparent nodes between a node and the activation that follows it."""
        return self.walk_to_activation(node, TRANSPARENT)[:-1]

    def walk_to_activation(self, node: Node, through: Collection[Role]) -> tuple[Node, ...]:
        """Return the nodes from behind a node to the activation that follows, it included.

        Args:
            node: Where to begin.
            through: Roles that are looked through. The first way that leads to an activation
                counts, in the order of execution; without one, nothing is returned.
        """
        seen: set[int] = set()
        ways: list[tuple[Node, int]] = [(n, 0) for n in reversed(self.consumers(node))]
        walk: list[Node] = []
        while ways:
            current, depth = ways.pop()
            if current.index in seen:
                continue
            seen.add(current.index)
            del walk[depth:]
            if current.role == Role.ACTIVATION:
                return (*walk, current)
            if current.role in through:
                walk.append(current)
                ways += [(n, depth + 1) for n in reversed(self.consumers(current))]
        return ()

    @property
    def readers(self) -> tuple[Node, ...]:
        """Nodes that take the input of the network."""
        return tuple(node for node in self.nodes if -1 in node.inputs)

    def of_role(self, *roles: Role) -> tuple[Node, ...]:
        """Return the nodes of the given roles, in order."""
        return tuple(node for node in self.nodes if node.role in roles)

    def __str__(self) -> str:
        """Draw it from top to bottom, with a rail for every live branch."""
        from fitwell.records.drawing import text_of  # it draws what is defined here

        return text_of(self)
