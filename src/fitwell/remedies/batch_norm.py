"""Batch normalisation between a layer and its activation, or in the place of another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.errors import in_range
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Edit, ModuleSpec
from fitwell.remedies.normalizing import Place, edits_for


@final
@dataclass(frozen=True, slots=True)
class BatchNorm(Remedy):
    """Normalise what hidden layers put out over the batch, before the activation.

    Each unit (or channel) gets mean β and deviation γ, both learned: from the batch in training,
    from moving averages in evaluation. It stands after linear layers and convolutions that lead
    to an activation; not after the output, a recurrent layer, a layer that is called several times
    in one pass, or a linear layer over the steps of a sequence, flattened into rows or not: their
    statistics would be mixed.

    Normalisation by groups or by instance (axis 1 holds the channels), and over the features of
    plain rows, is swapped for it; γ and β are kept. That of the steps of a sequence is not.

    Args:
        momentum: Weight of the newest batch in the moving averages, in (0, 1].
        eps: Added to the variance, in (0, 1].

    Raises:
        ThresholdError: If an argument is out of range.
        NotApplicable: On ``edit``, if there is no place for it; each with the reason.

    References:
        Ioffe & Szegedy, "Batch Normalization", 2015, arXiv:1502.03167.
    """

    stage: ClassVar[Stage] = Stage.NORMALIZATION

    momentum: float = 0.1
    eps: float = 1e-5

    def __post_init__(self) -> None:
        in_range("momentum", self.momentum, 0.0, 1.0, open_low=True)
        in_range("eps", self.eps, 0.0, 1.0, open_low=True)

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Swap what stands there, and insert one after every layer that can take it."""
        return edits_for(anatomy, "batch", self._module)

    def _module(self, place: Place) -> ModuleSpec | str:
        if place.kind == "batch":
            return "is a batch normalisation already"
        if place.kind == "recurrent":
            return "is recurrent: the statistics of its state differ from step to step"
        if place.is_sequence:
            return "works on sequences, whose steps would share one statistic: use LayerNorm"
        if place.space == 0 and not place.samples:
            return (
                f"works on {place.node.shape[0]} rows that are not the samples, as flattened steps "
                "or parts of a batch: use LayerNorm"
            )
        if place.calls > 1:
            return "is called several times, each with statistics of its own: use LayerNorm"
        if place.space > 3:
            return f"has {place.space} axes of space, and batch normalisation takes 3 at most"
        args = {"num_features": place.units, **self.spec.args, **place.affine("affine")}
        return ModuleSpec(f"BatchNorm{max(place.space, 1)}d", args)
