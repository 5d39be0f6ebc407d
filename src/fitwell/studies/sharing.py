"""Values that worker processes share: large arrays lie in files that all of them map."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar, final

import numpy as np
import torch
from torch import Tensor

from fitwell.errors import require

Value = TypeVar("Value")

LARGE = 1 << 16
"""Bytes from which an array is mapped; a smaller one travels in the pickle."""


@final
class Shared(Generic[Value]):
    """A small picklable call that gives a value wherever it lands, read once a process."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __call__(self) -> Value:
        """Return the value; the same object each time, as long as few others are read."""
        value: Value = _loaded(self._path)
        return value


def shared(value: Value, folder: Path) -> Callable[[], Value]:
    """Write a value into a folder, its large tensors and arrays each to a file of its own.

    What reads the value maps these files: the pages are in memory once for all processes, and a
    process that writes to such a tensor gets pages of its own (copy on write), so that the others
    never see it. Equal arrays are written once.

    Args:
        value: Anything that cloudpickle takes.
        folder: Where to write; it must outlive all readers.
    """
    buffer = io.BytesIO()
    _pickler(buffer, folder).dump(value)
    return Shared(_written(folder, buffer.getbuffer(), "pkl"))


@lru_cache(maxsize=2)
def _loaded(path: str) -> Any:
    return pickle.loads(Path(path).read_bytes())  # noqa: S301  # written by this very program


def _pickler(buffer: io.BytesIO, folder: Path) -> Any:
    """Return a cloudpickle pickler that puts large arrays into files."""

    class Pickler(require("cloudpickle").Pickler):  # type: ignore[misc]  # an optional library
        def reducer_override(self, value: Any) -> Any:
            if type(value) is Tensor and _is_plain(value):
                if _bytes(value) >= LARGE:
                    return _mapped_tensor, _tensor_file(value, folder)
                if value.untyped_storage().nbytes() > _bytes(value):
                    return _same, (value.clone(),)  # a view would take all its storage along
            if type(value) is np.ndarray and _is_plain_array(value) and value.nbytes >= LARGE:
                return _mapped_array, _array_file(value, folder)
            return super().reducer_override(value)

    return Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL)


def _is_plain(value: Tensor) -> bool:
    """Say whether a tensor is nothing but its numbers, in order, in main memory."""
    return (
        value.device.type == "cpu"
        and value.layout == torch.strided
        and not (value.requires_grad or value.is_quantized or value.is_conj() or value.is_neg())
        and value.is_contiguous()
    )


def _is_plain_array(value: np.ndarray[Any, Any]) -> bool:
    return value.flags.c_contiguous and not value.dtype.hasobject


def _bytes(value: Tensor) -> int:
    return value.numel() * value.element_size()


def _tensor_file(value: Tensor, folder: Path) -> tuple[str, torch.dtype, tuple[int, ...]]:
    path = _written(folder, value.reshape(-1).view(torch.uint8).numpy().data, "bin")
    return str(path), value.dtype, tuple(value.shape)


def _array_file(
    value: np.ndarray[Any, Any], folder: Path
) -> tuple[str, np.dtype[Any], tuple[int, ...]]:
    path = _written(folder, value.reshape(-1).view(np.uint8).data, "bin")
    return str(path), value.dtype, value.shape


def _written(folder: Path, content: memoryview, suffix: str) -> Path:
    """Write bytes under a name made from them, unless they are there already."""
    path = folder / f"{hashlib.blake2b(content, digest_size=16).hexdigest()}.{suffix}"
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    return path


def _same(value: Tensor) -> Tensor:
    return value


def _mapped_tensor(path: str, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    rows = torch.from_file(path, shared=False, size=int(np.prod(shape)), dtype=dtype)
    return rows.view(shape)


def _mapped_array(path: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    return np.asarray(np.memmap(path, dtype, mode="c", shape=shape))
