"""How much of the speed of bare matrix products a training step reaches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import torch
from benchmarks.studies.measuring import Spread, figure
from benchmarks.studies.unstacked import planned

from fitwell.studies.job import Job
from fitwell.studies.stacked import fit_stacked
from fitwell.tasks import Data, Split, Task
from fitwell.tasks.models import mlp

NETWORKS = ((784, 256, 256, 10), (256, 256, 256, 256, 10), (512, 512, 512, 10))
BATCHES = (128, 256)
GOALS = {128: 0.4, 256: 0.6}
STEPS, EPOCHS = 20, 2
HEAD = (
    "| network | batch | together | the products, ms a step and run | a training step "
    "| share of their speed | goal | GFLOP/s |\n|---|---|---|---|---|---|---|---|"
)


def task(widths: Sequence[int], batch: int) -> Task:
    """Return a task of random rows of which next to nothing is kept aside."""
    made = torch.Generator().manual_seed(0)

    def rows(count: int) -> Split:
        y = torch.randint(widths[-1], (count,), generator=made)
        return Split(torch.randn(count, widths[0], generator=made), y)

    data = Data(rows(STEPS * batch), rows(8), rows(8), "table", tuple("abcdefghij"))
    return Task("products", partial(mlp, tuple(widths)), data, "cross_entropy", "accuracy",
                batch_size=batch, epochs=EPOCHS)  # fmt: skip


def flops(widths: Sequence[int], batch: int) -> float:
    """Return the operations of the products of a step: forward, for weights, for inputs."""
    forward = [2.0 * batch * a * b for a, b in pairwise(widths)]
    return 3 * sum(forward) - forward[0]


def products(widths: Sequence[int], batch: int, count: int) -> Callable[[], None]:
    """Return a call that makes the products of one step of so many runs, and nothing else."""
    layers = []
    for place, (inputs, outputs) in enumerate(pairwise(widths)):
        x, w = torch.randn(count, batch, inputs), torch.randn(count, inputs, outputs)
        g, out = torch.randn(count, batch, outputs), torch.empty(count, batch, outputs)
        layers.append((x, w, g, out, torch.empty_like(w), torch.empty_like(x) if place else None))

    def step() -> None:
        for x, w, g, out, for_w, for_x in layers:
            torch.bmm(x, w, out=out)
            torch.bmm(x.mT, g, out=for_w)
            if for_x is not None:
                torch.bmm(g, w.mT, out=for_x)

    return step


def row(widths: Sequence[int], batch: int, repeats: int) -> str:
    """Measure one network and return its row."""
    given = task(widths, batch)
    count = planned(given)
    jobs = [Job((), seed) for seed in range(count)]
    bare, steps = products(widths, batch, count), STEPS * EPOCHS
    step_times, product_times = [], []
    for turn in range(repeats + 1):
        began = time.process_time()
        fit_stacked(given, jobs)
        middle = time.process_time()
        for _ in range(steps):
            bare()
        if turn:
            product_times.append((time.process_time() - middle) / steps / count)
            step_times.append((middle - began) / steps / count)
    share = Spread(tuple(p / s for p, s in zip(product_times, step_times, strict=True)))
    speed = flops(widths, batch) / Spread(tuple(step_times)).median / 1e9
    return (
        f"| {'-'.join(map(str, widths))} | {batch} | {count} "
        f"| {figure(1e3 * Spread(tuple(product_times)).median)} "
        f"| {figure(1e3 * Spread(tuple(step_times)).median)} | **{share}** "
        f"| ≥ {GOALS[batch]} | {figure(speed)} |"
    )


def table(names: Sequence[str], repeats: int) -> Iterator[str]:
    """Yield the lines of the table."""
    torch.set_num_threads(1)
    yield (
        "CPU time of the matrix products of a training step, forward and back, over that of the "
        "whole step of a study with AdamW: gathering the batch, activations, loss, update, and all "
        "else that a run does, divided by its steps. One thread, batched products of the same "
        "shapes.\n"
    )
    yield HEAD
    for widths in NETWORKS:
        if not names or "-".join(map(str, widths)) in names:
            for batch in BATCHES:
                yield row(widths, batch, repeats)
