"""Tensors of many runs in one piece of memory, so that one kernel can pass over all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import prod
from typing import final

import torch
from torch import Tensor

ALIGNMENT = 64
"""Numbers that a run's share of a tensor is padded to a multiple of: whole vector registers.

What vectorised kernels do with the last few numbers of a tensor is rounded otherwise than the rest.
With padding there are none, and a run's numbers do not depend on where it stands.
"""


@final
class Slab:
    """One block of memory for tensors with a leading axis of runs, each by its name.

    The tensors lie one after the other, and inside a tensor the runs do.

    Args:
        shapes: Shape of each tensor without the axis of runs.
        runs: Number of runs.
        like: Gives type and device.
        turned: Matrices whose memory holds them transposed.
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        runs: int,
        like: Tensor,
        turned: Collection[str] = (),
    ) -> None:
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.runs, self._turned = runs, frozenset(turned)
        sizes = {name: padded(prod(shape)) for name, shape in self.shapes.items()}
        self.flat = torch.zeros(sum(sizes.values()) * runs, dtype=like.dtype, device=like.device)
        self.blocks: dict[str, Tensor] = {}  # (runs, padded size)
        self.tensors: dict[str, Tensor] = {}  # (runs, *shape)
        start = 0
        for name, shape in self.shapes.items():
            size = sizes[name]
            block = self.flat[start : start + runs * size].view(runs, size)
            self.blocks[name] = block
            values = block[:, : prod(shape)]
            if name in self._turned:
                self.tensors[name] = values.view(runs, *shape[::-1]).mT
            else:
                self.tensors[name] = values.view(runs, *shape)
            start += runs * size

    def like(self) -> Slab:
        """Return another of the same layout, filled with zeros."""
        return Slab(self.shapes, self.runs, self.flat, self._turned)

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy tensors of all runs in."""
        torch._foreach_copy_(list(self.tensors.values()), [tensors[name] for name in self.tensors])

    def kept(self, runs: Tensor) -> Slab:
        """Return a smaller one with some of the runs, in that order."""
        smaller = Slab(self.shapes, len(runs), self.flat, self._turned)
        for name, block in self.blocks.items():
            torch.index_select(block, 0, runs, out=smaller.blocks[name])
        return smaller

    def pieces(self, names: Sequence[str], first: int, last: int) -> list[Tensor]:
        """Return the memory of some tensors of the runs from first to before last, flat.

        Neighbours become one piece where all runs are wanted.
        """
        if first == 0 and last == self.runs and tuple(names) == tuple(self.blocks):
            return [self.flat]
        return [self.blocks[name][first:last].view(-1) for name in names]


def padded(size: int) -> int:
    """Return the next multiple of the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT
