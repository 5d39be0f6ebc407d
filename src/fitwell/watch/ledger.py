"""Numbers that wait on their device until somebody reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, final

import torch
from torch import Tensor

from fitwell.interfaces import Numbers, Reading
from fitwell.probes.norms import plain
from fitwell.records import Quantity, Row

_SINGLES = 2048
"""Single tensors are joined into one vector from here on: a tensor takes some 500 bytes."""

_FROM_GRADIENTS = (Quantity.GRADIENT_NORM, Quantity.UPDATE_NORM, Quantity.UPDATE_COSINE)


class _Entry(NamedTuple):
    """What a probe handed out, and when; the last of its numbers tells whether it is dropped."""

    step: int
    epoch: int
    values: list[Tensor]
    finish: Callable[[Sequence[float]], Iterable[Row]]
    stamped: bool
    flagged: bool


class _Packed(NamedTuple):
    """Entries, how many numbers each has, and all their numbers in order."""

    entries: list[_Entry]
    sizes: list[int]
    values: list[Tensor]


@final
class Ledger:
    """Keeps readings as device tensors and turns them into rows when asked.

    A step that a ``GradScaler`` with a fused optimizer skipped has gradients that are not finite
    by design: its gradient and update norms are dropped.
    """

    def __init__(self) -> None:
        self._waiting: list[_Entry] = []
        self._rows: list[Row] = []
        self._packed: list[_Packed] = []

    def add(
        self,
        step: int,
        readings: Iterable[Reading | Numbers],
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
        for given in readings:
            one = Numbers((given.value,), _Single(given)) if isinstance(given, Reading) else given
            values = [*one.values, *([] if skipped is None else [skipped])]
            flagged = skipped is not None
            self._waiting.append(_Entry(step, epoch, values, one.finish, one.stamped, flagged))
        if len(self._waiting) >= _SINGLES:
            self._pack()

    def _pack(self) -> None:
        """Join the waiting tensors into one vector a device and type, without reading them."""
        groups: dict[tuple[torch.device, torch.dtype], list[_Entry]] = {}
        for entry in self._waiting:
            kinds = {(t.device, t.dtype) for t in entry.values}
            if len(kinds) == 1:
                groups.setdefault(kinds.pop(), []).append(entry)
            else:
                self._packed.append(_packed([entry], entry.values))
        for entries in groups.values():
            flat = [t.detach().reshape(-1) for entry in entries for t in entry.values]
            self._packed.append(_packed(entries, [torch.cat(flat)]))
        self._waiting = []

    def rows(self) -> list[Row]:
        """Return every row so far, in the order of the steps; here the device is waited for."""
        self._pack()
        for entries, sizes, values in self._packed:
            numbers, place = plain(values), 0
            for entry, size in zip(entries, sizes, strict=True):
                self._rows += _rows(entry, numbers[place : place + size])
                place += size
        self._packed = []
        self._rows.sort(key=_step)
        return list(self._rows)


@final
class _Single:
    """Makes the row of one reading."""

    def __init__(self, reading: Reading) -> None:
        r = reading
        self._row = Row(0, r.quantity, 0.0, r.module, r.phase, 0, r.call, r.count)

    def __call__(self, numbers: Sequence[float]) -> tuple[Row, ...]:
        return (replace(self._row, value=float(numbers[0])),)


def _packed(entries: list[_Entry], values: list[Tensor]) -> _Packed:
    """Keep the numbers in ``values`` alone: a tensor is not to be kept twice."""
    sizes = [sum(t.numel() for t in entry.values) for entry in entries]
    return _Packed([entry._replace(values=[]) for entry in entries], sizes, values)


def _rows(entry: _Entry, numbers: list[float]) -> Iterator[Row]:
    skipped = entry.flagged and bool(numbers.pop())
    for row in entry.finish(numbers):
        if skipped and row.quantity in _FROM_GRADIENTS:
            continue
        yield row if entry.stamped else replace(row, step=entry.step, epoch=entry.epoch)


def _step(row: Row) -> int:
    return row.step
