"""Which units of ReLU layers have not fired for how long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Tensor

from fitwell.interfaces import Numbers
from fitwell.records import Quantity, Row


@final
class Silence:
    """Counts for every unit the samples since it fired last, all layers in one tensor.

    A unit is silent where the largest value that enters its activation is at most zero. A NaN
    counts as firing: a broken unit is not a silent one.

    Args:
        window: Number of samples a unit must have been silent for to count as dead.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._units: tuple[tuple[str, int], ...] = ()
        self._silent: Tensor | None = None
        self._owner: Tensor | None = None
        self._pooled: dict[str, int] = {}

    def numbers(self, found: Sequence[tuple[str, Sequence[Tensor], int]]) -> list[Numbers]:
        """Add a step, and return the share of the units of each layer that are dead.

        Args:
            found: Layers with the peaks of each call, (units,), and the number of samples.
        """
        if not found:
            return []
        peaks = [p[0] if len(p) == 1 else torch.stack(list(p)).amax(0) for _, p, _ in found]
        home = peaks[0].device
        peak = torch.cat([p if p.device == home else p.to(home) for p in peaks])
        units = tuple((name, len(p)) for (name, _, _), p in zip(found, peaks, strict=True))
        silent, owner = self._memory(units, home)
        seen = [rows for *_, rows in found]
        silent += seen[0] if len(set(seen)) == 1 else silent.new_tensor(seen)[owner]
        silent *= peak <= 0
        for (name, _), rows in zip(units, seen, strict=True):
            self._pooled[name] = self._pooled.get(name, 0) + rows
        pooled = [min(self._pooled[name], self._window) for name, _ in units]
        least = pooled[0] if len(set(pooled)) == 1 else silent.new_tensor(pooled)[owner]
        dead = torch.zeros(len(units), device=home).index_add_(0, owner, (silent >= least).float())

        def finish(numbers: Sequence[float]) -> Iterator[Row]:
            for (name, size), number, count in zip(units, numbers, pooled, strict=True):
                yield Row(0, Quantity.DEAD_SHARE, number / size, name, count=count)

        return [Numbers([dead], finish)]

    def _memory(
        self, units: tuple[tuple[str, int], ...], home: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Return the samples since each unit fired, and which layer it belongs to."""
        if self._silent is None or self._owner is None or units != self._units:
            known = dict(zip(self._units, self._split(), strict=True))
            sizes = torch.tensor([size for _, size in units])
            self._owner = torch.repeat_interleave(torch.arange(len(units)), sizes).to(home)
            fresh = [
                known[key].to(home) if key in known else torch.zeros(key[1], device=home)
                for key in units
            ]
            self._silent, self._units = torch.cat(fresh), units
        return self._silent, self._owner

    def _split(self) -> Sequence[Tensor]:
        if self._silent is None:
            return ()
        return torch.split(self._silent, [size for _, size in self._units])
