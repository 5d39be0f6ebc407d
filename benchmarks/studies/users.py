"""Runs a second against the loop that a user writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks.studies import loops
from benchmarks.studies.grounds import GROUNDS, Ground
from benchmarks.studies.measuring import Arm, figure, others, ratio, take_turns

from fitwell.studies.bench import Bench
from fitwell.studies.executor import Processes, cores
from fitwell.studies.job import Job, Refusal
from fitwell.tasks import Task

LOOP, SPREAD, OURS = "loop", "loop, one process a core", "fitwell"
HEAD = (
    "| network | the loop, runs/s | one process a core | fitwell | faster than the loop | goal "
    "| than one process a core | in CPU seconds | others |\n|---|---|---|---|---|---|---|---|---|"
)


def fitwells_runs(task: Task, executor: Processes, runs: int) -> float:
    """Do untreated runs as a study does them, and return their number."""
    done = Bench(task, executor).run([Job((), seed) for seed in range(runs)])
    failed = [result.reason for result in done.values() if isinstance(result, Refusal)]
    if failed:
        raise RuntimeError(f"A run failed: {failed[0]}")
    return len(done)


def in_processes(pool: Any, make: Callable[[], Task], seeds: Sequence[Sequence[int]]) -> float:
    """Do a user's runs in processes, a sequence of seeds each, and return their number."""
    waiting = [pool.submit(loops.in_turn, make, part) for part in seeds]
    return float(sum(len(each.result()) for each in waiting))


@contextmanager
def users_arms(ground: Ground) -> Iterator[dict[str, Arm]]:
    """Start the processes of a user's loop: one with all threads, and one a core with one each."""
    alone, spread = loops.workers(1, cores()), loops.workers(cores(), 1)
    seeds = [list(range(ground.runs))] * cores()
    try:
        yield {
            LOOP: partial(in_processes, alone, ground.task, seeds[:1]),
            SPREAD: partial(in_processes, spread, ground.task, seeds),
        }
    finally:
        alone.shutdown(kill_workers=True)
        spread.shutdown(kill_workers=True)


@contextmanager
def our_arm(ground: Ground, workers: int) -> Iterator[Arm]:
    """Start fitwell's workers."""
    executor = Processes(workers)
    runs = max(2, ground.ours * workers // cores())
    try:
        yield partial(fitwells_runs, ground.task(), executor, runs)
    finally:
        executor.close(now=True)


def row(ground: Ground, repeats: int) -> str:
    """Measure one network and return its row."""
    with users_arms(ground) as theirs, our_arm(ground, cores()) as ours:
        found = take_turns({**theirs, OURS: ours}, repeats)
    each = {name: f"{figure(1 / _middle(taken.wall))}" for name, taken in found.items()}
    faster = ratio(found[LOOP].wall, found[OURS].wall)
    cpu = ratio(found[SPREAD].cpu, found[OURS].cpu)
    return (
        f"| {ground.name} | {each[LOOP]} | {each[SPREAD]} | {each[OURS]} | **{faster}** "
        f"| ≥ {ground.goal:g} | {ratio(found[SPREAD].wall, found[OURS].wall)} | {cpu} "
        f"| {others(found)} |"
    )


def core_row(ground: Ground, repeats: int) -> str:
    """Measure one network on one core and return its row."""
    pool = loops.workers(1, 1)
    try:
        loop = partial(in_processes, pool, ground.task, [list(range(ground.runs))])
        with our_arm(ground, 1) as ours:
            found = take_turns({LOOP: loop, OURS: ours}, repeats)
    finally:
        pool.shutdown(kill_workers=True)
    each = [f"{figure(1e3 * _middle(found[name].cpu))}" for name in (LOOP, OURS)]
    faster = ratio(found[LOOP].cpu, found[OURS].cpu)
    return f"| {ground.name} | {' | '.join(each)} | **{faster}** | {others(found)} |"


def core_table(names: Sequence[str], repeats: int) -> Iterator[str]:
    """Yield the lines of the table of CPU seconds, for a machine that is busy."""
    yield (
        "CPU milliseconds of a run, one core with one thread for each: what can be compared while "
        "something else keeps the machine busy. With two cores fitwell makes twice the runs, and "
        "the loop uses a second thread.\n"
    )
    yield "| network | the loop | fitwell | faster | others |\n|---|---|---|---|---|"
    for ground in GROUNDS:
        if not names or ground.name in names:
            yield core_row(ground, repeats)


def start_seconds() -> float:
    """Return the seconds until every worker of fitwell has done its first job."""
    executor = Processes(cores())
    began = time.perf_counter()
    try:
        for _ in executor.map(abs, range(cores())):
            pass
        return time.perf_counter() - began
    finally:
        executor.close(now=True)


def table(names: Sequence[str], repeats: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield (
        "Runs a second, all cores allowed to all. The loop: DataLoader, AdamW, validation every "
        "epoch, one run after the other, PyTorch's own number of threads. In CPU seconds: those of "
        "a run of the loop with one thread over those of a run of fitwell. Others: cores that "
        "something else kept busy meanwhile.\n"
    )
    yield HEAD
    for ground in GROUNDS:
        if not names or ground.name in names:
            yield row(ground, repeats)
    yield f"\nStart of fitwell's workers, left out above: {start_seconds():.1f} s."


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
