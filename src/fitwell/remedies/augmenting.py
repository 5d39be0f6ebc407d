"""What augmentation does to a batch: pure functions, which printed code carries along."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from fitwell.remedies.leading import along, drawn, picked


def deviation(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the standard deviation over some axes, so that it broadcasts."""
    count = math.prod(x.shape[axis] for axis in axes)
    centred = x - x.mean(dim=axes, keepdim=True)
    norm: Tensor = torch.linalg.vector_norm(centred, dim=axes, keepdim=True)
    return norm / math.sqrt(count)


def augment_by_shape(
    x: Tensor,
    y: Tensor,
    generator: Generator | Sequence[Generator],
    strength: float | Tensor,
    flip: bool,
    lead: int = 0,
) -> tuple[Tensor, Tensor]:
    """Take 4 dimensions for images, 3 for sequences and 2 for rows of a table."""
    if x.dim() == lead + 4:
        return augment_images(x, y, generator, strength=strength, flip=flip, lead=lead)
    change = augment_sequences if x.dim() == lead + 3 else augment_rows
    return change(x, y, generator, strength=strength, lead=lead)


def augment_images(
    x: Tensor,
    y: Tensor,
    generator: Generator | Sequence[Generator],
    strength: float | Tensor,
    flip: bool,
    lead: int = 0,
) -> tuple[Tensor, Tensor]:
    """Turn, shift, zoom, blank in part and add noise to images (batch, channels, height, width)."""
    draw = drawn(torch.rand, (x.shape[lead], 10), generator).to(x.device)
    noise = drawn(torch.randn, x.shape[lead:], generator).to(x)
    signed = 2.0 * draw[..., :4] - 1.0
    size = torch.tensor([x.shape[-1], x.shape[-2]], device=x.device)
    most = along(0.2 * strength, draw, lead)
    angle = signed[..., :1] * along(strength, draw, lead) * torch.pi / 6
    moved = move_images(
        x.flatten(0, lead),
        angle=angle.flatten(),
        zoom=(1.0 + most * signed[..., 1:2]).flatten(),
        mirror=(draw[..., 4] < (0.5 if flip else 0.0)).flatten(),
        shift=(most * signed[..., 2:] * size).flatten(0, lead),
    )
    sides = size * (0.15 + 0.35 * draw[..., 5:7])
    low = (draw[..., 7:9] * (size - sides)).flatten(0, lead)
    blanked = draw[..., 9:] < along(0.5 * strength, draw, lead)
    sides = torch.where(blanked, sides, 0.0).flatten(0, lead)
    erased = erase(moved, low, sides, moved.mean(dim=(2, 3), keepdim=True)).view(x.shape)
    spread = deviation(x, tuple(range(lead, x.dim())))
    return erased + noise * (along(0.1 * strength, x, lead) * spread), y


def move_images(x: Tensor, angle: Tensor, zoom: Tensor, mirror: Tensor, shift: Tensor) -> Tensor:
    """Mirror, zoom and turn images about their centre, and shift them by (x, y)."""
    from kornia.geometry.transform import warp_affine

    height, width = x.shape[2:]
    side = torch.where(mirror, -1.0, 1.0)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    turn = torch.stack([cos * side, -sin, sin * side, cos], dim=1).view(-1, 2, 2)
    center = (torch.tensor([width, height], device=x.device) - 1) / 2
    offset = center - turn @ center + shift
    matrix = torch.cat([turn, offset[:, :, None]], dim=2)
    moved: Tensor = warp_affine(x.float(), matrix, (height, width), padding_mode="border")
    return moved.to(x.dtype)


def erase(x: Tensor, low: Tensor, sides: Tensor, value: Tensor) -> Tensor:
    """Fill a rectangle of each image, given by its corner and sides as (x, y), with a value."""
    columns = torch.arange(x.shape[3], device=x.device) - low[:, :1]
    rows = torch.arange(x.shape[2], device=x.device) - low[:, 1:]
    blank_columns = (columns >= 0) & (columns < sides[:, :1])
    blank_rows = (rows >= 0) & (rows < sides[:, 1:])
    return torch.where(blank_rows[:, None, :, None] & blank_columns[:, None, None, :], value, x)


def augment_rows(
    x: Tensor,
    y: Tensor,
    generator: Generator | Sequence[Generator],
    strength: float | Tensor,
    lead: int = 0,
) -> tuple[Tensor, Tensor]:
    """Add noise to what is not zero, and take some entries of (batch, features) from other rows."""
    noise = drawn(torch.randn, x.shape[lead:], generator).to(x)
    draw = drawn(torch.rand, x.shape[lead:], generator).to(x.device)
    other = drawn(torch.randperm, x.shape[lead], generator)
    spread = deviation(x, (lead,))
    noisy = x + noise * (x != 0) * (along(0.1 * strength, x, lead) * spread)
    return torch.where(draw < along(0.2 * strength, draw, lead), picked(x, other, lead), noisy), y


def drop_words(
    x: Tensor,
    y: Tensor,
    generator: Generator | Sequence[Generator],
    strength: float | Tensor,
    lead: int = 0,
) -> tuple[Tensor, Tensor]:
    """Set some entries of bags of words (batch, words) to zero."""
    draw = drawn(torch.rand, x.shape[lead:], generator).to(x.device)
    return x * (draw >= along(0.2 * strength, draw, lead)), y


def augment_sequences(
    x: Tensor,
    y: Tensor,
    generator: Generator | Sequence[Generator],
    strength: float | Tensor,
    lead: int = 0,
) -> tuple[Tensor, Tensor]:
    """Warp sequences (batch, steps, features) in time, add noise, and blank a span of steps."""
    batch, steps = x.shape[lead], x.shape[lead + 1]
    noise = drawn(torch.randn, x.shape[lead:], generator).to(x)
    draw = drawn(torch.rand, (batch, 6), generator).to(x.device)
    length = draw[..., :1] * 0.3 * along(strength, draw, lead) * steps
    place = torch.arange(steps, device=x.device) - draw[..., 1:2] * (steps - length)
    blank = (place >= 0) & (place < length)
    speed = 1.0 + along(0.5 * strength, draw, lead) * (2.0 * draw[..., 2:] - 1.0)
    warped = warp_time(x.flatten(0, lead), speed.flatten(0, lead)).view(x.shape)
    spread = deviation(x, (lead, lead + 1))
    noisy = warped + noise * (along(0.1 * strength, x, lead) * spread)
    return torch.where(blank[..., None], 0.0, noisy), y


def warp_time(x: Tensor, speed: Tensor) -> Tensor:
    """Run through sequences (batch, steps, features) at a changing speed, from end to end.

    The speed (batch, knots) is that at equal distances, with straight lines between; what falls
    between two steps is interpolated.
    """
    steps, knots = x.shape[1], speed.shape[1]
    if steps < 2:
        return x
    at = torch.linspace(0.0, knots - 1.0, steps - 1, device=x.device)
    low = at.floor().long().clamp(max=knots - 2)
    pace = torch.lerp(speed[:, low], speed[:, low + 1], at - low)
    place = torch.nn.functional.pad(pace.cumsum(dim=1), (1, 0))
    place = place * ((steps - 1) / place[:, -1:])
    before = place.floor().long().clamp(max=steps - 2)
    part = (place - before).to(x.dtype)[:, :, None]
    index = before[:, :, None].expand_as(x)
    return torch.lerp(x.gather(1, index), x.gather(1, index + 1), part.expand_as(x))


def augment_signals(
    x: Tensor,
    y: Tensor,
    generator: Generator | Sequence[Generator],
    strength: float | Tensor,
    lead: int = 0,
) -> tuple[Tensor, Tensor]:
    """Do the same to signals (batch, channels, steps)."""
    turned = x.transpose(-1, -2)
    changed, y = augment_sequences(turned, y, generator, strength=strength, lead=lead)
    return changed.transpose(-1, -2), y
