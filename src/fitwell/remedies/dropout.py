"""Dropout after hidden activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.errors import NotApplicable, in_range
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Configure, Edit, InsertAfter, ModuleSpec, Node, Role
from fitwell.remedies.places import (
    activations_present,
    calls,
    hidden_activations,
    is_convolution,
    is_hidden,
    is_recurrent,
    layers_before,
)

NAME = "dropout"
"""Name of the new module beside the one that it follows."""

_SCALING = frozenset({"relu", "leakyrelu"})
"""Activations with f(c x) = c f(x) for c >= 0: dropout before them is the same as after them."""


@final
@dataclass(frozen=True, slots=True)
class Dropout(Remedy):
    """Set a random share of the hidden activations to zero in training, and scale up the rest.

    It stands after every hidden activation that is a module. Where the activation is a function
    called inside ``forward``, nothing can be put after it; before a ReLU or a leaky ReLU, dropout
    has exactly the same effect, so there it follows the module that feeds it; other functions are
    left alone. After convolutions whole channels are dropped (spatial dropout). Dropout layers
    that are there already, also those between the layers of an LSTM, get the new rate.

    Args:
        rate: Share of the activations dropped, in [0, 0.99].

    Raises:
        ThresholdError: If the rate is out of range.
        NotApplicable: On ``edit``, if there is no place for it.

    References:
        Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
        JMLR 2014. Tompson et al., 2015, arXiv:1411.4280 (spatial dropout).
    """

    stage: ClassVar[Stage] = Stage.DROPOUT

    rate: float = 0.5

    def __post_init__(self) -> None:
        in_range("rate", self.rate, 0.0, 0.99)

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Raise or lower the layers that are there, and insert those that are missing."""
        edits: list[Edit] = [
            Configure(node.path, "p", self.rate)
            for node in anatomy.of_role(Role.DROPOUT)
            if not node.functional and node.call == 0
        ]
        edits += [
            Configure(node.path, "dropout", self.rate)
            for node in anatomy.of_role(Role.RECURRENT)
            if node.call == 0 and node.settings.get("num_layers", 1) > 1
        ]
        edits += [
            InsertAfter(path, NAME, ModuleSpec(kind, {"p": self.rate}))
            for path, kind in _places(anatomy).items()
        ]
        if not edits:
            raise NotApplicable(
                "No place for dropout found: no hidden activation is a module, or a function with "
                "f(c x) = c f(x) after a module.\n"
                f"  activations present: {activations_present(anatomy)}"
            )
        return edits


def _places(anatomy: Anatomy) -> dict[str, str]:
    """Return the modules that dropout shall follow, each with the kind of dropout."""
    found: dict[str, str] = {}
    for node in hidden_activations(anatomy):
        uses = calls(anatomy, node.path)
        dropped = any(_is_dropped(anatomy, use) for use in uses)
        if not dropped and not is_recurrent(anatomy, node):
            found[node.path] = _kind(anatomy, uses)
    for node in anatomy.of_role(Role.ACTIVATION):
        if not node.functional or node.slug not in _SCALING or not is_hidden(anatomy, node):
            continue
        feeding = anatomy.producers(node)
        alone = len(feeding) == 1 and len(anatomy.consumers(feeding[0])) == 1
        if not alone or feeding[0].functional or len(calls(anatomy, feeding[0].path)) > 1:
            continue
        takes = feeding[0].role in (Role.LAYER, Role.NORMALIZATION)
        if takes and not _is_dropped(anatomy, node):
            found[feeding[0].path] = _kind(anatomy, (node,))
    return found


def _is_dropped(anatomy: Anatomy, node: Node) -> bool:
    """Whether dropout follows already, as far as only shapes stand between."""
    return any(
        c.role == Role.DROPOUT or (c.role == Role.SHAPE and _is_dropped(anatomy, c))
        for c in anatomy.consumers(node)
    )


def _kind(anatomy: Anatomy, nodes: Sequence[Node]) -> str:
    """Spatial dropout if every use is the feature map of convolutions of one dimension."""
    kinds = set()
    for node in nodes:
        sources = layers_before(anatomy, node)
        maps = bool(sources) and all(is_convolution(source) for source in sources)
        space = len(node.shape) - 2
        kinds.add(f"Dropout{space}d" if maps and space in (1, 2, 3) else "Dropout")
    return kinds.pop() if len(kinds) == 1 else "Dropout"
