"""Group normalisation between a layer and its activation, or in the place of another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar, final

from fitwell.errors import BadInput, in_range
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Edit, ModuleSpec
from fitwell.remedies.normalizing import Place, edits_for

LEAST_CHANNELS = 2
"""Channels that a group holds at least: with one it would be instance normalisation."""

LEAST_VALUES = 16
"""Values that a group holds at least: of very few, normalisation leaves little but their signs.
Wu & He found 16 channels a group the best of those that they tried (table 3)."""


@final
@dataclass(frozen=True, slots=True)
class GroupNorm(Remedy):
    """Normalise what hidden layers put out over groups of channels of each sample.

    It does not look at the batch, and so serves batches as small as one. It stands where
    :class:`~fitwell.remedies.BatchNorm` would, and is swapped for batch and instance
    normalisation, and for layer normalisation of plain rows; scale and offset are kept. Layer
    normalisation of the steps of a sequence stays: its features lie on the last axis, where group
    normalisation would take the steps for channels.

    A group holds at least 2 channels and 16 values (on the example input).

    Args:
        groups: Number of groups, from 1. 1 is layer normalisation over channels and space.
        uneven: Where the channels do not divide into that many groups, or a group would hold too
            little: ``"fit"`` takes the largest number below that fits, ``"skip"`` leaves the layer
            without.
        eps: Added to the variance, in (0, 1].

    Raises:
        ThresholdError: If an argument is out of range.
        BadInput: If ``uneven`` is none of the two, or ``groups`` no whole number.
        NotApplicable: On ``edit``, if there is no place for it; each with the reason.

    References:
        Wu & He, "Group Normalization", ECCV 2018, arXiv:1803.08494.
    """

    stage: ClassVar[Stage] = Stage.NORMALIZATION

    groups: int = 32
    uneven: str = "fit"
    eps: float = 1e-5

    def __post_init__(self) -> None:
        in_range("groups", self.groups, 1, 1_000_000)
        in_range("eps", self.eps, 0.0, 1.0, open_low=True)
        if not isinstance(self.groups, int):
            raise BadInput(f"groups must be a whole number, got {self.groups!r}.")
        if self.uneven not in ("fit", "skip"):
            raise BadInput(f"uneven must be 'fit' or 'skip', got {self.uneven!r}.")

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Swap what stands there, and insert one after every layer that can take it."""
        return edits_for(anatomy, "group", self._module)

    def _module(self, place: Place) -> ModuleSpec | str:
        if place.kind == "group":
            return "is a group normalisation already"
        if place.kind == "recurrent":
            return "is recurrent, and its units have no order that groups could follow"
        if place.is_sequence:
            return (
                "works on sequences, with the features on the last axis: group normalisation "
                "would take the steps for channels; use LayerNorm"
            )
        least = max(LEAST_CHANNELS, ceil(LEAST_VALUES / place.positions))
        groups = _groups(place.units, min(self.groups, place.units // least))
        if groups != self.groups and self.uneven == "skip":
            return f"has {place.units} channels, which make no {self.groups} groups"
        args = {"num_groups": groups, "num_channels": place.units, **place.affine("affine")}
        return ModuleSpec("GroupNorm", args if self.eps == 1e-5 else {**args, "eps": self.eps})


def _groups(channels: int, most: int) -> int:
    """Return the largest number of equal groups, at most so many; 1 if there is no other."""
    return max((n for n in range(1, most + 1) if channels % n == 0), default=1)
