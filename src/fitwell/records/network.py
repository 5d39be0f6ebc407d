"""What a network is made of, and the edits that change it: plain data, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias, final


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
    SHAPE = "shape"
    """Moves values and changes none: reshape, flatten, pooling, identity."""
    OTHER = "other"


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
        parameters: Names of the parameters that it used, as in ``named_parameters()``.
        call: How often the same path had run before.
        settings: Constructor-like settings of the module (``in_features`` …).
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

    @property
    def slug(self) -> str:
        """Kind in lower case with underscores left out, as ``"leakyrelu"``."""
        return self.kind.lower().replace("_", "")


@final
@dataclass(frozen=True)
class Anatomy:
    """The nodes of a network in the order in which they ran on an example input."""

    nodes: tuple[Node, ...]

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
        wanted = (Role.LAYER, Role.RECURRENT)
        return tuple(n for n in self.nodes if n.role in wanted and n.call == 0)

    @cached_property
    def output_layers(self) -> tuple[Node, ...]:
        """Layers with no other layer behind them."""
        return tuple(layer for layer in self.layers if not self.next_layers(layer))

    @cached_property
    def hidden_layers(self) -> tuple[Node, ...]:
        """Layers that are not output layers."""
        heads = {layer.index for layer in self.output_layers}
        return tuple(layer for layer in self.layers if layer.index not in heads)

    def next_layers(self, node: Node) -> tuple[Node, ...]:
        """Return the nearest layers that the output of a node reaches, in order."""
        found: dict[int, Node] = {}
        seen: set[int] = set()
        queue = list(self.consumers(node))
        while queue:
            current = queue.pop()
            if current.index in seen:
                continue
            seen.add(current.index)
            if current.role in (Role.LAYER, Role.RECURRENT):
                found[current.index] = current
            else:
                queue.extend(self.consumers(current))
        return tuple(found[index] for index in sorted(found))

    def activation_after(self, node: Node) -> Node | None:
        """Return the activation that follows, looking through normalisation, dropout and shape.

        Where the output goes to several places (a residual block), the first one that runs and
        leads to an activation counts.
        """
        for consumer in self.consumers(node):
            if consumer.role == Role.ACTIVATION:
                return consumer
            if consumer.role in TRANSPARENT and (found := self.activation_after(consumer)):
                return found
        return None

    def path_to_activation(self, node: Node) -> tuple[Node, ...]:
        """Return the transparent nodes between a node and the activation that follows it."""
        for consumer in self.consumers(node):
            if consumer.role == Role.ACTIVATION:
                return ()
            if consumer.role in TRANSPARENT and self.activation_after(consumer):
                return (consumer, *self.path_to_activation(consumer))
        return ()

    def of_role(self, *roles: Role) -> tuple[Node, ...]:
        """Return the nodes of the given roles, in order."""
        return tuple(node for node in self.nodes if node.role in roles)


@final
@dataclass(frozen=True)
class ModuleSpec:
    """A module of ``torch.nn`` to be made, as ``ModuleSpec("Dropout", {"p": 0.5})``."""

    kind: str
    args: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"nn.{self.kind}({', '.join(f'{k}={v!r}' for k, v in self.args.items())})"


@final
@dataclass(frozen=True)
class Replace:
    """Put a newly made module where another stands, under every name that it has."""

    path: str
    module: ModuleSpec


@final
@dataclass(frozen=True)
class InsertAfter:
    """Follow a module by a newly made one: ``path`` becomes ``Sequential(layer=old, <name>=new)``.

    Where ``path`` already is such a sequence, the new module is added to its end.
    """

    path: str
    name: str
    module: ModuleSpec


@final
@dataclass(frozen=True)
class Initialize:
    """Fill a parameter by a function of ``torch.nn.init``, without touching anything else.

    Args:
        parameter: Name of the parameter, as in ``named_parameters()``.
        function: Name of the function, as ``"kaiming_normal_"``.
        args: Its keyword arguments.
        rows: First and last-plus-one row to fill, for weights that are stacked (LSTM gates);
            None for all.
    """

    parameter: str
    function: str
    args: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[int, int] | None = None


@final
@dataclass(frozen=True)
class Configure:
    """Set an attribute of a module to a plain value, as the rate of a dropout layer."""

    path: str
    attribute: str
    value: Any


Edit: TypeAlias = Replace | InsertAfter | Initialize | Configure
"""One declarative change to a network; :mod:`fitwell.surgery` performs it."""


@final
@dataclass(frozen=True)
class Change:
    """What one remedy did at one place, in words."""

    remedy: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"
