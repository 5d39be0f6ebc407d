"""CutMix: a part of each row replaced by that of another, and the losses mixed by its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Generator, Tensor

from fitwell.errors import BadInput, in_range
from fitwell.interfaces import Mixed, Plain, Remedy, Stage
from fitwell.records import Anatomy, Edit
from fitwell.remedies.leading import along, drawn, picked
from fitwell.remedies.mixup import drawn_share
from fitwell.remedies.rows import check_axis_of_steps, check_batch, check_input, described

_DIMENSIONS: Mapping[str, int] = {"table": 2, "sequence": 3, "signal": 3, "image": 4}


@final
@dataclass(frozen=True, slots=True)
class CutMix(Remedy):
    """Replace a part of each row by that of another, and mix the losses by the size of the part.

    With λ from Beta(α, α): in images ``(batch, channels, height, width)`` a rectangle of 1 - λ of
    the area, at a random place and cut off at the border; in sequences ``(batch, steps, features)``
    and signals ``(batch, channels, steps)`` a span of 1 - λ of the steps, likewise; in tables
    ``(batch, features)`` each column with probability 1 - λ. The part is the same in the whole
    batch, so one share weighs both losses, and any mean loss can be used; the share is what was
    really kept. ``Treated.batch`` returns :class:`~fitwell.interfaces.Mixed` targets, which
    ``Treated.loss`` takes.

    Args:
        alpha: α, in (0, 10]: at 1 every λ is as likely.
        kind: ``"image"``, ``"sequence"``, ``"signal"``, ``"table"``, or ``"auto"``: by the number
            of dimensions, with a sequence for three.

    Raises:
        ThresholdError: If α is out of range.
        NotApplicable: On ``edit``, if the network does not read one tensor of such rows.
        BadInput: If the kind is unknown, or on ``on_batch``, if the batch is not of that kind.

    References:
        Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
        Features", 2019, arXiv:1905.04899.
        Somepalli et al., "SAINT", 2021, arXiv:2106.01342 (tables).
    """

    stage: ClassVar[Stage] = Stage.BATCH
    mixes: ClassVar[bool] = True
    doses: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: float = 1.0
    kind: str = "auto"

    def __post_init__(self) -> None:
        in_range("alpha", self.alpha, 0.0, 10.0, open_low=True)
        if self.kind not in ("auto", *_DIMENSIONS):
            raise BadInput(
                f"Unknown kind of data {self.kind!r}: expected one of "
                f"auto, {', '.join(_DIMENSIONS)}."
            )

    @property
    def _dimensions(self) -> frozenset[int]:
        """Numbers of dimensions that a batch may have."""
        if self.kind == "auto":
            return frozenset(_DIMENSIONS.values())
        return frozenset({_DIMENSIONS[self.kind]})

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Change nothing of the network, but refuse one whose input cannot be cut."""
        check_input(anatomy, "CutMix", dimensions=self._dimensions)
        check_axis_of_steps(anatomy, "CutMix", self.kind)
        return ()

    def on_batch(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Mixed]:
        """Return rows with a part of others, and both targets of each."""
        check_batch("CutMix", x, y)
        if x.dim() not in self._dimensions:
            raise BadInput(
                f"CutMix needs images (4 dimensions), sequences (3) or rows (2): got "
                f"{described(x)} for kind {self.kind!r}."
            )
        return cut_and_mix(x, y, generator, alpha=self.alpha, signal=self.kind == "signal")

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam."""
        args = {"alpha": self.alpha, "signal": self.kind == "signal"}
        needs = (Mixed, along, drawn, picked, drawn_share, cut_span)
        return {"on_batch": Plain(cut_and_mix, args, needs)}


def cut_span(size: int, share: Tensor, place: Tensor) -> Tensor:
    """Return which of ``size`` places lie in a span of a share of them around a place in [0, 1)."""
    half = (size * share / 2).floor()[..., None]
    centre = (size * place).floor()[..., None]
    numbers = torch.arange(size, device=share.device)
    return (numbers >= centre - half) & (numbers < centre + half)


def cut_and_mix(
    x: Tensor,
    y: Tensor,
    generator: Generator | Sequence[Generator],
    alpha: float | Tensor,
    signal: bool,
    lead: int = 0,
) -> tuple[Tensor, Mixed]:
    """Take a part of the rows from others of the batch; each row keeps both targets."""
    cut = 1 - drawn_share(alpha, generator)
    batch, features, *space = x.shape[lead:]
    draw = drawn(torch.rand, max(features, 2), generator, dtype=cut.dtype)
    other = drawn(torch.randperm, batch, generator)
    if len(space) == 2:
        rows = cut_span(space[0], cut.sqrt(), draw[..., 0])
        columns = cut_span(space[1], cut.sqrt(), draw[..., 1])
        part = (rows[..., None] & columns[..., None, :])[..., None, None, :, :]
    elif len(space) == 1:
        part = cut_span(space[0] if signal else features, cut, draw[..., 0])
        part = part[..., None, None, :] if signal else part[..., None, :, None]
    else:
        part = (draw[..., :features] < cut[..., None])[..., None, :]
    share = (1 - part.to(cut).flatten(lead).mean(dim=-1)).to(x)
    mixed = torch.where(part.to(x.device), picked(x, other, lead), x)
    return mixed, Mixed(y, picked(y, other, lead), share)
