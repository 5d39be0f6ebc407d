"""The pool of workers: what a second one adds, and what a large study takes of memory.

    .venv/bin/python benchmarks/pool.py [--rounds 5] [--runs 1000] [--only scaling | memory]

Scaling: the same runs by one worker and by two, in turn; the ratio of runs a second in each round,
and of processor seconds, which other programs on the machine disturb less. Memory: a study of many
runs on 5,000 rows of 784 numbers in a process of its own, kept in a store; the largest sum of the
proportional set sizes (PSS) of all its processes, read four times a second. Half way through, one
worker is killed.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from main_job import family, pss_mb
from torch import nn

from fitwell.studies import Processes
from fitwell.studies.bench import Bench
from fitwell.studies.job import Job
from fitwell.studies.store import Store
from fitwell.tasks import Data, Split, Task

CLASSES = tuple("0123456789")


def network(inputs: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, len(CLASSES)))


def random_task(rows: int, inputs: int, width: int, epochs: int) -> Task:
    def split(count: int) -> Split:
        made = torch.Generator().manual_seed(count)
        x = torch.randn(count, inputs, generator=made)
        return Split(x, torch.randint(len(CLASSES), (count,), generator=made))

    data = Data(split(rows), split(rows // 5), split(rows // 5 + 1), "table", CLASSES)
    make = partial(network, inputs, width)
    return Task("random", make, data, "cross_entropy", "accuracy", batch_size=128, epochs=epochs)


def scaling(rounds: int) -> None:
    """Print what two workers do in the time of one."""
    task, runs = random_task(2000, 64, 64, 20), 64
    pools = {workers: Processes(workers) for workers in (1, 2)}
    speeds: dict[int, list[float]] = {1: [], 2: []}
    lengths: dict[int, list[float]] = {1: [], 2: []}
    known: set[int] = set()
    for turn in range(rounds + 1):
        for workers, pool in pools.items():
            bench = Bench(task, pool)
            jobs = [Job((), seed) for seed in range(runs)]
            own, before = time.process_time(), {pid: used(pid) for pid in known}
            started = time.perf_counter()
            bench.run(jobs)
            wall, own = time.perf_counter() - started, time.process_time() - own
            known = {pid for pid in family(os.getpid())[1:] if is_worker(pid)}
            spent = [used(pid) - before[pid] for pid in known & before.keys()]
            if turn:  # the first starts the workers
                speeds[workers].append(runs / wall)
                # what it takes where each process has a core, and there are two of them
                lengths[workers].append(max(*spent, (sum(spent) + own) / 2))
    for pool in pools.values():
        pool.close()
    print(
        f"scaling, {runs} runs by one worker and by two, {rounds} rounds: by wall time "
        f"{told(speeds[2], speeds[1])}; by processor seconds {told(lengths[1], lengths[2])}",
        flush=True,
    )


def told(above: list[float], below: list[float]) -> str:
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return f"{statistics.median(ratios):.2f}× ({min(ratios):.2f} to {max(ratios):.2f})"


def used(pid: int) -> float:
    """Return the processor seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def study(runs: int) -> None:
    """Do a large study here: what the memory of is measured."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "study.db", higher_is_better=True)
        pool = Processes(2)
        done = Bench(random_task(5000, 784, 64, 2), pool, store=store).run(
            Job((), seed) for seed in range(runs)
        )
        pool.close()
        print(len(done), store.runs, flush=True)


def memory(runs: int) -> None:
    """Print the largest memory of a study of that many runs."""
    command = [sys.executable, __file__, "--study", str(runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak, killed, sizes, started = 0.0, 0, [], time.perf_counter()
        while process.poll() is None:
            sizes.append(pss_mb(process.pid))
            peak = max(peak, sizes[-1])
            workers = [pid for pid in family(process.pid)[1:] if is_worker(pid)]
            if not killed and time.perf_counter() - started > KILL_AFTER and len(workers) == 2:
                killed = workers[0]
                os.kill(killed, signal.SIGKILL)
            time.sleep(0.25)
        assert process.stdout is not None
        told = process.stdout.read().split()
    print(
        f"memory: {told[0]} runs done, {told[1]} kept; peak {peak:.0f} MB, median "
        f"{statistics.median(sizes):.0f} MB, {time.perf_counter() - started:.0f} s; "
        f"{'one worker was killed' if killed else 'no worker was killed'}",
        flush=True,
    )


KILL_AFTER = 40.0


def is_worker(pid: int) -> bool:
    try:
        return b"loky" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--only", choices=("scaling", "memory"))
    parser.add_argument("--study", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.study:
        study(chosen.study)
        return
    if chosen.only != "memory":
        scaling(chosen.rounds)
    if chosen.only != "scaling":
        memory(chosen.runs)


if __name__ == "__main__":
    main()
