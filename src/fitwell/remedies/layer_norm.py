"""Layer normalisation before activations, inside recurrent layers, or in the place of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.errors import in_range
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Edit, ModuleSpec
from fitwell.remedies.normalizing import Place, edits_for
from fitwell.remedies.recurrence import opened


@final
@dataclass(frozen=True, slots=True)
class LayerNorm(Remedy):
    """Normalise what hidden layers put out over the features of each sample, before the activation.

    It does not look at the batch, and so serves small batches and sequences. After a convolution
    it is taken over channels and space together (``GroupNorm(1, channels)``), which keeps one
    scale and one offset a channel. Batch, group and instance normalisation are swapped for it;
    scale and offset are kept.

    A recurrent layer of torch becomes :class:`fitwell.modules.Recurrent` with the same weights:
    what comes from the input and from the state is normalised at every step, for an LSTM the cell
    state as well.

    Args:
        eps: Added to the variance, in (0, 1].

    Raises:
        ThresholdError: If an argument is out of range.
        NotApplicable: On ``edit``, if there is no place for it; each with the reason.

    References:
        Ba et al., "Layer Normalization", 2016, arXiv:1607.06450.
        Wu & He, "Group Normalization", 2018, arXiv:1803.08494.
    """

    stage: ClassVar[Stage] = Stage.NORMALIZATION

    eps: float = 1e-5

    def __post_init__(self) -> None:
        in_range("eps", self.eps, 0.0, 1.0, open_low=True)

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Open recurrent layers, swap what stands there, and insert what is missing."""
        return edits_for(anatomy, "layer", self._module)

    def _module(self, place: Place) -> ModuleSpec | str:
        node, given = place.node, self.spec.args
        if place.kind == "recurrent":
            if node.settings.get("norm"):
                return "is normalised at every step already"
            return opened(node, norm=True, **given)
        if place.last or place.space == 0:
            if place.kind == "layer":
                return "is a layer normalisation already"
            args = {"normalized_shape": place.units, **given, **place.affine("elementwise_affine")}
            return ModuleSpec("LayerNorm", args)
        if place.kind == "group" and node.settings["num_groups"] == 1:
            return "is a layer normalisation already"
        args = {"num_groups": 1, "num_channels": place.units, **given, **place.affine("affine")}
        return ModuleSpec("GroupNorm", args)
