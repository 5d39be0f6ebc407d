"""Stacked runs against the same runs one after the other, on one core, as the planner has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from benchmarks.studies.grounds import GROUNDS
from benchmarks.studies.measuring import Spread, figure

from fitwell.studies.device_table import table_for
from fitwell.studies.job import Job
from fitwell.studies.performing import Performance
from fitwell.studies.plan import Plan
from fitwell.studies.programs import Programs
from fitwell.studies.training import fit
from fitwell.tasks import Data, Split, Task, builtin
from fitwell.tasks.models import mlp

WIDTHS, DEPTHS, BATCHES = (16, 64, 256, 512), (2, 6), (16, 64, 256)
MANY = 64
"""Runs of a structure that the planner is asked about."""
ALONE = 1
"""Runs that are timed one after the other; what they take is multiplied."""
STEPS = 8
HEAD = "| runs of | planned together | alone, ms a run | together | faster |\n|---|---|---|---|---|"


def shaped(width: int, depth: int, batch: int) -> Task:
    """Return a task of random rows for a perceptron of that width and depth."""
    made = torch.Generator().manual_seed(0)

    def rows(count: int) -> Split:
        y = torch.randint(10, (count,), generator=made)
        return Split(torch.randn(count, 64, generator=made), y)

    data = Data(rows(STEPS * batch), rows(2 * batch), rows(10), "table", tuple("abcdefghij"))
    network = partial(mlp, (64, *[width] * depth, 10))
    return Task(f"64-{depth}x{width}-10, batch {batch}", network, data, "cross_entropy", "accuracy",
                batch_size=batch, epochs=2)  # fmt: skip


def subjects() -> dict[str, Callable[[], Task]]:
    """Return what is compared, by name: the networks of the goals, our own tasks, and shapes."""
    found: dict[str, Callable[[], Task]] = {ground.name: ground.task for ground in GROUNDS}
    found |= {name: task.make for name, task in builtin().items()}
    for width, depth, batch in product(WIDTHS, DEPTHS, BATCHES):
        found[f"64-{depth}x{width}-10, batch {batch}"] = partial(shaped, width, depth, batch)
    return found


def planned(task: Task) -> int:
    """Return how many untreated runs of a task the planner trains as one."""
    plan = Plan(Programs(task), table_for("cpu"))
    return plan.most([Job((), seed) for seed in range(MANY)])


def stacks(task: Task) -> bool:
    """Say whether runs of a task are trained as one program at all."""
    load = Programs(task).load(Job((), 0))
    point = table_for("cpu").nearest(load) if load else None
    return point is not None and point.pays


def compared(task: Task, count: int, repeats: int) -> tuple[Spread, Spread]:
    """Return CPU seconds of a run alone and in company, turn by turn."""
    epochs = min(task.epochs, 3)
    jobs = [Job((), seed, epochs=epochs) for seed in range(count)]
    perform = Performance(partial(_same, task), table=table_for("cpu"))

    def alone() -> int:
        for job in jobs[:ALONE]:
            fit(task, job)
        return len(jobs[:ALONE])

    def together() -> int:
        perform(tuple(jobs))
        return len(jobs)

    times: dict[Callable[[], int], list[float]] = {alone: [], together: []}
    together()
    for turn in range(repeats):
        for arm in (alone, together) if turn % 2 else (together, alone):
            began = time.process_time()
            count = arm()
            times[arm].append((time.process_time() - began) / count)
    return Spread(tuple(times[alone])), Spread(tuple(times[together]))


def row(name: str, task: Task, repeats: int) -> str:
    """Measure one task and return its row."""
    count = planned(task)
    if not stacks(task):
        return f"| {name} | 1 | | | the same program |"
    alone, together = compared(task, count, repeats)
    ratios = Spread(tuple(a / b for a, b in zip(alone.values, together.values, strict=True)))
    return (
        f"| {name} | {count} | {figure(1e3 * alone.median)} | {figure(1e3 * together.median)} "
        f"| **{ratios}** |"
    )


def table(names: Sequence[str], repeats: int) -> Iterator[str]:
    """Yield the lines of the table."""
    torch.set_num_threads(1)
    yield (
        "CPU time of a run in company over that of a run alone, one thread, as many together as "
        "the planner says; goal: never below 0.95.\n"
    )
    yield HEAD
    for name, make in subjects().items():
        if not names or name in names:
            yield row(name, make(), repeats)


def _same(task: Any) -> Any:
    return task
