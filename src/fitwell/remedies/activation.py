"""Hidden activations that let the gradient through."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.errors import BadInput, NotApplicable, in_range
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Edit, ModuleSpec, Replace, Role
from fitwell.remedies.places import (
    activations_present,
    hidden_activations,
    is_hidden,
    is_recurrent,
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
    theirs. Only modules can be replaced; a function called inside ``forward`` cannot.

    Args:
        kind: What to put there: ``"relu"``, ``"leaky_relu"``, ``"prelu"``, ``"elu"``, ``"selu"``,
            ``"gelu"``, ``"silu"`` or ``"tanh"``.
        slope: Slope of ``"leaky_relu"`` for negative inputs, in (0, 1]; the other kinds take none.

    Raises:
        BadInput: If the kind is unknown, or takes no slope.
        ThresholdError: If the slope is out of range.
        NotApplicable: On ``edit``, if there is no such module.

    References:
        Glorot et al., "Deep Sparse Rectifier Neural Networks", AISTATS 2011.
        Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic Models", ICML 2013.
    """

    stage: ClassVar[Stage] = Stage.ACTIVATION

    kind: str = "relu"
    slope: float = _SLOPE

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadInput(f"Unknown activation {self.kind!r}: expected one of {', '.join(KINDS)}.")
        in_range("slope", self.slope, 0.0, 1.0, open_low=True)
        if self.kind != "leaky_relu" and self.slope != _SLOPE:
            raise BadInput(f"The activation {self.kind!r} takes no slope: only leaky_relu does.")

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Replace every module concerned, once for all the places where it is used."""
        wanted = (_SATURATING | (_DYING if self.kind in _NEVER_DYING else frozenset())) - {
            self.kind
        }
        targets = [
            node
            for node in hidden_activations(anatomy)
            if node.slug in wanted and not is_recurrent(anatomy, node)
        ]
        if not targets:
            names = "sigmoid, tanh or ReLU" if self.kind in _NEVER_DYING else "sigmoid or tanh"
            raise NotApplicable(
                f"No {names} activation found to replace: none is a hidden module of its own.\n"
                f"  activations present: {activations_present(anatomy)}"
                + "".join(f"\n  {reason}" for reason in _reasons(anatomy, wanted))
            )
        args = {"negative_slope": self.slope} if self.kind == "leaky_relu" else {}
        return [Replace(node.path, ModuleSpec(KINDS[self.kind], args)) for node in targets]


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
        elif node.functional:
            said[name] = "is a function: call a module of torch.nn in its place"
        elif is_recurrent(anatomy, node):
            said[name] = "works on the state of a loop"
    return [f"{name} {reason}" for name, reason in said.items()]
