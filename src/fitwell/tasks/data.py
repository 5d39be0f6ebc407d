"""What a task trains on, prepared: three splits of tensors, and what was done to get them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, final

from torch import Tensor

if TYPE_CHECKING:
    from fitwell.tasks.preprocess import Preprocess

Kind: TypeAlias = Literal["image", "table", "sequence", "bag", "other"]


@final
@dataclass(frozen=True, eq=False)
class Split:
    """Rows of one side of a split.

    Args:
        x: Inputs, one row of the first axis each; float32, or long for token ids.
        y: Targets: class numbers (rows,) as long, or numbers (rows, outputs) as float32.
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.x)


@final
@dataclass(frozen=True, eq=False)
class Data:
    """Prepared data of a task.

    Args:
        train: Rows to learn from.
        validation: Rows that choices are made on.
        test: Rows that only the final proof reads.
        kind: What the rows are.
        classes: Names of the classes in the order of their numbers; empty for numbers.
        notes: What was done to the data, as sentences.
        preprocess: How raw rows of a table become inputs, or None.
    """

    train: Split
    validation: Split
    test: Split
    kind: Kind
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    preprocess: Preprocess | None = None

    @property
    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {"training": self.train, "validation": self.validation, "test": self.test}

    @property
    def fingerprint(self) -> str:
        """Digest of all tensors and class names: equal for equal data, on any machine."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for split in self.splits.values():
            for tensor in (split.x, split.y):
                array = tensor.detach().cpu().contiguous().numpy()
                digest.update(f"{array.dtype}{array.shape}".encode())
                digest.update(array.tobytes())
        return digest.hexdigest()[:16]


def kind_of(x: Tensor) -> Kind:
    """Tell what rows are by their shape.

    (rows, channels, height, width) is an image, (rows, steps, features) and integer
    (rows, steps) a sequence, (rows, features) a table.
    """
    if not x.is_floating_point():
        return "sequence" if x.ndim == 2 else "other"
    kinds: dict[int, Kind] = {2: "table", 3: "sequence", 4: "image"}
    return kinds.get(x.ndim, "other")
