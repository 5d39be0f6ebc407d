"""Folders of images: read whatever is readable, and say what was not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fitwell.errors import TaskError
from fitwell.tasks import load


def save(path: Path, seed: int, size: tuple[int, int] = (12, 10), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": (), "RGB": (3,), "RGBA": (4,), "P": ()}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *channels), "uint8")
    picture = Image.fromarray(pixels)
    (picture.convert("P") if mode == "P" else picture).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(40):
        save(tmp_path / "shapes" / "ab"[number % 2] / f"{number}.png", number)
    return tmp_path / "shapes"


def test_a_folder_of_images_becomes_a_task_that_passes_its_check(folder: Path) -> None:
    task = load(str(folder))
    task.check()
    assert (task.name, task.data.classes, task.data.kind) == ("shapes", ("a", "b"), "image")
    assert task.data.train.x.shape == (24, 1, 10, 12)
    assert 0 <= float(task.data.train.x.min()) < 0.05 < 0.95 < float(task.data.train.x.max()) <= 1
    assert task.data.notes == ()


def test_broken_images_are_named_counted_and_skipped(folder: Path) -> None:
    (folder / "a" / "empty.png").write_bytes(b"")
    good = (folder / "a" / "0.png").read_bytes()
    (folder / "b" / "cut.png").write_bytes(good[: len(good) // 2])
    (folder / "b" / "text.jpg").write_text("no image")
    (folder / "b" / "notes.txt").write_text("passed over: it does not claim to be an image")
    data = load(str(folder)).data
    assert "3 broken images were skipped: a/empty.png, b/cut.png, b/text.jpg." in data.notes
    assert sum(len(split) for split in data.splits.values()) == 40


def test_mixed_sizes_and_modes_are_brought_together_and_said(folder: Path) -> None:
    save(folder / "a" / "wide.png", 100, (30, 20))
    save(folder / "b" / "colour.png", 101, mode="RGB")
    save(folder / "b" / "clear.png", 102, mode="RGBA")
    save(folder / "b" / "palette.png", 103, mode="P")
    data = load(str(folder)).data
    assert data.train.x.shape[1:] == (3, 10, 12)
    assert "Images of 2 sizes (12 × 10 to 30 × 20) were resized to 12 × 10 pixels." in data.notes
    assert "41 grey images among 3 in colour were made RGB." in data.notes


def test_large_images_are_reduced(tmp_path: Path) -> None:
    for number in range(30):
        save(tmp_path / "ab"[number % 2] / f"{number}.png", number, (128, 96))
    data = load(str(tmp_path)).data
    assert data.train.x.shape[1:] == (1, 48, 64)
    assert any("resized to 64 × 48" in note for note in data.notes)


def test_equal_images_stay_on_one_side(folder: Path) -> None:
    for number in range(10):
        save(folder / "a" / f"copy{number}.png", 2 * number)
    data = load(str(folder)).data
    held = [{row.tobytes() for row in s.x.numpy()} for s in data.splits.values()]
    assert sum(map(len, held)) == len(set.union(*held))


def test_one_class_only_is_refused(folder: Path) -> None:
    for path in (folder / "b").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(TaskError, match=r"all 20 images in .* are of class 'a'"):
        load(str(folder))


def test_broken_images_alone_are_refused(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(TaskError, match=r"All 40 images in .* are broken: a/0.png"):
        load(str(folder))


def test_a_folder_without_subfolders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="has no subfolders"):
        load(str(tmp_path))


def test_a_folder_that_is_split_already_is_refused_with_what_to_give(tmp_path: Path) -> None:
    for side in ("train", "test"):
        save(tmp_path / side / "a" / "0.png", 0)
    with pytest.raises(TaskError, match="holds test, train instead of classes"):
        load(str(tmp_path))


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(TaskError, match="No image in the subfolders"):
        load(str(tmp_path))
