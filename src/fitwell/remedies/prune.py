"""Fewer units in a trained network, really taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.errors import BadInput, NotApplicable, in_range
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Edit, PruneUnits
from fitwell.remedies.places import feeds_attention, is_convolution, is_linear

IMPORTANCES = ("magnitude", "norm_scale", "random")
"""How :class:`Prune` chooses the units that go."""


@final
@dataclass(frozen=True, slots=True)
class Prune(Remedy):
    """Take the least important units out of a trained network, with all that depends on them.

    The network becomes really smaller: fewer parameters, less time; nothing is masked. Which layers
    belong together (residual additions, concatenations, norms, flattening) torch-pruning's
    dependency graph says; a group of them is taken out only if the network then gives what it gives
    with these units masked. Output layers keep their units, and so do the layers that feed
    attention, whose heads have sizes of their own. Train on afterwards: pruning costs accuracy.

    Args:
        share: Share of the units of every layer that go, in (0, 1).
        importance: ``"magnitude"``: the units with the smallest weights, over all layers that
            belong together; ``"norm_scale"``: those with the smallest scale in batch norm;
            ``"random"``.

    Raises:
        ThresholdError: If the share is out of range.
        BadInput: If the importance is unknown.
        NotApplicable: On ``edit`` or ``apply``, if no units can go; each layer with the reason.
        MissingExtra: On ``apply``, if torch-pruning is not installed.

    References:
        Li et al., "Pruning Filters for Efficient ConvNets", 2017, arXiv:1608.08710.
        Liu et al., "Network Slimming", 2017, arXiv:1708.06519.
        Fang et al., "DepGraph: Towards Any Structural Pruning", 2023, arXiv:2301.12900.
    """

    stage: ClassVar[Stage] = Stage.CAPACITY

    share: float = 0.3
    importance: str = "magnitude"

    def __post_init__(self) -> None:
        in_range("share", self.share, 0.0, 0.999, open_low=True)
        if self.importance not in IMPORTANCES:
            raise BadInput(
                f"Unknown importance {self.importance!r}: expected one of {', '.join(IMPORTANCES)}."
            )

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Return one edit: which units go is found on the weights."""
        keep, left = that_keep(anatomy)
        return [PruneUnits(self.share, self.importance, keep, left)]


def that_keep(anatomy: Anatomy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the layers whose units stay, and why those do that one might wonder about.

    Raises:
        NotApplicable: If there is no other layer.
    """
    heads = {layer.path for layer in anatomy.output_layers}
    attention = {
        layer.path: f"{layer.path} feeds attention, whose heads keep their sizes"
        for layer in anatomy.hidden_layers
        if not layer.functional and feeds_attention(anatomy, layer) and layer.path not in heads
    }
    free = [
        layer
        for layer in anatomy.hidden_layers
        if (is_linear(layer) or is_convolution(layer))
        and layer.path not in attention
        and not layer.settings.get("transposed")
    ]
    if not free:
        kinds = ", ".join(f"{n.path or n.kind} ({n.kind})" for n in anatomy.layers) or "none"
        raise NotApplicable(
            "No hidden linear layer or convolution found whose units could go.\n"
            f"  layers present: {kinds}" + "".join(f"\n  {reason}" for reason in attention.values())
        )
    keep = tuple(dict.fromkeys(path for path in (*heads, *attention) if path))
    return tuple(sorted(keep)), tuple(attention.values())
