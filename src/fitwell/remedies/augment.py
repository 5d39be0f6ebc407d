"""Random changes to the training batches that leave the targets true."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Generator, Tensor

from fitwell.errors import BadInput, NotApplicable, in_range, require
from fitwell.interfaces import Plain, Remedy, Stage
from fitwell.records import Anatomy, Edit

_KIND_OF_DIMENSIONS: Mapping[int, str] = {2: "table", 3: "sequence", 4: "image"}
KINDS = ("auto", "image", "table", "bag", "sequence")
"""Kinds of data that :class:`Augment` knows."""


@final
@dataclass(frozen=True, slots=True)
class Augment(Remedy):
    """Show the network a slightly different batch each time; targets stay as they are.

    At strength 1, images ``(batch, channels, height, width)`` are turned by up to 30°, shifted and
    zoomed by up to a fifth, a rectangle is blanked in half of them, and noise of a tenth of the
    batch's deviation is added. In tables ``(batch, features)`` the same noise is added to what is
    not zero, and a fifth of the entries is taken from other rows. In bags ``(batch, words)`` a
    fifth of the words is dropped. In sequences ``(batch, steps, features)`` noise is added, and a
    span of up to three tenths of the steps is blanked. Strength scales all of it. A whole batch is
    done at once, on its device.

    Args:
        strength: Dose, in (0, 1].
        kind: ``"image"``, ``"table"``, ``"bag"``, ``"sequence"``, or ``"auto"``: by the number of
            dimensions, with a table for two.
        flip: Whether half of the images are mirrored left to right. Digits must not be.

    Raises:
        ThresholdError: If the strength is out of range.
        NotApplicable: On ``edit``, if the network reads numbers of words or the like.
        BadInput: If the kind is unknown, or on ``on_batch``, if the batch is not of that kind.
        MissingExtra: On ``on_batch``, for images, if kornia is not installed.

    References:
        Simard et al., "Best Practices for Convolutional Neural Networks", ICDAR 2003 (images).
        Zhong et al., "Random Erasing Data Augmentation", 2017, arXiv:1708.04896.
        Yoon et al., "VIME", NeurIPS 2020 (tables). Iyyer et al., ACL 2015 (word dropout).
    """

    stage: ClassVar[Stage] = Stage.BATCH

    strength: float = 0.5
    kind: str = "auto"
    flip: bool = False

    def __post_init__(self) -> None:
        in_range("strength", self.strength, 0.0, 1.0, open_low=True)
        if self.kind not in KINDS:
            raise BadInput(
                f"Unknown kind of data {self.kind!r}: expected one of {', '.join(KINDS)}."
            )

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Change nothing of the network, but refuse one that begins with an embedding."""
        readers = [node for node in anatomy.nodes if -1 in node.inputs]
        for node in readers:
            if "embedding" in node.slug:
                raise NotApplicable(
                    "The network reads numbers of words or the like, which have no neighbours to "
                    f"move to: {node.path} is an {node.kind}."
                )
        return ()

    def on_batch(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return the changed batch and the same targets."""
        expected = {kind: count for count, kind in _KIND_OF_DIMENSIONS.items()} | {"bag": 2}
        count = x.dim() if isinstance(x, Tensor) and x.is_floating_point() else 0
        kind = _KIND_OF_DIMENSIONS.get(count, "") if self.kind == "auto" else self.kind
        if count != expected.get(kind):
            raise BadInput(
                "Augment needs a batch of floating-point images (4 dimensions), sequences (3) or "
                f"rows (2): got {_described(x)} for kind {self.kind!r}."
            )
        if kind == "image":
            require("kornia.geometry.transform")
        plain = self._function(kind)
        x, y = plain.function(x, y, generator, **plain.args)
        return x, y

    def _function(self, kind: str) -> Plain:
        if kind == "image":
            return Plain(augment_images, {"strength": self.strength, "flip": self.flip})
        functions: Mapping[str, Callable[..., Any]] = {
            "table": augment_rows,
            "bag": drop_words,
            "sequence": augment_sequences,
        }
        return Plain(functions[kind], {"strength": self.strength})

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam."""
        if self.kind != "auto":
            return {"on_batch": self._function(self.kind)}
        needs = (augment_images, augment_rows, augment_sequences)
        args = {"strength": self.strength, "flip": self.flip}
        return {"on_batch": Plain(augment_by_shape, args, needs)}


def _described(x: object) -> str:
    return f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__


def augment_by_shape(
    x: Tensor, y: Tensor, generator: Generator, strength: float, flip: bool
) -> tuple[Tensor, Tensor]:
    """Take 4 dimensions for images, 3 for sequences and 2 for rows of a table."""
    if x.dim() == 4:
        return augment_images(x, y, generator, strength=strength, flip=flip)
    change = augment_sequences if x.dim() == 3 else augment_rows
    return change(x, y, generator, strength=strength)


def augment_images(
    x: Tensor, y: Tensor, generator: Generator, strength: float, flip: bool
) -> tuple[Tensor, Tensor]:
    """Turn, shift, zoom, blank in part and add noise to images (batch, channels, height, width)."""
    from kornia.geometry.transform import warp_affine

    batch, _, height, width = x.shape
    device = generator.device
    draw = torch.rand(batch, 10, generator=generator, device=device).to(x.device)
    noise = torch.randn(x.shape, generator=generator, device=device).to(x)
    signed = 2.0 * draw[:, :4] - 1.0
    size = torch.tensor([width, height], device=x.device)
    angle = signed[:, 0] * strength * torch.pi / 6
    zoom = 1.0 + 0.2 * strength * signed[:, 1]
    mirror = torch.where(draw[:, 4] < 0.5, -1.0, 1.0) if flip else torch.ones_like(zoom)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    turn = torch.stack([cos * mirror, -sin, sin * mirror, cos], dim=1).view(batch, 2, 2)
    center = (size - 1) / 2
    shift = center - turn @ center + 0.2 * strength * signed[:, 2:4] * size
    moved = warp_affine(
        x.float(),
        torch.cat([turn, shift[:, :, None]], dim=2),
        (height, width),
        padding_mode="border",
    ).to(x.dtype)

    sides = size * (0.15 + 0.35 * draw[:, 5:7])
    low = draw[:, 7:9] * (size - sides)
    sides = torch.where(draw[:, 9:] < 0.5 * strength, sides, 0.0)
    columns = torch.arange(width, device=x.device) - low[:, :1]
    rows = torch.arange(height, device=x.device) - low[:, 1:]
    blank_columns = (columns >= 0) & (columns < sides[:, :1])
    blank_rows = (rows >= 0) & (rows < sides[:, 1:])
    blank = blank_rows[:, None, :, None] & blank_columns[:, None, None, :]
    erased = torch.where(blank, moved.mean(dim=(2, 3), keepdim=True), moved)
    return erased + noise * (0.1 * strength * x.std(correction=0)), y


def augment_rows(
    x: Tensor, y: Tensor, generator: Generator, strength: float
) -> tuple[Tensor, Tensor]:
    """Add noise to what is not zero, and take some entries of (batch, features) from other rows."""
    device = generator.device
    noise = torch.randn(x.shape, generator=generator, device=device).to(x)
    swap = torch.rand(x.shape, generator=generator, device=device).to(x.device) < 0.2 * strength
    other = torch.randperm(len(x), generator=generator, device=device).to(x.device)
    noisy = x + noise * (x != 0) * (0.1 * strength * x.std(dim=0, correction=0))
    return torch.where(swap, x[other], noisy), y


def drop_words(
    x: Tensor, y: Tensor, generator: Generator, strength: float
) -> tuple[Tensor, Tensor]:
    """Set some entries of bags of words (batch, words) to zero."""
    drawn = torch.rand(x.shape, generator=generator, device=generator.device).to(x.device)
    return x * (drawn >= 0.2 * strength), y


def augment_sequences(
    x: Tensor, y: Tensor, generator: Generator, strength: float
) -> tuple[Tensor, Tensor]:
    """Add noise to sequences (batch, steps, features), and blank a span of steps."""
    batch, steps, _ = x.shape
    device = generator.device
    noise = torch.randn(x.shape, generator=generator, device=device).to(x)
    draw = torch.rand(batch, 2, generator=generator, device=device).to(x.device)
    length = draw[:, :1] * 0.3 * strength * steps
    place = torch.arange(steps, device=x.device) - draw[:, 1:] * (steps - length)
    blank = (place >= 0) & (place < length)
    noisy = x + noise * (0.1 * strength * x.std(dim=(0, 1), correction=0))
    return torch.where(blank[:, :, None], 0.0, noisy), y
