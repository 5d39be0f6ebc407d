"""Hidden activations that let the gradient through."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.errors import BadInput, NotApplicable, in_range
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Edit, ModuleSpec, Node, Replace, ReplaceCall, Role
from fitwell.remedies.places import (
    activations_present,
    hidden_activations,
    hidden_functions,
    is_hidden,
    is_recurrent,
    stands_between_layers,
)

KINDS: Mapping[str, str] = {
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "prelu": "PReLU",
    "elu": "ELU",
    "selu": "SELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "tanh": "Tanh",
}
"""Kinds that :class:`Activation` offers, and the module of ``torch.nn`` that each one is."""

NAME = "act"
"""Name of a module that is called where a function was."""

_SATURATING = frozenset({"sigmoid", "tanh", "hardsigmoid", "hardtanh", "softsign"})
_DYING = frozenset({"relu", "relu6"})
_NEVER_DYING = frozenset(KINDS) - {"relu", "tanh"}
_SLOPE = 0.01


@final
@dataclass(frozen=True, slots=True)
class Activation(Remedy):
    """Replace hidden activations that hold the gradient back.

    Sigmoid, tanh and their hard forms pass almost no gradient where they saturate: every kind
    replaces them. ReLU passes none where its input is negative, and a unit that is negative for
    every sample is dead: the kinds that pass some there (all but ``"relu"`` and ``"tanh"``)
    replace it as well. Gates, attention, the state of a recurrent loop and output activations keep
    theirs. A function called inside a ``forward`` becomes a module there, where ``torch.fx`` can
    trace that forward.

    Args:
        kind: What to put there: ``"relu"``, ``"leaky_relu"``, ``"prelu"``, ``"elu"``, ``"selu"``,
            ``"gelu"``, ``"silu"`` or ``"tanh"``.
        slope: Slope of ``"leaky_relu"`` for negative inputs, in (0, 1]; the other kinds take none.

    Raises:
        BadInput: If the kind is unknown, or takes no slope.
        ThresholdError: If the slope is out of range.
        NotApplicable: On ``edit``, if there is no such activation. On ``apply``, if it is a
            function in a forward that cannot be traced; file and line are named.

    References:
        Glorot et al., "Deep Sparse Rectifier Neural Networks", AISTATS 2011.
        Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic Models", ICML 2013.
    """

    stage: ClassVar[Stage] = Stage.ACTIVATION

    kind: str = "relu"
    slope: float = _SLOPE

    def __post_init__(self) -> None:
        if self.kind not in tuple(KINDS):
            raise BadInput(f"Unknown activation {self.kind!r}: expected one of {', '.join(KINDS)}.")
        in_range("slope", self.slope, 0.0, 1.0, open_low=True)
        if self.kind != "leaky_relu" and self.slope != _SLOPE:
            raise BadInput(f"The activation {self.kind!r} takes no slope: only leaky_relu does.")

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Replace every module concerned, once for all the places where it is used."""
        wanted = (_SATURATING | (_DYING if self.kind in _NEVER_DYING else frozenset())) - {
            self.kind
        }
        hidden = (*hidden_activations(anatomy), *hidden_functions(anatomy))
        targets = [n for n in hidden if n.slug in wanted and not is_recurrent(anatomy, n)]
        if not targets:
            names = "sigmoid, tanh or ReLU" if self.kind in _NEVER_DYING else "sigmoid or tanh"
            raise NotApplicable(
                f"No {names} activation found to replace between the layers.\n"
                f"  activations present: {activations_present(anatomy)}"
                + "".join(f"\n  {reason}" for reason in _reasons(anatomy, wanted))
            )
        args = {"negative_slope": self.slope} if self.kind == "leaky_relu" else {}
        module = ModuleSpec(KINDS[self.kind], args)
        # Of the calls of one function the last is replaced first: the others keep their number.
        targets.sort(key=lambda node: (node.functional, -node.order))
        return [_replaced(node, module) for node in targets]


def _replaced(node: Node, module: ModuleSpec) -> Edit:
    if not node.functional:
        return Replace(node.path, module)
    return ReplaceCall(node.path, node.kind, node.order, module, NAME, source=node.source)


def _reasons(anatomy: Anatomy, wanted: Collection[str]) -> Iterable[str]:
    """Say of each activation that would be replaced why it stays, and what to do."""
    nodes = [node for node in anatomy.nodes if node.slug in wanted]
    said = {}
    for node in nodes:
        where = node.path or "the network's own forward"
        name = f"{node.kind} ({where})"
        if node.role == Role.GATE:
            said[name] = "serves as a gate"
        elif not is_hidden(anatomy, node):
            said[name] = "serves the output: give the hidden layers modules of their own"
        elif not stands_between_layers(anatomy, node):
            said[name] = "shapes the scores of attention"
        elif is_recurrent(anatomy, node):
            said[name] = "works on the state of a loop"
    return [f"{name} {reason}" for name, reason in said.items()]
