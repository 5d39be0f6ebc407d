"""A clock that a busy machine does not disturb: processor time of this process, on one thread."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

from fitwell.cure import job
from fitwell.studies import training
from fitwell.studies.budget import Budget
from fitwell.studies.executor import InProcess
from fitwell.studies.stacked import fitting

CORES = 2
"""Cores that a budget is meant for: so much more processor time it allows."""


def _here(*args: object, **options: object) -> InProcess:
    return InProcess()


@contextmanager
def processor_time() -> Iterator[None]:
    """Let a cure run in this process alone, its clocks counting processor time over two cores.

    A second on the clock is then two seconds of work, which two free cores do in one. What two
    processes lose to each other, and what is not done in parallel, is not counted.
    """
    started = time.process_time()

    def elapsed() -> float:
        return (time.process_time() - started) / CORES

    clock = SimpleNamespace(perf_counter=elapsed)
    with (
        patch.dict(Budget.__init__.__kwdefaults__, {"now": elapsed}),
        patch.object(training, "time", clock),
        patch.object(fitting, "time", clock),
        patch.object(job, "executor_for", _here),
    ):
        yield
