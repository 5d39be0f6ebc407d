"""Numbers that wait on their device until somebody reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from fitwell.interfaces import Reading
from fitwell.records import Quantity, Row

_SINGLES = 2048
"""Single tensors are joined into one vector from here on: a tensor takes some 500 bytes."""

_FROM_GRADIENTS = (Quantity.GRADIENT_NORM, Quantity.UPDATE_NORM, Quantity.UPDATE_COSINE)


@final
class Ledger:
    """Keeps readings as device tensors and turns them into rows when asked.

    A step that a ``GradScaler`` with a fused optimizer skipped has gradients that are not finite
    by design: its gradient and update norms are dropped.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Row, Tensor, Tensor | None]] = []
        self._packed: list[tuple[list[Row], Tensor, Tensor | None]] = []
        self._rows: list[Row] = []

    def add(
        self,
        step: int,
        readings: Iterable[Reading],
        *,
        epoch: int = 0,
        skipped: Tensor | None = None,
    ) -> None:
        """Note readings of a step.

        Args:
            step: Optimizer step.
            readings: What the probes read.
            epoch: Number of evaluations so far.
            skipped: Not zero if the optimizer was told to skip the step.
        """
        for r in readings:
            flag = skipped if r.quantity in _FROM_GRADIENTS else None
            row = Row(step, r.quantity, 0.0, r.module, r.phase, epoch, r.call, r.count)
            self._waiting.append((row, r.value, flag))
        if len(self._waiting) >= _SINGLES:
            self._pack()

    def _pack(self) -> None:
        """Join the waiting tensors into one vector a device and type, without reading them."""
        groups: dict[tuple[torch.device, torch.dtype, bool], list[int]] = {}
        for index, (_, value, flag) in enumerate(self._waiting):
            groups.setdefault((value.device, value.dtype, flag is not None), []).append(index)
        for (device, _, flagged), members in groups.items():
            taken = [self._waiting[index] for index in members]
            values = torch.stack([value.detach().reshape(()) for _, value, _ in taken])
            flags: Sequence[Tensor] = [f for _, _, f in taken if f is not None]
            skipped = torch.stack([f.to(device).reshape(()) for f in flags]) if flagged else None
            self._packed.append(([row for row, _, _ in taken], values, skipped))
        self._waiting = []

    def rows(self) -> list[Row]:
        """Return every row so far, in the order of the steps; here the device is waited for."""
        self._pack()
        for rows, values, skipped in self._packed:
            numbers = values.tolist()
            flags = skipped.tolist() if skipped is not None else [0.0] * len(rows)
            self._rows += [
                replace(row, value=float(number))
                for row, number, flag in zip(rows, numbers, flags, strict=True)
                if not flag
            ]
        self._packed = []
        self._rows.sort(key=_step)
        return list(self._rows)


def _step(row: Row) -> int:
    return row.step
