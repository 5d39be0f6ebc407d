"""Pickles in which shared values stand as their names alone."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable
from typing import Any, Generic, TypeVar, final

import cloudpickle
import torch
from torch import Tensor

Value = TypeVar("Value")


@final
class Reference(Generic[Value]):
    """A call that gives a shared value where it stands, and travels as its name alone."""

    def __init__(self, name: str, value: Value) -> None:
        self.name, self._value = name, value

    def __call__(self) -> Value:
        """Return the value."""
        return self._value


def name_of(data: bytes) -> str:
    """Return the name of a value: it is made from its pickle, so that equal ones are one."""
    return hashlib.sha256(data).hexdigest()


def dumps(value: object) -> bytes:
    """Pickle a value by cloudpickle; references in it as their names."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


def loads(data: bytes | memoryview, get: Callable[[str], Any]) -> Any:
    """Return the value of a pickle, which may run code: unpickling is trust.

    Args:
        data: What :func:`dumps` has made.
        get: Gives the value of a name.
    """
    return _Unpickler(io.BytesIO(data), get).load()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # a library without types
    def persistent_id(self, value: object) -> str | None:
        return value.name if isinstance(value, Reference) else None

    def reducer_override(self, value: Any) -> Any:
        """Write a tensor as its numbers: equal ones give equal bytes, which torch's own do not."""
        plain = type(value) is Tensor and value.device.type == "cpu" and not value.requires_grad
        if plain and value.layout == torch.strided and not value.is_quantized:
            whole = value.resolve_conj().resolve_neg().contiguous()
            data = whole.reshape(-1).view(torch.uint8).numpy().tobytes()
            return _tensor, (data, value.dtype, tuple(value.shape))
        return super().reducer_override(value)


def _tensor(data: bytes, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    if not data:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype).view(shape)


class _Unpickler(pickle.Unpickler):
    def __init__(self, buffer: io.BytesIO, get: Callable[[str], Any]) -> None:
        super().__init__(buffer)
        self._get = get

    def persistent_load(self, name: Any) -> Reference[Any]:
        return Reference(name, self._get(name))
