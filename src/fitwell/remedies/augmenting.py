"""What augmentation does to a batch: pure functions, which printed code carries along."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


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
    device = generator.device
    draw = torch.rand(len(x), 10, generator=generator, device=device).to(x.device)
    noise = torch.randn(x.shape, generator=generator, device=device).to(x)
    signed = 2.0 * draw[:, :4] - 1.0
    size = torch.tensor([x.shape[3], x.shape[2]], device=x.device)
    moved = move_images(
        x,
        angle=signed[:, 0] * strength * torch.pi / 6,
        zoom=1.0 + 0.2 * strength * signed[:, 1],
        mirror=draw[:, 4] < (0.5 if flip else 0.0),
        shift=0.2 * strength * signed[:, 2:4] * size,
    )
    sides = size * (0.15 + 0.35 * draw[:, 5:7])
    low = draw[:, 7:9] * (size - sides)
    sides = torch.where(draw[:, 9:] < 0.5 * strength, sides, 0.0)
    erased = erase(moved, low, sides, moved.mean(dim=(2, 3), keepdim=True))
    return erased + noise * (0.1 * strength * x.std(correction=0)), y


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
    """Warp sequences (batch, steps, features) in time, add noise, and blank a span of steps."""
    batch, steps, _ = x.shape
    device = generator.device
    noise = torch.randn(x.shape, generator=generator, device=device).to(x)
    draw = torch.rand(batch, 6, generator=generator, device=device).to(x.device)
    length = draw[:, :1] * 0.3 * strength * steps
    place = torch.arange(steps, device=x.device) - draw[:, 1:2] * (steps - length)
    blank = (place >= 0) & (place < length)
    warped = warp_time(x, 1.0 + 0.5 * strength * (2.0 * draw[:, 2:] - 1.0))
    noisy = warped + noise * (0.1 * strength * x.std(dim=(0, 1), correction=0))
    return torch.where(blank[:, :, None], 0.0, noisy), y


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
    x: Tensor, y: Tensor, generator: Generator, strength: float
) -> tuple[Tensor, Tensor]:
    """Do the same to signals (batch, channels, steps)."""
    changed, y = augment_sequences(x.transpose(1, 2), y, generator, strength=strength)
    return changed.transpose(1, 2), y
