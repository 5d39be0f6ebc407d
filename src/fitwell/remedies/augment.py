"""Random changes to the training batches that leave the targets true."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

from torch import Generator, Tensor

from fitwell.errors import BadInput, in_range, is_flag, require
from fitwell.interfaces import Plain, Remedy, Stage
from fitwell.records import Anatomy, Edit
from fitwell.remedies.augmenting import (
    augment_by_shape,
    augment_images,
    augment_rows,
    augment_sequences,
    augment_signals,
    deviation,
    drop_words,
    erase,
    move_images,
    warp_time,
)
from fitwell.remedies.leading import along, drawn, picked
from fitwell.remedies.rows import check_axis_of_steps, check_input, described

_DIMENSIONS: Mapping[str, int] = {"image": 4, "table": 2, "bag": 2, "sequence": 3, "signal": 3}
KINDS = ("auto", *_DIMENSIONS)
"""Kinds of data that :class:`Augment` knows."""


@final
@dataclass(frozen=True, slots=True)
class Augment(Remedy):
    """Show the network a slightly different batch each time; targets stay as they are.

    At strength 1:

    - Images ``(batch, channels, height, width)`` are turned by up to 30°, shifted and zoomed by up
      to a fifth, a rectangle is blanked in half of them, and noise of a tenth of the batch's
      deviation is added.
    - In tables ``(batch, features)`` the same noise is added to what is not zero, and a fifth of
      the entries is masked: filled from another row of the batch, since a column's mean, or zero,
      may be a value that no row has.
    - In bags ``(batch, words)`` a fifth of the words is dropped.
    - Sequences ``(batch, steps, features)`` and signals ``(batch, channels, steps)`` are warped in
      time, faster here and slower there by up to a half with both ends kept; noise is added, and a
      span of up to three tenths of the steps is blanked.

    Strength scales all of it. A whole batch is done at once, on its device.

    Args:
        strength: Dose, in (0, 1].
        kind: ``"image"``, ``"table"``, ``"bag"``, ``"sequence"``, ``"signal"``, or ``"auto"``: by
            the number of dimensions, with a table for two and a sequence for three.
        flip: Whether half of the images are mirrored left to right. Digits must not be.

    Raises:
        ThresholdError: If the strength is out of range.
        NotApplicable: On ``edit``, if the network does not read one tensor of such rows: numbers
            of words have no neighbours to move to, and no number is known to stand for nothing.
        BadInput: If the kind is unknown, or ``flip`` is no flag; on ``on_batch``, if the batch is
            not of that kind.
        MissingExtra: On ``on_batch``, for images, if kornia is not installed.

    References:
        Simard et al., "Best Practices for Convolutional Neural Networks", ICDAR 2003 (images).
        Zhong et al., "Random Erasing Data Augmentation", 2017, arXiv:1708.04896.
        Yoon et al., "VIME", NeurIPS 2020 (tables). Iyyer et al., ACL 2015 (word dropout).
        Um et al., "Data Augmentation of Wearable Sensor Data", 2017, arXiv:1706.00527 (sequences).
    """

    stage: ClassVar[Stage] = Stage.BATCH
    doses: ClassVar[tuple[str, ...]] = ("strength",)

    strength: float = 0.5
    kind: str = "auto"
    flip: bool = False

    def __post_init__(self) -> None:
        in_range("strength", self.strength, 0.0, 1.0, open_low=True)
        is_flag("flip", self.flip)
        if self.kind not in KINDS:
            raise BadInput(
                f"Unknown kind of data {self.kind!r}: expected one of {', '.join(KINDS)}."
            )

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Change nothing of the network, but refuse one whose input cannot be augmented."""
        check_input(anatomy, "Augment", dimensions=self._dimensions)
        check_axis_of_steps(anatomy, "Augment", self.kind)
        return ()

    @property
    def _dimensions(self) -> frozenset[int]:
        """Numbers of dimensions that a batch may have."""
        if self.kind == "auto":
            return frozenset(_DIMENSIONS.values())
        return frozenset({_DIMENSIONS[self.kind]})

    def on_batch(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return the changed batch and the same targets."""
        count = x.dim() if isinstance(x, Tensor) and x.is_floating_point() else 0
        if count not in self._dimensions:
            raise BadInput(
                "Augment needs a batch of floating-point images (4 dimensions), sequences (3) or "
                f"rows (2): got {described(x)} for kind {self.kind!r}."
            )
        guessed = {4: "image", 3: "sequence", 2: "table"}
        kind = guessed[count] if self.kind == "auto" else self.kind
        if kind == "image":
            require("kornia.geometry.transform")
        plain = self._function(kind)
        x, y = plain.function(x, y, generator, **plain.args)
        return x, y

    def _function(self, kind: str) -> Plain:
        if kind == "image":
            args = {"strength": self.strength, "flip": self.flip}
            return Plain(augment_images, args, (along, drawn, deviation, move_images, erase))
        functions: Mapping[str, tuple[Callable[..., Any], ...]] = {
            "table": (augment_rows, along, drawn, deviation, picked),
            "bag": (drop_words, along, drawn),
            "sequence": (augment_sequences, along, drawn, deviation, warp_time),
            "signal": (augment_signals, along, drawn, deviation, warp_time, augment_sequences),
        }
        function, *needs = functions[kind]
        return Plain(function, {"strength": self.strength}, tuple(needs))

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam."""
        if self.kind != "auto":
            return {"on_batch": self._function(self.kind)}
        images, rows, sequences = map(self._function, ("image", "table", "sequence"))
        needs = [f for part in (images, rows, sequences) for f in (*part.needs, part.function)]
        args = {"strength": self.strength, "flip": self.flip}
        return {"on_batch": Plain(augment_by_shape, args, tuple(needs))}
