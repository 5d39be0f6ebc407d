"""The same search however its runs were done, and whenever it was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn
from torch.optim import SGD

from fitwell.records import Diagnosis, Finding, RemedySpec
from fitwell.studies.bench import Bench
from fitwell.studies.budget import Budget
from fitwell.studies.executor import InProcess, Processes
from fitwell.studies.search import search
from fitwell.studies.training import without_test
from fitwell.tasks import Data, Split, Task
from fitwell.tasks.models import mlp

NAMES = ("BatchNorm", "Activation", "Initialization")
SICK = Diagnosis(
    (
        Finding(
            *("vanishing_gradients", "severe", 0.9, (), 0, {}, ""), tuple(map(RemedySpec, NAMES))
        ),
    )
)


def rows(count: int, seed: int) -> Split:
    x = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))
    return Split(x, (x[:, 0] + x[:, 1] > 0).long())


def deep_task() -> Task:
    network = partial(mlp, (4, *[16] * 6, 2), activation=nn.Sigmoid)
    data = Data(rows(64, 0), rows(60, 1), rows(60, 2), "table", ("left", "right"))
    optimizer = partial(SGD, lr=0.2)
    return Task(
        *("deep", network, data, "cross_entropy", "accuracy"),
        optimizer=optimizer,
        batch_size=16,
        epochs=8,
    )


class Shuffled:
    """Draws as many jobs as a pool of workers would, and hands results back in any order."""

    def __init__(self, workers, seed):
        self.workers, self.random = workers, Random(seed)

    def share(self, value):
        return lambda: value

    def map(self, function, jobs):
        waiting = iter(jobs)
        running = []
        while True:
            while len(running) < self.workers and (job := next(waiting, None)) is not None:
                running.append(job)
            if not running:
                return
            job = running.pop(self.random.randrange(len(running)))
            yield job, function(job)

    def close(self, *, now=False): ...


def found_by(executor, diagnosis=SICK, runs=24):
    bench = Bench(without_test(deep_task()), executor, budget=Budget(None, runs))
    return search(bench, diagnosis, proof_seeds=2)


def without_times(found):
    return (found.untreated, found.winner, found.evidence, found.contributions, found.trials)


@pytest.fixture(scope="module")
def alone():
    return found_by(InProcess())


def test_there_is_a_winner_to_lose(alone):
    assert alone.winner is not None
    assert len(alone.trials) > 10


@pytest.mark.parametrize(("workers", "seed"), [(1, 0), (2, 1), (4, 2)])
def test_the_trials_are_the_same_whatever_order_results_come_in(alone, workers, seed):
    assert without_times(found_by(Shuffled(workers, seed))) == without_times(alone)


def test_a_blind_search_too_is_the_same_whatever_order_results_come_in():
    one = found_by(InProcess(), None, 12)
    assert without_times(found_by(Shuffled(4, 5), None, 12)) == without_times(one)
    assert without_times(one) != without_times(found_by(InProcess(), SICK, 12))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_worker_processes_give_the_same_trials(alone, workers):
    executor = Processes(workers)
    try:
        found = found_by(executor)
    finally:
        executor.close(now=True)
    assert without_times(found) == without_times(alone)


PROGRAM = """
import importlib.util, sys, pathlib
from fitwell.cure import cure, job
from fitwell.studies.executor import InProcess
spec = importlib.util.spec_from_file_location("determinism", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["determinism"] = module
spec.loader.exec_module(module)
job.executor_for = lambda *args, **options: InProcess()
cure(module.deep_task(), runs=20, seeds=2, out=sys.argv[2])
"""


def started(out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", PROGRAM, __file__, str(out)])


def result(out: Path) -> dict[str, object]:
    return json.loads((out / "result.json").read_text()) | {"seconds": 0}


def runs_kept(out: Path) -> int:
    from fitwell.studies.store import Store

    return Store(out / "study.db", higher_is_better=True).runs


@pytest.mark.slow
def test_a_cure_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert started(whole).wait() == 0
    random, kept, kills = Random(7), 0, 0
    while kills < 5 and not (broken / "result.json").exists():
        process = started(broken)
        grown = kept + random.randrange(1, 8)
        while process.poll() is None and not (broken / "result.json").exists():
            time.sleep(random.uniform(0.0, 0.05))
            if (broken / "study.db").exists() and runs_kept(broken) >= grown:
                break
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        now = runs_kept(broken)
        assert now >= kept
        kept = now
    assert kills >= 2
    if not (broken / "result.json").exists():
        assert started(broken).wait() == 0
    assert result(broken) == result(whole)
