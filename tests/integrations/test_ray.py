from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import cloudpickle
import pytest
import torch

from fitwell.errors import BadInput, WorkerLost
from fitwell.integrations.ray import Ray
from fitwell.records import RemedySpec
from fitwell.studies import InProcess
from fitwell.studies.bench import Bench
from fitwell.studies.job import Job
from fitwell.tasks import Data, Split, Task

JOBS = [
    *(Job((), seed, test=True, arm="untreated") for seed in range(8)),
    *(Job((RemedySpec("Dropout", {"rate": 0.5}),), seed, arm="dropout") for seed in range(4)),
]


def rows(count: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=generator)
    return Split(x, (x[:, 0] > 0).long())


def network():
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))


@pytest.fixture(scope="module")
def task():
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    data = Data(rows(40, 0), rows(30, 1), rows(50, 2), "table", ("left", "right"))
    return Task("small", network, data, "cross_entropy", "accuracy", epochs=10)


@pytest.fixture(scope="module")
def cluster():
    ray = Ray(workers=2)
    yield ray
    ray.close()


def plain(done):
    return [{**vars(one), "seconds": 0} for one in done.values()]


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_nothing_in_the_runs(cluster, task, tmp_path):
    def doomed(seed):
        return seed + 1 if (tmp_path / "killed").exists() else kill(seed)

    def kill(seed):
        (tmp_path / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)

    assert sorted(cluster.map(doomed, range(4))) == [(n, n + 1) for n in range(4)]
    bench = Bench(task, cluster, weights=tmp_path / "weights")
    pids = {pid for _, pid in cluster.map(lambda job: (time.sleep(0.3), os.getpid())[1], range(4))}
    killer = threading.Timer(0.05, os.kill, (min(pids), signal.SIGKILL))
    killer.start()
    there = bench.run(JOBS)
    killer.join()
    assert plain(there) == plain(Bench(task, InProcess(), weights=tmp_path / "here").run(JOBS))
    assert list(there) == JOBS
    names = sorted(file.name for file in (tmp_path / "here").iterdir())
    assert sorted(file.name for file in (tmp_path / "weights").iterdir()) == names
    for name in names:
        here, back = (torch.load(tmp_path / at / name) for at in ("here", "weights"))
        assert all(torch.equal(here[key], back[key]) for key in here)


@pytest.mark.slow
def test_workers_have_one_thread_and_read_a_shared_value_once(cluster):
    big = cluster.share(torch.arange(10))

    def look(job):
        return torch.get_num_threads(), os.getpid(), id(big())

    found = [seen for _, seen in cluster.map(look, range(20))]
    assert {threads for threads, _, _ in found} == {1}
    assert len({pid for _, pid, _ in found}) == len({(pid, at) for _, pid, at in found}) <= 2


@pytest.mark.slow
def test_jobs_are_drawn_only_when_a_worker_is_free(cluster):
    drawn = []

    def jobs():
        for number in range(6):
            drawn.append(number)
            yield number

    results = cluster.map(abs, jobs())
    next(results)
    assert len(drawn) <= 4
    assert len(list(results)) == 5


@pytest.mark.slow
def test_an_error_in_a_worker_reaches_the_caller(cluster):
    with pytest.raises(ZeroDivisionError):
        list(cluster.map(lambda job: 1 / job, [0]))


@pytest.mark.slow
def test_a_job_that_kills_every_worker_is_given_up(cluster, capfd):
    with pytest.raises(WorkerLost, match="3 workers in a row were killed"):
        list(cluster.map(lambda job: os.kill(os.getpid(), signal.SIGKILL), [0]))
    assert capfd.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_when_the_caller_is_stopped(end):
    code = textwrap.dedent(
        """
        import os, time
        from fitwell.integrations.ray import Ray
        ray = Ray(workers=1)
        print(next(ray.map(lambda job: os.getpid(), [0]))[1], flush=True)
        try:
            list(ray.map(lambda job: time.sleep(60), [0]))
        finally:
            ray.close(now=True)
        """
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as caller:
        assert caller.stdout is not None
        worker = int(caller.stdout.readline())
        family = ancestors(worker)
        time.sleep(0.5)
        caller.send_signal(end)
    deadline = time.monotonic() + 30
    while any(map(alive, family)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [pid for pid in family if alive(pid)]


def ancestors(pid: int) -> list[int]:
    """Return a process and those above it, up to this one or the first of all."""
    found = []
    while pid > 1 and pid != os.getpid():
        found.append(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ray://127.0.0.1:1", r"^No Ray cluster answers at ray://127\.0\.0\.1:1 "),
        ("ray://somewhere", "is given as ray://HOST:PORT, got 'ray://somewhere'"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_at_once(address, said):
    with pytest.raises(BadInput, match=said) as refused:
        Ray(address)
    assert "\n" not in str(refused.value)
