"""A folder of images, one subfolder a class, as a task."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fitwell.errors import TaskError
from fitwell.tasks.data import Data, Split
from fitwell.tasks.models import small_cnn
from fitwell.tasks.preparing import SHARES, enough, listed, split_keeping_copies
from fitwell.tasks.splits import copies
from fitwell.tasks.task import Task
from fitwell.words import say, say_many

LARGEST = 64
"""Longest side in pixels that images are reduced to, so that a study stays affordable."""

SMALLEST = 8
"""Shortest side that the network takes."""

_SIDES = {
    "train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2, "testing": 2,
}  # fmt: skip


@final
@dataclass
class _Found:
    """Images of a folder as they were read, and what was wrong with the others."""

    pictures: list[Image.Image]
    sizes: list[tuple[int, int]]
    labels: list[int]
    broken: list[str]


def from_folder(folder: Path, *, seed: int = 0) -> Task:
    """Make a task of a folder with one subfolder of images a class.

    Args:
        folder: The folder.
        seed: Seed of the split.

    Raises:
        TaskError: If there are too few images or classes, or all images are broken.
    """
    data = image_data(folder, seed)
    batch_size = 32 if len(data.train) <= 2000 else 64
    return Task(
        folder.resolve().name,
        partial(small_cnn, data.train.x.shape[1], len(data.classes)),
        data,
        "cross_entropy",
        "accuracy",
        batch_size=batch_size,
        epochs=min(40, max(5, 1500 * batch_size // max(1, len(data.train)))),
        description=say("Tell apart {classes} classes of images.", classes=len(data.classes)),
    )


def image_data(folder: Path, seed: int) -> Data:
    """Read, resize and split the images of a folder; pixels are in [0, 1].

    Raises:
        TaskError: If they cannot be learned from.
    """
    classes = _classes(folder)
    found = _read(folder, classes)
    notes = _on_broken(found, folder)
    labels = np.array(found.labels)
    names = [name for number, name in enumerate(classes) if number in set(found.labels)]
    empty = sorted(set(classes) - set(names))
    if empty:
        notes.append(
            say("Folders without a readable image were passed over: {names}.", names=listed(empty))
        )
    labels = np.unique(labels, return_inverse=True)[1]
    if len(names) < 2:
        raise TaskError(
            f"At least two classes are needed, but all {len(labels)} images in {folder} are of "
            f"class {names[0]!r}: give one subfolder a class."
        )
    enough(len(labels), labels, names)
    pixels, said = _alike(found)
    same = copies(picture.tobytes() for picture in pixels)
    sides, on_copies = split_keeping_copies(labels, same, SHARES, seed)
    x = torch.from_numpy(pixels).float().div(255)
    y = torch.from_numpy(labels)
    train, validation, test = (Split(x[rows], y[rows]) for rows in map(torch.from_numpy, sides))
    said = [*notes, *said, *on_copies]
    return Data(train, validation, test, "image", tuple(names), tuple(said))


def _classes(folder: Path) -> list[str]:
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise TaskError(
            f"{folder} has no subfolders: put the images of each class into a folder of its own."
        )
    if all(name.lower() in _SIDES for name in names):
        raise TaskError(
            f"{folder} holds {', '.join(names)} instead of classes: give the folder with one "
            f"subfolder a class, such as {folder / names[0]}; the split is made here."
        )
    return names


def _read(folder: Path, classes: list[str]) -> _Found:
    """Read every file with the suffix of an image below each class's folder."""
    suffixes = set(Image.registered_extensions())
    found = _Found([], [], [], [])
    for number, name in enumerate(classes):
        for path in sorted((folder / name).rglob("*")):
            if path.suffix.lower() not in suffixes or path.name.startswith("."):
                continue
            picture = _opened(path)
            if picture is None:
                found.broken.append(str(path.relative_to(folder)))
            else:
                found.sizes.append(picture.size)
                picture.thumbnail((LARGEST, LARGEST))  # large photographs would fill the memory
                found.pictures.append(picture)
                found.labels.append(number)
    return found


def _opened(path: Path) -> Image.Image | None:
    """Read one image, or return None if it is broken."""
    try:
        with warnings.catch_warnings(), Image.open(path) as file:
            warnings.simplefilter("ignore")  # what Pillow works around is not the user's concern
            picture = ImageOps.exif_transpose(file)
            return _plain(picture)
    # What Pillow raises for broken files, by format; SyntaxError is its word for a bad PNG.
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, EOFError, MemoryError):
        return None
    except Image.DecompressionBombError:
        return None


def _plain(picture: Image.Image) -> Image.Image:
    """As 8-bit grey or colour, reduced in size; transparency becomes white."""
    if picture.mode.startswith("I"):  # 16 bits a pixel
        values = np.asarray(picture).astype(np.float64)
        picture = Image.fromarray((values / 257).clip(0, 255).astype(np.uint8))
    elif picture.mode in ("1", "F"):
        picture = picture.convert("L")
    elif picture.mode not in ("L", "RGB"):
        layered = picture.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        grey = picture.mode in ("LA", "La")
        picture = Image.alpha_composite(white, layered).convert("L" if grey else "RGB")
    picture.load()
    return picture.copy()


def _on_broken(found: _Found, folder: Path) -> list[str]:
    if not found.pictures:
        if found.broken:
            raise TaskError(
                f"All {len(found.broken)} images in {folder} are broken: {listed(found.broken)}; "
                "give images that a viewer opens."
            )
        raise TaskError(f"No image in the subfolders of {folder}: give PNG, JPEG or the like.")
    if not found.broken:
        return []
    return [
        say_many(
            "{number} broken image was skipped: {names}.",
            "{number} broken images were skipped: {names}.",
            len(found.broken),
            names=listed(found.broken),
        )
    ]


def _alike(found: _Found) -> tuple[NDArray[np.uint8], list[str]]:
    """Bring all images to one size and mode.

    Returns:
        Pixels (rows, channels, height, width), and what was done, as sentences.
    """
    sizes = Counter(found.sizes)
    modes = Counter(picture.mode for picture in found.pictures)
    width, height = max(sizes, key=lambda size: (sizes[size], size))
    factor = min(1.0, LARGEST / max(width, height))
    size = (max(SMALLEST, round(width * factor)), max(SMALLEST, round(height * factor)))
    mode = "RGB" if "RGB" in modes else "L"
    said: list[str] = []
    if set(sizes) != {size}:
        said.append(
            say_many(
                "Images of one size ({range}) were resized to {width} × {height} pixels.",
                "Images of {number} sizes ({range}) were resized to {width} × {height} pixels.",
                len(sizes),
                range=_range(sizes),
                width=size[0],
                height=size[1],
            )
        )
    if len(modes) > 1:
        said.append(
            say(
                "{grey} grey images among {colour} in colour were made RGB.",
                grey=modes["L"],
                colour=modes["RGB"],
            )
        )
    ready = [np.asarray(_sized(picture, size).convert(mode)) for picture in found.pictures]
    stacked = np.stack(ready)  # (rows, height, width) or (rows, height, width, channels)
    channels_first = stacked[:, None] if mode == "L" else stacked.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(channels_first), said


def _sized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if picture.size == size:
        return picture
    return picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _range(sizes: Counter[tuple[int, int]]) -> str:
    ordered = sorted(sizes, key=lambda size: size[0] * size[1])
    first, last = ordered[0], ordered[-1]
    smallest = f"{first[0]} × {first[1]}"
    if first == last:
        return smallest
    return say("{low} to {high}", low=smallest, high=f"{last[0]} × {last[1]}")
