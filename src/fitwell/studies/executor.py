"""Where runs are performed: in this process, or in one process a core."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar, final

from fitwell.errors import require

Job = TypeVar("Job")
Result = TypeVar("Result")
Value = TypeVar("Value")

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}
SHORT = 12.0
"""Seconds of work that are not worth the start of worker processes (import of torch: 2 to 4 s)."""


class Executor(Protocol):
    """Performs jobs, many at once or not; what comes back does not depend on it."""

    workers: int
    """How many jobs run at the same time."""

    def share(self, value: Value) -> Callable[[], Value]:
        """Return a small picklable call that gives ``value`` wherever a job runs."""

    def map(
        self, function: Callable[[Job], Result], jobs: Iterable[Job]
    ) -> Iterator[tuple[Job, Result]]:
        """Yield every job with its result, as they are done.

        Jobs are drawn one by one, in order, and only when a worker is free for the next: an
        iterable may decide late whether there is another job.
        """

    def close(self, *, now: bool = False) -> None:
        """End the workers: after their job, or at once."""


@final
class InProcess:
    """Performs one job after another, here."""

    workers = 1

    def share(self, value: Value) -> Callable[[], Value]:
        """Return a call that gives the value itself."""
        return lambda: value

    def map(
        self, function: Callable[[Job], Result], jobs: Iterable[Job]
    ) -> Iterator[tuple[Job, Result]]:
        """Yield every job with its result, in order."""
        for job in jobs:
            yield job, function(job)

    def close(self, *, now: bool = False) -> None:
        """Do nothing: there are no workers."""


@final
class Processes:
    """Performs jobs in worker processes of one thread each.

    Workers start at the first job. They do not import the user's ``__main__``; values travel by
    cloudpickle, shared ones once, through a file. A worker ends when this process is gone,
    however it ended.

    Args:
        workers: Number of processes; by default one a core that this process may use.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores()
        self._pool: Any = None
        self._shared = Path(tempfile.mkdtemp(prefix="fitwell-"))
        self._count = 0

    def share(self, value: Value) -> Callable[[], Value]:
        """Write the value to a file that every worker reads once."""
        self._count += 1
        path = self._shared / f"{self._count}.pkl"
        path.write_bytes(require("cloudpickle").dumps(value))
        return _Shared(str(path))

    def map(
        self, function: Callable[[Job], Result], jobs: Iterable[Job]
    ) -> Iterator[tuple[Job, Result]]:
        """Yield every job with its result, in order of completion."""
        futures = require("concurrent.futures")
        pool = self._started()
        waiting = iter(jobs)
        running = {pool.submit(function, job): job for job in islice(waiting, self.workers)}
        try:
            while running:
                done, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
                for future in done:
                    job = running.pop(future)
                    for following in islice(waiting, 1):
                        running[pool.submit(function, following)] = following
                    yield job, future.result()
        finally:
            for future in running:
                future.cancel()

    def close(self, *, now: bool = False) -> None:
        """End the workers and remove what was shared with them."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=now)
            self._pool = None
        shutil.rmtree(self._shared, ignore_errors=True)

    def _started(self) -> Any:
        if self._pool is None:
            loky = require("joblib.externals.loky")
            self._pool = loky.ProcessPoolExecutor(
                self.workers, initializer=_begin_worker, initargs=(os.getpid(),), env=ONE_THREAD
            )
        return self._pool


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def executor_for(runs: int, seconds_each: float, *, device: str = "cpu") -> Executor:
    """Return worker processes where they save time, this process otherwise.

    A short study stays here, and so does one on an accelerator, which runs would only share.
    """
    if device != "cpu" or runs < 2 or cores() < 2 or runs * seconds_each < SHORT:
        return InProcess()
    return Processes(min(cores(), runs))


@final
class _Shared:
    """Gives the value in a pickle file, read once a process."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self) -> Any:
        return _loaded(self.path)


@lru_cache(maxsize=2)
def _loaded(path: str) -> Any:
    return pickle.loads(Path(path).read_bytes())  # noqa: S301  # written by this very program


def _begin_worker(parent: int) -> None:
    """Leave Ctrl-C to the parent, use one thread, and end when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)  # its first use imports for seconds

    def watch_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch_parent, daemon=True).start()
