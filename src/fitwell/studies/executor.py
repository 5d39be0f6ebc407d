"""Where runs are performed: in this process, or in one process a core."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, final

from fitwell.errors import WorkerLost, require
from fitwell.studies.sharing import shared

Job = TypeVar("Job")
Result = TypeVar("Result")
Value = TypeVar("Value")

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}
TRIES = 3
"""How many workers may be killed at a job before it is given up."""
SHORT = 12.0
"""Seconds of work that are not worth the start of worker processes (import of torch: 2 to 4 s)."""


class Executor(Protocol):
    """Performs jobs, many at once or not; what comes back does not depend on it."""

    @property
    def workers(self) -> int:
        """How many jobs run at the same time."""

    def share(self, value: Value) -> Callable[[], Value]:
        """Return a small picklable call that gives ``value`` wherever a job runs."""

    def map(
        self, function: Callable[[Job], Result], jobs: Iterable[Job]
    ) -> Iterator[tuple[Job, Result]]:
        """Yield every job with its result, as they are done.

        Jobs are drawn one by one, in order, and only when a worker is free for the next: an
        iterable may decide late whether there is another job. A job that is a tuple may come back
        in parts.
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
    cloudpickle, large arrays of a shared one through files that all workers map. A worker ends
    when this process is gone, however it ended. One that is killed costs the job that it was at,
    which is done again by a new worker.

    Args:
        workers: Number of processes; by default one a core that this process may use.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores()
        self._folder = Path(tempfile.mkdtemp(prefix="fitwell-"))
        self._forget = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._pool = [_Worker(str(self._folder)) for _ in range(self.workers)]

    def share(self, value: Value) -> Callable[[], Value]:
        """Write the value to files that every worker maps."""
        return shared(value, self._folder)

    def map(
        self, function: Callable[[Job], Result], jobs: Iterable[Job]
    ) -> Iterator[tuple[Job, Result]]:
        """Yield every job with its result, in order of completion.

        A job that is a tuple of several and was at work when two workers were killed is taken
        apart: what needs too much memory at once may well be done one by one.

        Raises:
            WorkerLost: If the workers that did a job were killed, three in a row.
        """
        wait = require("concurrent.futures").wait
        waiting = _Waiting(jobs)
        running: dict[Any, tuple[_Worker, Job, int]] = {}

        def begin(worker: _Worker) -> None:
            for job, tries in islice(waiting, 1):
                running[worker.submit(function, job)] = worker, job, tries

        try:
            for worker in self._pool:
                begin(worker)
            while running:
                done, _ = wait(running, return_when="FIRST_COMPLETED")
                for future in done:
                    worker, job, tries = running.pop(future)
                    killed = _was_killed(future)
                    if killed:
                        worker.end(now=True)
                        waiting.again(job, tries)
                    begin(worker)
                    if not killed:
                        yield job, future.result()
        finally:
            for worker, _, _ in running.values():
                worker.end(now=True)

    def close(self, *, now: bool = False) -> None:
        """End the workers and remove what was shared with them."""
        for worker in self._pool:
            worker.end(now=now)
        self._forget()


@final
class _Waiting(Generic[Job]):
    """Jobs in order, each with the number of the attempt; lost ones come first, again."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._fresh, self._lost = iter(jobs), deque[tuple[Job, int]]()

    def __iter__(self) -> Iterator[tuple[Job, int]]:
        return self

    def __next__(self) -> tuple[Job, int]:
        return self._lost.popleft() if self._lost else (next(self._fresh), 1)

    def again(self, job: Job, tries: int) -> None:
        """Put back a job at whose attempt of that number a worker was killed.

        Raises:
            WorkerLost: If it was the last attempt.
        """
        if tries == TRIES:
            raise _lost(job)
        parts: list[Any] = [job]
        if isinstance(job, tuple) and tries == TRIES - 1:
            parts = [(one,) for one in job]
        self._lost.extend((part, tries + 1) for part in parts)


@final
class _Worker:
    """A process that does one job at a time; it starts at its first, and again after its end.

    Each is a pool of its own, so that the death of one leaves the others at their work.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._process: Any = None

    def submit(self, function: Callable[[Job], Result], job: Job) -> Any:
        """Begin a job and return its future."""
        if self._process is None:
            loky = require("joblib.externals.loky")
            self._process = loky.ProcessPoolExecutor(
                1, initializer=_begin_worker, initargs=(os.getpid(), self._folder), env=ONE_THREAD
            )
        return self._process.submit(function, job)

    def end(self, *, now: bool) -> None:
        """End the process: after its job, or at once."""
        if self._process is not None:
            self._process.shutdown(wait=True, kill_workers=now)
            self._process = None


def _was_killed(future: Any) -> bool:
    broken = require("joblib.externals.loky.process_executor").BrokenProcessPool
    return isinstance(future.exception(), broken)


def _lost(job: object) -> WorkerLost:
    named = ", ".join(map(str, job)) if isinstance(job, tuple) else str(job)
    return WorkerLost(
        f"{TRIES} worker processes in a row were killed, each of them at {named}: most likely it "
        "needs more memory than there is. Make the network or the batch smaller, or free memory; "
        "what was finished is kept."
    )


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


def _begin_worker(parent: int, folder: str) -> None:
    """Leave Ctrl-C to the parent, use one thread, and end when the parent is gone.

    What was shared then goes too: there is nobody else left to remove it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)  # its first use imports for seconds

    def watch_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch_parent, daemon=True).start()
