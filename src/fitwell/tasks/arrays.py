"""What users hand over - datasets, tensors, arrays, data frames - as inputs and targets."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from fitwell.errors import TaskError
from fitwell.tasks.losses import Targets

Given: TypeAlias = "tuple[Any, Any] | list[Any] | Dataset[Any]"
"""(X, y) of tensors, arrays or data frames, or a map-style dataset of (x, y) pairs."""


@final
@dataclass(frozen=True, eq=False)
class Raw:
    """Inputs and targets as handed over, checked for equal length and finite inputs."""

    x: Tensor
    y: Tensor | NDArray[Any]

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, chosen: NDArray[Any]) -> Raw:
        """Return the rows of these numbers."""
        return Raw(self.x[torch.from_numpy(chosen)], self.y[chosen])


def raw(given: Given, side: str) -> Raw:
    """Read what a user gave for one side of the split.

    Args:
        given: (X, y), or a map-style dataset of pairs.
        side: ``"training"``, ``"validation"`` or ``"test"``, for messages.

    Raises:
        TaskError: If it is of another form, empty, of unequal lengths or not finite.
    """
    x, y = _pair(given, side)
    inputs, targets = _inputs(x, side), _targets(y)
    if inputs.ndim == 0 or targets.ndim == 0:
        raise TaskError(f"The {side} data need one row a sample, got a single number.")
    if len(inputs) != len(targets):
        raise TaskError(
            f"X and y of the {side} data must be of equal length, "
            f"got {len(inputs)} and {len(targets)} rows."
        )
    if len(inputs) == 0:
        raise TaskError(
            f"The {side} data are empty: give at least one row, or leave them out to have "
            "them split off from the training data."
        )
    _refuse_non_finite(inputs, f"Inputs of the {side} data")
    if isinstance(targets, Tensor):
        _refuse_non_finite(targets, f"Targets of the {side} data")
    return Raw(inputs, targets)


def _pair(given: Given, side: str) -> tuple[Any, Any]:
    if isinstance(given, DataLoader):
        raise TaskError(f"The {side} data are a DataLoader: give its dataset, loader.dataset.")
    if isinstance(given, IterableDataset):
        raise TaskError(
            f"The {side} data are an iterable dataset, whose rows cannot be split or counted: "
            "give a map-style dataset or (X, y)."
        )
    if isinstance(given, TensorDataset) and len(given.tensors) == 2:
        return given.tensors[0], given.tensors[1]
    if isinstance(given, tuple | list) and len(given) == 2:
        return given[0], given[1]
    if isinstance(given, Dataset) and hasattr(given, "__getitem__") and isinstance(given, Sized):
        return _collected(given, side)
    raise TaskError(
        f"The {side} data must be (X, y) or a map-style dataset of (x, y) pairs, "
        f"got {_described(given)}."
    )


def _collected(dataset: Any, side: str) -> tuple[Any, Any]:
    """Read every row of a dataset once."""
    rows = [dataset[i] for i in range(len(dataset))]
    for number, row in enumerate(rows):
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise TaskError(
                f"The {side} dataset must give (x, y) pairs, but row {number} is {_described(row)}."
            )
    if not rows:
        return torch.empty(0, 1), torch.empty(0)
    if not isinstance(rows[0][0], Tensor | np.ndarray | np.generic | float | int | list | tuple):
        raise TaskError(
            f"The {side} dataset must give tensors, arrays or numbers as x, "
            f"got {_described(rows[0][0])}: add a transform, such as torchvision's ToTensor()."
        )
    inputs = [torch.as_tensor(x) for x, _ in rows]
    for number, x in enumerate(inputs):
        if x.shape != inputs[0].shape:
            raise TaskError(
                f"Rows of the {side} dataset must have one shape, got {tuple(inputs[0].shape)} "
                f"in row 0 and {tuple(x.shape)} in row {number}: resize or pad them."
            )
    targets = [y for _, y in rows]
    if isinstance(targets[0], Tensor | np.ndarray):
        return torch.stack(inputs), torch.stack([torch.as_tensor(y) for y in targets])
    return torch.stack(inputs), np.asarray(targets)


def _inputs(x: Any, side: str) -> Tensor:
    """As a real tensor, float32 or of its own integer type."""
    if _is_frame(x):
        x = _numbers_of_frame(x, side)
    if isinstance(x, dict):
        raise TaskError(
            f"The {side} inputs are a dict: give one tensor, and take it apart in the model."
        )
    if isinstance(x, Tensor):
        tensor = x.detach()
    else:
        x = _array(x, side)
        if x.dtype.kind not in "fiub":
            raise TaskError(
                f"The {side} inputs must be numbers, got an array of {x.dtype}: encode them, "
                "or give the table to fitwell.tasks.from_frame(frame, column)."
            )
        tensor = torch.from_numpy(np.ascontiguousarray(x.astype(_torch_type(x.dtype))))
    if tensor.is_complex():
        raise TaskError(f"The {side} inputs must be real numbers, got {tensor.dtype}.")
    dense = tensor.to_dense() if tensor.layout != torch.strided else tensor
    return dense.float() if dense.is_floating_point() else dense


def _array(values: Any, side: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise TaskError(
            f"Rows of the {side} inputs must have one length, got a ragged list: pad them."
        ) from error


def _torch_type(dtype: np.dtype[Any]) -> str:
    """The nearest type that torch has, in the machine's byte order."""
    if dtype.kind == "f":
        return "float32" if dtype.itemsize <= 4 else "float64"
    return {"b": "bool", "u": "uint8" if dtype.itemsize == 1 else "int64"}.get(dtype.kind, "int64")


def _is_frame(x: object) -> bool:
    return type(x).__module__.partition(".")[0] in {"pandas", "polars"} and hasattr(x, "columns")


def _numbers_of_frame(frame: Any, side: str) -> NDArray[Any]:
    """The values of a data frame all of whose columns are numbers, as they are."""
    names = [str(name) for name in frame.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TaskError(f"The {side} data frame has duplicate column names: {', '.join(repeated)}.")
    values = {
        name: np.asarray(frame[column]) for name, column in zip(names, frame.columns, strict=True)
    }
    other = [name for name, column in values.items() if column.dtype.kind not in "fiub"]
    if other:
        raise TaskError(
            f"The {side} data frame has columns that are not numbers: {', '.join(other)}. "
            "Encode them, or give the whole table to fitwell.tasks.from_frame(frame, column)."
        )
    return np.column_stack(list(values.values()))


def _targets(y: Any) -> Tensor | NDArray[Any]:
    """As a tensor of numbers, or as an array of names."""
    if isinstance(y, Tensor):
        return y.detach()
    array = np.asarray(y)
    if array.dtype.kind == "O" and not any(isinstance(value, str) for value in array.flat):
        array = np.asarray(
            [np.nan if value is None else value for value in array.flat], dtype=float
        )
    if array.dtype.kind in "fiub":
        return torch.from_numpy(np.ascontiguousarray(array.astype(_torch_type(array.dtype))))
    missing = [i for i, value in enumerate(array.flat) if value is None or value != value]
    if missing:
        raise TaskError(
            f"Targets must not be missing, but {len(missing)} are (first: row {missing[0]}): "
            "drop those rows."
        )
    return array.astype(str)


def _refuse_non_finite(values: Tensor, what: str) -> None:
    if not values.is_floating_point() or bool(values.isfinite().all()):
        return
    bad = (~values.isfinite()).nonzero()
    first = tuple(bad[0].tolist())
    raise TaskError(
        f"{what} must be finite, but {len(bad)} of {values.numel()} values are NaN or infinite "
        f"(first: {float(values[first])} at {list(first)}): impute them or drop those rows."
    )


def encoded(
    sides: Sequence[Tensor | NDArray[Any]], targets: Targets
) -> tuple[list[Tensor], tuple[str, ...]]:
    """Turn the targets of all sides into what a loss takes.

    Class numbers stay as they are; names are numbered in sorted order.

    Args:
        sides: Targets of every side that was given.
        targets: What the loss takes.

    Returns:
        The targets of every side, and the names of the classes (empty for numbers).

    Raises:
        TaskError: If the targets do not fit the loss.
    """
    if any(isinstance(side, np.ndarray) for side in sides):
        if targets == "number":
            raise TaskError(
                "The loss predicts numbers, but the targets are names: "
                "take cross_entropy, or give numbers."
            )
        names = sorted({str(name) for side in sides for name in np.asarray(side).flat})
        numbers = {name: number for number, name in enumerate(names)}
        shaped = [np.asarray(side) for side in sides]
        indexed = [
            torch.tensor([numbers[str(name)] for name in side.flat]).reshape(side.shape)
            for side in shaped
        ]
        return _as_targets(indexed, targets), tuple(names)
    tensors = _as_targets([torch.as_tensor(side) for side in sides], targets)
    if targets in ("class", "own") and all(not t.is_floating_point() for t in tensors):
        highest = max(int(t.max()) for t in tensors)
        return tensors, tuple(str(number) for number in range(highest + 1))
    return tensors, ("0", "1") if targets == "binary" and tensors[0].shape[1] == 1 else ()


def _as_targets(sides: Sequence[Tensor], targets: Targets) -> list[Tensor]:
    if targets == "class":
        return [_class_numbers(side) for side in sides]
    if targets == "own":
        return [_rows(side) if side.is_floating_point() else side.long() for side in sides]
    result = [_rows(side) for side in sides]
    if targets == "binary" and any(bool(((side != 0) & (side != 1)).any()) for side in result):
        values = torch.unique(torch.cat([side.flatten() for side in result]))
        raise TaskError(
            "bce_with_logits needs targets of 0 and 1, got "
            f"{', '.join(f'{v:g}' for v in values[:5].tolist())}"
            f"{' …' if len(values) > 5 else ''}: take cross_entropy for several classes."
        )
    return result


def _class_numbers(side: Tensor) -> Tensor:
    if side.ndim == 2 and side.shape[1] == 1:
        side = side[:, 0]
    if side.is_floating_point() and not bool((side == side.round()).all()):
        raise TaskError(
            "The loss predicts classes, but the targets are fractions "
            f"(first: {float(side[side != side.round()][0]):g}): take mse, or give class numbers."
        )
    numbers = side.long()
    if int(numbers.min()) < 0:
        raise TaskError(
            f"Class numbers start at 0, got {int(numbers.min())}: number the classes from 0, "
            "or give their names as strings."
        )
    return numbers


def _rows(side: Tensor) -> Tensor:
    """Float targets as (rows, outputs)."""
    return side.float()[:, None] if side.ndim == 1 else side.float()


def _described(value: object) -> str:
    """A short description of a value of the wrong kind."""
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
