"""Ray as the place where runs are done: a cluster that is there, or one of this machine alone."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar, final

import numpy as np
import torch

from fitwell.errors import BadInput, WorkerLost, require
from fitwell.studies.carrying import received, sent
from fitwell.studies.executor import cores
from fitwell.studies.referring import Reference, dumps, loads, name_of

Job = TypeVar("Job")
Result = TypeVar("Result")
Value = TypeVar("Value")

RETRIES = 2
"""How often a batch is done again whose worker was killed."""
SCHEME = "ray://"
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
}
"""What keeps Ray from writing to the terminal; a user's own settings stay."""
ANSWER = 5.0
"""Seconds within which the port of a cluster has to answer."""


@final
class Ray:
    """Performs jobs as Ray tasks of one core and one thread each, or of one GPU each.

    Shared values lie in Ray's object store and are read once by each worker process. A job whose
    worker is killed is done again. The cluster needs the same versions of Python, Ray and fitwell
    as this process.

    Args:
        address: ``ray://HOST:PORT`` of a cluster; None for the one that this process has joined
            already, else for a new one on this machine that ends with :meth:`close`.
        workers: Cores of a new one on this machine; by default those that this process may use.

    Raises:
        BadInput: If there is no cluster at the address.
        MissingExtra: If Ray is not installed.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        self._ray = require("ray", extra="ray")
        self._ours = not self._ray.is_initialized()
        if address is not None:
            _check(address)
            if not self._ours:
                raise BadInput("This process has joined a Ray cluster already: leave it first.")
        if self._ours:
            _begin(self._ray, address, workers or cores())
        self._resources: dict[str, float] = self._ray.cluster_resources()
        self.workers = max(1, int(self._resources.get("CPU", 1)))
        self._values: dict[str, Any] = {}

    def share(self, value: Value) -> Callable[[], Value]:
        """Put the value into the object store."""
        data = dumps(value)
        name = name_of(data)
        if name not in self._values:
            self._values[name] = self._ray.put(np.frombuffer(data, np.uint8))
        return Reference(name, value)

    def map(
        self, function: Callable[[Job], Result], jobs: Iterable[Job]
    ) -> Iterator[tuple[Job, Result]]:
        """Yield every job with its result, in order of completion.

        Raises:
            WorkerLost: If the workers that did a job were killed, three in a row.
        """
        ray = self._ray
        perform, width = self._remote(function)
        call = ray.put(dumps(sent(function)))
        waiting = iter(jobs)
        running: dict[Any, Job] = {}
        try:
            while True:
                for job in islice(waiting, width - len(running)):
                    running[perform.remote(call, self._values, job)] = job
                if not running:
                    return
                done, _ = ray.wait(list(running), num_returns=1)
                for reference in done:
                    job = running.pop(reference)
                    yield job, received(function, self._result(reference, job))
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def close(self, *, now: bool = False) -> None:
        """Leave the cluster, and end it if it is one of this process alone."""
        self._values.clear()
        if self._ours:
            self._ray.shutdown()

    def _remote(self, function: object) -> tuple[Any, int]:
        """Return what performs a job, and how many of it run at the same time."""
        options: dict[str, Any] = {"num_cpus": 1, "max_retries": RETRIES, "max_calls": 0}
        width = self.workers
        if str(getattr(function, "device", "cpu")).startswith("cuda"):
            options["num_gpus"] = 1
            width = max(1, min(width, int(self._resources.get("GPU", 0))))
        return self._ray.remote(**options)(_perform), width

    def _result(self, reference: Any, job: object) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            raise error.cause from error
        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError) as error:
            named = ", ".join(map(str, job)) if isinstance(job, tuple) else str(job)
            raise WorkerLost(
                f"{RETRIES + 1} workers in a row were killed, each of them at {named}: most likely "
                "it needs more memory than there is; what was finished is kept."
            ) from error


def _begin(ray: Any, address: str | None, workers: int) -> None:
    """Join a cluster, or start one, without a word."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
        return
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInput(
            f"Cannot join the Ray cluster at {address}: {said[0]}. It needs the same versions of "
            "Ray and Python; if it asks for a token, set RAY_AUTH_MODE=token."
        ) from error


def _check(address: str) -> None:
    """Look whether anybody answers, so that Ray does not try for a minute.

    Raises:
        BadInput: If not, or if it is no address.
    """
    host, _, port = address.removeprefix(SCHEME).rpartition(":")
    if not address.startswith(SCHEME) or not host or not port.isdecimal():
        raise BadInput(f"A Ray cluster is given as ray://HOST:PORT, got {address!r}.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise BadInput(
            f"No Ray cluster answers at {address} ({error}): start one with `ray start --head "
            "--ray-client-server-port=10001`, or mend the address."
        ) from None


def _perform(call: bytes, values: dict[str, Any], job: Any) -> Any:
    """Do a job in a worker process."""
    torch.set_num_threads(1)
    return loads(call, lambda name: _value(values[name]))(job)


@lru_cache(maxsize=2)
def _value(reference: Any) -> Any:
    """Return a shared value, read once a process: tensors of its own, safe to write to."""
    return loads(memoryview(require("ray").get(reference)), _no_more)


def _no_more(name: str) -> Any:
    raise KeyError(name)  # a shared value holds no other
