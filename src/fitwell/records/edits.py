"""The edits that change a network: plain data, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, final


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
