from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from fitwell.records import RemedySpec, RunRecord
from fitwell.studies.bench import Bench
from fitwell.studies.executor import InProcess, Processes, executor_for
from fitwell.studies.job import Job

JOBS = [
    Job((), 0, test=True, arm="untreated"),
    Job((RemedySpec("Dropout", {"rate": 0.5}),), 0, test=True, arm="dropout"),
    Job((RemedySpec("BatchNorm"), RemedySpec("L2", {"strength": 0.1})), 1, 3.0, arm="both"),
]


@pytest.fixture(scope="module")
def processes():
    pool = Processes(2)
    yield pool
    pool.close()


def plain(done):
    return [{**vars(run), "seconds": 0} for run in done.values() if isinstance(run, RunRecord)]


def test_worker_processes_give_the_same_runs_as_this_one(task, processes):
    here = Bench(task, InProcess()).run(JOBS)
    there = Bench(task, processes).run(JOBS)
    assert list(here) == list(there) == JOBS
    assert plain(here) == plain(there)
    assert len(plain(here)) == 3


def test_a_factory_that_cannot_be_imported_travels(make_task, processes):
    width = 5
    task = make_task()
    task.make_model = lambda: __import__("torch").nn.Linear(4, width)
    done = Bench(task, processes).run([Job((), 0)])
    assert plain(done)[0]["parameters"] == 25


def test_workers_have_one_thread_and_do_not_import_main(processes):
    def look(job):
        import torch

        import __main__

        return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"], hasattr(__main__, "marker")

    __import__("__main__").marker = 1
    try:
        assert [found for _, found in processes.map(look, [0])] == [(1, "1", False)]
    finally:
        del __import__("__main__").marker


def test_jobs_are_drawn_only_when_a_worker_is_free(processes):
    drawn = []

    def jobs():
        for number in range(6):
            drawn.append(number)
            yield number

    results = processes.map(abs, jobs())
    next(results)
    assert len(drawn) <= 4
    assert len(list(results)) == 5
    assert drawn == list(range(6))


def test_an_error_in_a_worker_reaches_the_caller(processes):
    with pytest.raises(ZeroDivisionError):
        list(processes.map(lambda job: 1 / job, [0]))


def test_a_closed_pool_leaves_no_process_and_no_file():
    pool = Processes(1)
    pool.share("something")
    pids = [pid for _, pid in pool.map(lambda job: os.getpid(), [0])]
    shared = pool._shared
    pool.close(now=True)
    assert not shared.exists()
    assert not any(_alive(pid) for pid in pids)


def test_workers_end_when_their_parent_is_killed(tmp_path):
    code = textwrap.dedent(
        """
        import os, sys, time
        from fitwell.studies.executor import Processes
        pool = Processes(1)
        print(next(pool.map(lambda job: os.getpid(), [0]))[1], flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert _alive(worker)
        parent.kill()
    deadline = time.monotonic() + 10
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(worker)


def test_a_short_study_stays_in_the_process():
    assert isinstance(executor_for(10, 0.1), InProcess)
    assert isinstance(executor_for(1, 1000.0), InProcess)
    assert isinstance(executor_for(100, 10.0, device="cuda"), InProcess)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with Path(f"/proc/{pid}/stat").open() as stat:
        return stat.read().split()[2] != "Z"
