"""Activations of many runs, in memory that elementwise kernels pass over without a remainder."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple, Self, final

import torch
from torch import Tensor

from fitwell.studies.stacked.storage import padded


class Sheet(NamedTuple):
    """A tensor, and the padded memory that it lies in.

    Args:
        values: ``(runs, batch, features)``.
        flat: All of its memory as one axis, a little longer.
    """

    values: Tensor
    flat: Tensor

    @classmethod
    def empty(cls, shape: Sequence[int], like: Tensor) -> Self:
        """Return one of that shape; its padding is zero."""
        size = prod(shape)
        flat = torch.zeros(padded(size), dtype=like.dtype, device=like.device)
        return cls(flat[:size].view(tuple(shape)), flat)

    @classmethod
    def around(cls, flat: Tensor, shape: Sequence[int]) -> Self:
        """Return one of that shape in padded memory."""
        return cls(flat[: prod(shape)].view(tuple(shape)), flat)


@final
class Sheets:
    """The sheets of one layer, one for each shape that it met: they are used again and again."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], Sheet] = {}

    def clear(self) -> None:
        """Let go of all of them: the number of runs has changed."""
        self._known.clear()

    def of(self, shape: tuple[int, ...], like: Tensor) -> Sheet:
        """Return the sheet of a shape; what it held is overwritten by whoever asks next."""
        sheet = self._known.get(shape)
        if sheet is None:
            sheet = self._known[shape] = Sheet.empty(shape, like)
        return sheet
