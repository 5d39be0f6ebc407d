"""What a network is made of, and the edits that change it: plain data, without torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, TypeAlias, final


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
    """

    nodes: tuple[Node, ...]
    outputs: tuple[tuple[int, ...], ...] = ()
    inputs: tuple[InputFact, ...] = ()

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


@final
@dataclass(frozen=True)
class ModuleSpec:
    """A module to be made, as ``ModuleSpec("Dropout", {"p": 0.5})``.

    Args:
        kind: Name of a class of ``torch.nn``, or of one of :mod:`fitwell.modules` if ``own``.
        args: Arguments of its constructor.
        own: Whether it is one of ours, which printed code carries along.
    """

    kind: str
    args: Mapping[str, Any] = field(default_factory=dict)
    own: bool = False

    def __str__(self) -> str:
        args = ", ".join(f"{k}={v!r}" for k, v in self.args.items())
        return f"{'' if self.own else 'nn.'}{self.kind}({args})"


@final
@dataclass(frozen=True)
class Replace:
    """Put a newly made module where another stands, under every name that it has.

    Args:
        path: Where the old one stands.
        module: The new one.
        keep: Whether the new one takes over the parameters and buffers of the old one that have
            the same name and shape.
    """

    path: str
    module: ModuleSpec
    keep: bool = False


@final
@dataclass(frozen=True)
class InsertBefore:
    """Precede a module by a newly made one: ``path`` becomes ``Sequential(<name>=new, layer=old)``.

    Only for modules that are called with one tensor.

    Args:
        path: Where the module stands.
        name: Name of the new one beside it.
        module: The new one.
        answers: Whether attributes of the module can still be read where it stood.
    """

    path: str
    name: str
    module: ModuleSpec
    answers: bool = False


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
class ReplaceCall:
    """Call a newly made module where a function is called inside a ``forward``.

    Args:
        path: Module whose ``forward`` calls it; "" for the network itself.
        function: Name of the function, as the node's ``kind``.
        order: How many calls of this function its ``forward`` makes before.
        module: What to call in its place.
        name: Name under which the new module stands inside the one at ``path``.
        follow: Whether the new module is called on the result of the function, which stays.
        source: The line of the call, for messages, as ``"model.py:12"``.
        optional: Whether it is left out where it cannot be done, if other edits remain.
    """

    path: str
    function: str
    order: int
    module: ModuleSpec
    name: str
    follow: bool = False
    source: str = ""
    optional: bool = False


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


@final
@dataclass(frozen=True)
class MeasureInputs:
    """Set mean and deviation of ``Standardize`` modules to those of what reaches them.

    Args:
        paths: Where they stand.
    """

    paths: tuple[str, ...]


@final
@dataclass(frozen=True)
class LevelOutputs:
    """Scale the weights of layers, one after the other, until what they put out has variance 1.

    Args:
        paths: The layers, in the order in which they run.
        tolerance: How far a variance may be from 1.
        rounds: How often a layer is scaled at most.
        left: Layers that keep their weights, each with the reason, for messages.
    """

    paths: tuple[str, ...]
    tolerance: float
    rounds: int
    left: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class FoldNorm:
    """Take a batch norm into the weights of the layer beside it; an identity stands in its place.

    Args:
        layer: The linear layer or convolution.
        norm: The batch norm.
        first: Whether the norm works on what the layer takes, and not on what it puts out.
    """

    layer: str
    norm: str
    first: bool = False


@final
@dataclass(frozen=True)
class PruneUnits:
    """Take units out of layers, and out of everything that depends on them.

    Args:
        share: Share of the units of a layer that go, in (0, 1).
        importance: How the units that go are chosen.
        keep: Layers whose units stay.
        left: Why they stay, for messages.
        fresh: Whether the layers concerned are drawn anew afterwards.
    """

    share: float
    importance: str
    keep: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    fresh: bool = False


@final
@dataclass(frozen=True)
class Remake:
    """Make the whole network anew, by its factory called with other arguments.

    Args:
        args: The arguments; ``"config.hidden_size"`` is a value inside the argument ``config``.
    """

    args: Mapping[str, Any]


SourceEdit: TypeAlias = Replace | InsertBefore | InsertAfter | ReplaceCall | Initialize | Configure
"""An edit that the source of a class could say as well."""

Edit: TypeAlias = SourceEdit | MeasureInputs | LevelOutputs | FoldNorm | PruneUnits | Remake
"""One declarative change to a network; :mod:`fitwell.surgery` performs it."""


@final
@dataclass(frozen=True)
class Capacity:
    """An argument of a factory that was measured to set the size of the network.

    Args:
        name: Name of the argument; ``"config.hidden_size"`` is a value inside ``config``.
        value: What it is now.
        kind: Whether it sets how wide the layers are, or how many there are.
    """

    name: str
    value: int
    kind: Literal["width", "depth"]


@final
@dataclass(frozen=True)
class Change:
    """What one remedy did at one place, in words."""

    remedy: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"
