"""The rows of many runs: shared where they are the same, numbered where they differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Generator, Tensor

from fitwell.studies.job import Job
from fitwell.studies.subsets import repeats, subset_rows
from fitwell.studies.training import on_device, seen_rows
from fitwell.tasks import Split, Task


@final
class Rows:
    """The data of a task on a device, and which rows of it each run trains on.

    Args:
        task: Gives the data.
        jobs: The runs; they train on the same share of the rows.
        device: Where to train.
    """

    def __init__(self, task: Task, jobs: Sequence[Job], device: str) -> None:
        data = task.data
        self.train, self.validation = (
            on_device(split, device) for split in (data.train, data.validation)
        )
        self._test, self._device = data.test, device
        self._kept: Tensor | None = None  # (runs, rows)
        if jobs[0].share < 1:
            kept = [subset_rows(data.train, job.share, seed=job.seed) for job in jobs]
            self._kept = torch.stack(kept).to(device)
        self._count = len(self.train) if self._kept is None else self._kept.shape[1]
        self.repeats = repeats(len(self.train), self._count, task.batch_size)
        self._order = seen_rows(self._count, len(self.validation)).to(device)
        self._seen = self.train if self._kept is not None else self._train_rows(self._order)

    @property
    def test(self) -> Split:
        """The test rows, on the device."""
        return on_device(self._test, self._device)

    def of(self, run: int) -> Tensor:
        """Return the inputs that a run trains on."""
        return self.train.x if self._kept is None else self.train.x[self._kept[run]]

    def batches(
        self, live: Sequence[int], orders: Sequence[Generator], size: int
    ) -> Iterator[Tensor]:
        """Yield the rows of one pass, shuffled in every run by its own generator: (runs, batch)."""
        mixed = [torch.randperm(self._count, generator=orders[run]) for run in live]
        order = torch.stack(mixed).to(self._device)
        if self._kept is not None:
            order = self._kept[list(live)].gather(1, order)
        yield from order.tensor_split(max(1, math.ceil(self._count / size)), 1)

    def gathered(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and targets (runs, batch, ...) of rows (runs, batch)."""
        flat = chosen.reshape(-1)
        x, y = (part.index_select(0, flat) for part in (self.train.x, self.train.y))
        return x.view(*chosen.shape, *x.shape[1:]), y.view(*chosen.shape, *y.shape[1:])

    def part(self, name: str, live: Sequence[int]) -> tuple[Split, Tensor | None]:
        """Return ``"seen"`` or ``"validation"`` rows, and which of them where runs differ."""
        if name == "validation":
            return self.validation, None
        if self._kept is None:
            return self._seen, None
        return self.train, self._kept[list(live)][:, self._order]

    def _train_rows(self, rows: Tensor) -> Split:
        whole = len(rows) == len(self.train)
        return self.train if whole else Split(self.train.x[rows], self.train.y[rows])
