"""Measuring what stacking gains on a device: the table that plans are made from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise, product
from typing import final

import torch
from torch import Tensor, nn

from fitwell.errors import BadInput
from fitwell.studies.device_table import COUNTS, DeviceTable, Load, Point, device_name
from fitwell.studies.job import Job
from fitwell.studies.programs import load_of
from fitwell.studies.progress import Progress, Silent
from fitwell.studies.stacked import fit_stacked
from fitwell.studies.training import fit, reproducible
from fitwell.tasks import Data, Split, Task

STEPS = 8
"""Training steps in an epoch of a probe."""
EPOCHS = 6
"""Epochs of a measured training; the quickest of them counts, but for the first."""
LONGEST = 3.0
"""Seconds of training that one measurement may be expected to take."""
MEMORY = 1 << 30
"""Bytes that the weights of a measured stack and what an optimizer keeps of them may take."""
BYTES = 20
"""Bytes of a trained number: itself, its gradient, what an optimizer and the best epoch keep."""
HOPELESS = 0.85
"""Larger stacks are not measured once one gains less than that share of the best."""
REPEATS = 2
CLASSES = 10


@final
@dataclass(frozen=True)
class Probe:
    """A network to be measured.

    Args:
        name: What it is, in a few words.
        make_model: Makes it.
        shape: Shape of a row.
        batch: Rows of a training batch.
    """

    name: str
    make_model: Callable[[], nn.Module]
    shape: tuple[int, ...]
    batch: int

    def task(self, metric: Callable[[Tensor, Tensor], float]) -> Task:
        """Return a task of random rows with that metric."""
        rows = self._rows
        data = Data(rows(STEPS), rows(1), rows(1), "other", tuple("abcdefghij"))
        return Task(
            "probe",
            self.make_model,
            data,
            "cross_entropy",
            metric,
            batch_size=self.batch,
            epochs=EPOCHS,
            higher_is_better=True,
        )

    def load(self) -> Load:
        """Return what it asks of a device."""
        with reproducible(0):
            return load_of(self.make_model().eval(), torch.zeros(2, *self.shape), self.batch)

    def _rows(self, batches: int) -> Split:
        made = torch.Generator().manual_seed(batches)
        x = torch.randn(batches * self.batch, *self.shape, generator=made)
        return Split(x, torch.randint(CLASSES, (len(x),), generator=made))


def calibrate(
    device: str = "cpu",
    *,
    probes: Sequence[Probe] | None = None,
    progress: Progress | None = None,
) -> DeviceTable:
    """Measure how many times sooner runs are done together than one after another.

    Each network is trained alone and in stacks of 1 to 64, in turn, several times; the quickest
    epoch of each counts. On a CPU it is processor time that is read, so that other programs disturb
    little.

    Args:
        device: Where to measure, as ``"cpu"`` or ``"cuda"``.
        probes: Networks to measure; by default chains, mapped networks and convolutions of
            several sizes, some two minutes in all.
        progress: Told of every network.

    Raises:
        BadInput: If there is no such device.
    """
    check_device(device)
    shown = progress or Silent()
    wanted = PROBES if probes is None else probes
    shown.stage(f"measuring {device_name(device)}", len(wanted))
    points = []
    for probe in wanted:
        points.append(Point(probe.load(), gains_of(probe, device)))
        shown.advance()
    shown.done()
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    return DeviceTable(device_name(device), tuple(points), f"{day}, torch {torch.__version__}")


def check_device(device: str) -> None:
    """Check that a device can be computed on.

    Raises:
        BadInput: If there is no such device here.
    """
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        there = "cpu or cuda" if torch.cuda.is_available() else "cpu"
        raise BadInput(f"torch has no device {device!r} here: give {there}.") from error


def gains_of(probe: Probe, device: str, repeats: int = REPEATS) -> dict[int, float]:
    """Return the gain for every number of runs that is worth measuring."""
    size = sum(p.numel() for p in probe.make_model().parameters())
    alone = _Watch(lambda task: fit(task, Job((), 0), device=device), device)
    stacks = {
        count: _Watch(partial(_train_stack, count, device), device)
        for count in COUNTS
        if count * size * BYTES <= MEMORY
    }
    gains: dict[int, float] = {}
    for _ in range(repeats):
        alone.measure(probe)
        gains = {}
        for count, stack in stacks.items():
            if count > 1 and count * alone.seconds * EPOCHS > LONGEST:
                break
            stack.measure(probe)
            gains[count] = count * alone.seconds / stack.seconds
            if gains[count] < HOPELESS * max(gains.values()):
                break
    return gains


def _train_stack(count: int, device: str, task: Task) -> None:
    fit_stacked(task, [Job((), seed) for seed in range(count)], device=device)


@final
class _Watch:
    """The quickest epoch of a training: what a program needs to begin is not in it."""

    def __init__(self, train: Callable[[Task], object], device: str) -> None:
        self._train, self._device = train, device
        self.seconds = math.inf

    def measure(self, probe: Probe) -> None:
        """Train once more."""
        marks: list[float] = []

        def mark(outputs: Tensor, targets: Tensor) -> float:
            marks.append(self._clock())
            return float((outputs.argmax(-1) == targets).sum()) / len(targets)

        self._train(probe.task(mark))
        calls = len(marks) // EPOCHS  # of the metric in an epoch, the same number in each
        epochs = [after - before for before, after in pairwise(marks[::calls])]
        self.seconds = min(self.seconds, *epochs)

    def _clock(self) -> float:
        if self._device == "cpu":
            return time.process_time()
        torch.cuda.synchronize(self._device)
        return time.perf_counter()


@final
class _Residual(nn.Module):
    """A network that is no plain sequence, so that it is mapped over the runs."""

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers - 1))
        self.last = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x).relu()
        return self.last(x)  # type: ignore[no-any-return]  # torch does not say


def _chain(layers: int, width: int) -> nn.Module:
    hidden = [part for _ in range(layers - 1) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(width, CLASSES))


def _convolutions(channels: int, side: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * channels * (side // 4) ** 2, CLASSES),
    )


def _probes() -> Iterator[Probe]:
    for layers, width in ((3, 32), (3, 64), (3, 128), (3, 256), (3, 512), (20, 32)):
        for batch in (32, 128, 512) if layers == 3 else (32, 128):
            made = partial(_chain, layers, width)
            yield Probe(f"{layers} layers of {width}, batch {batch}", made, (width,), batch)
    for width, batch in product((32, 128, 512), (32, 128)):
        mapped = partial(_Residual, 3, width)
        yield Probe(f"3 residual layers of {width}, batch {batch}", mapped, (width,), batch)
    for (channels, side), batch in product(((4, 8), (8, 28)), (32, 128)):
        seen = partial(_convolutions, channels, side)
        name = f"convolutions of {channels} channels on {side}×{side}, batch {batch}"
        yield Probe(name, seen, (1, side, side), batch)


PROBES = tuple(_probes())
"""What is measured by default."""
