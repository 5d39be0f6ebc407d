from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from fitwell.errors import WorkerLost
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
    shared = pool._folder
    pool.close(now=True)
    assert not shared.exists()
    assert not any(_alive(pid) for pid in pids)


def test_a_short_study_stays_in_the_process():
    assert isinstance(executor_for(10, 0.1), InProcess)
    assert isinstance(executor_for(1, 1000.0), InProcess)
    assert isinstance(executor_for(100, 10.0, device="cuda"), InProcess)


def test_a_worker_that_is_killed_loses_one_job_that_is_done_again(processes, tmp_path):
    def once_killed(job):
        mark = tmp_path / f"seen-{job}"
        if job == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with (tmp_path / f"done-{job}").open("a") as file:
            file.write("x")
        return job * 10

    found = dict(processes.map(once_killed, range(6)))
    assert found == {job: job * 10 for job in range(6)}
    assert [(tmp_path / f"done-{job}").read_text() for job in range(6)] == ["x"] * 6


def test_a_job_that_kills_every_worker_is_one_clear_error(processes):
    def deadly(batch):
        if batch[0].seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return [0]

    batches = [(Job((), seed, arm="wide"),) for seed in range(3)]
    with pytest.raises(WorkerLost, match="the run of 'wide' with seed 1") as caught:
        list(processes.map(deadly, batches))
    assert "\n" not in str(caught.value)
    assert [n for _, n in processes.map(abs, [-3])] == [3]


def test_a_batch_that_is_too_large_for_the_memory_is_done_one_by_one(processes):
    def greedy(batch):
        if len(batch) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return [-job for job in batch]

    found = dict(processes.map(greedy, [(1, 2, 3), (4,)]))
    assert found == {(1,): [-1], (2,): [-2], (3,): [-3], (4,): [-4]}


def test_workers_map_the_data_of_a_task_and_hold_no_copy(make_task, processes):
    task = make_task()
    large = torch.zeros(1 << 22)
    task.make_model = lambda: large

    def mapped_bytes(job):
        share().make_model().sum()
        lines = Path("/proc/self/smaps").read_text().splitlines()
        at = next(n for n, line in enumerate(lines) if line.endswith(".bin"))
        facts = dict(line.split(":", 1) for line in lines[at + 1 : at + 20] if ":" in line)
        return int(facts["Anonymous"].split()[0]), int(facts["Rss"].split()[0])

    share = processes.share(task)
    for _, (copied, resident) in processes.map(mapped_bytes, range(2)):
        assert copied == 0
        assert resident >= large.numel() * 4 // 1024


SCRIPT = textwrap.dedent(
    """
    import os, sys, time
    from fitwell.studies.executor import Processes
    if __name__ == "__main__":
        pool = Processes(2)
        def work(job):
            print(os.getpid(), flush=True)
            time.sleep(600)
        print(pool._folder, flush=True)
        try:
            list(pool.map(work, [0, 1]))
        finally:
            pool.close(now=True)
    """
)


@pytest.mark.parametrize(
    "ending",
    [
        signal.SIGINT,
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_nothing_is_left_of_a_study_that_is_ended(ending, tmp_path):
    script = tmp_path / "study.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        folder = Path(parent.stdout.readline().decode().strip())
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        assert folder.exists()
        assert all(map(_alive, workers))
        if ending is signal.SIGINT:  # as a terminal sends it: to everyone
            os.killpg(parent.pid, ending)
        else:
            parent.send_signal(ending)
        parent.wait(30)
    _wait_until(lambda: not _members(parent.pid) and not folder.exists())
    assert not _members(parent.pid)
    assert not folder.exists()


@pytest.mark.slow
def test_ctrl_c_while_workers_start_leaves_nothing(tmp_path):
    script = tmp_path / "study.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        _wait_until(lambda: len(_members(parent.pid)) >= 3)
        os.killpg(parent.pid, signal.SIGINT)
        parent.wait(30)
    _wait_until(lambda: not _members(parent.pid))
    assert not _members(parent.pid)


def _wait_until(happened) -> None:
    deadline = time.monotonic() + 20
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.05)


def _members(session: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with Path(f"/proc/{pid}/stat").open() as stat:
        return stat.read().split()[2] != "Z"
