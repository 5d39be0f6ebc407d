"""``fitwell worker``: does batches of shared studies until it is told to stop."""

from __future__ import annotations

import os
import random
import secrets
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import final

import sqlalchemy as sa
import torch

from fitwell.studies.storage.address import connected, parsed, patiently, reaching, shown
from fitwell.studies.storage.batches import revive
from fitwell.studies.storage.claims import Claim, Claims
from fitwell.studies.storage.identity import versions_needed
from fitwell.studies.storage.schema import Schema, has_tables
from fitwell.studies.storage.values import Values

BEAT = 5.0
"""Most seconds between two signs of a worker."""
SIGNS = 6
"""Least number of signs within the grace of a batch."""
SOON, LATE = 0.02, 2.0
"""Seconds between two looks for work: just after some, and after a while without."""
TIDYING = 5.0
"""Seconds between two looks of an idle worker for batches whose worker is lost."""


def work(
    address: str,
    *,
    study: str | None = None,
    idle: float | None = None,
    tell: Callable[[str], None],
) -> int:
    """Do batches of shared studies, one after another, and return how many were done.

    The process has one thread, and leaves its batch to others if it is interrupted or
    terminated. Tasks come from the database by unpickling: whoever can write there can have
    code run here.

    Args:
        address: As for :class:`~fitwell.studies.storage.executor.Storage`.
        study: Name of the only study to work for, waited for if it is not there; None for all.
        idle: Seconds without work after which to stop; None to stay.
        tell: Told what goes on, one line each.

    Raises:
        BadInput: If the database cannot be used.
        KeyboardInterrupt: After Ctrl-C or a termination signal; the batch is put back.
    """
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, _interrupt)
    url = parsed(address)
    with reaching(url):
        engine = connected(url)
        clock = _Idle(idle)
        while not has_tables(engine):
            if clock.is_over():
                return _nothing(study, url, tell)
            clock.wait()
        schema, number = Schema(engine), None
        while study and (number := schema.number_of(study)) is None:
            if clock.is_over():
                return _nothing(study, url, tell)
            clock.wait()
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"[-80:]
        claims = Claims(engine, schema, name, number, versions_needed())
        tell(f"{name} works for {study or 'every study'} in {shown(url)}")
        return _Worker(engine, schema, claims, tell).run(idle)


@final
class _Worker:
    """One process at its work."""

    def __init__(
        self, engine: sa.Engine, schema: Schema, claims: Claims, tell: Callable[[str], None]
    ) -> None:
        self._engine, self._schema, self._claims, self._tell = engine, schema, claims, tell
        self._values = Values(engine, schema)
        self._over, self._woken, self._every = False, threading.Event(), BEAT
        self._tidied = 0.0

    def run(self, idle: float | None) -> int:
        """Work until there was nothing to do for ``idle`` seconds."""
        patiently(self._claims.beat)
        heart = threading.Thread(target=self._beat, daemon=True)
        heart.start()
        clock, count, told = _Idle(idle), 0, False
        try:
            while not clock.is_over():
                claim = patiently(self._claims.claim)
                if claim is not None:
                    self._perform(claim)
                    count, clock = count + 1, _Idle(idle)
                    continue
                told = told or self._tidy()
                clock.wait()
        finally:
            self._over = True
            self._woken.set()
            heart.join()
            self._claims.leave()
            self._engine.dispose()
        self._tell(f"{self._claims.worker} has nothing more to do after {count} batches")
        return count

    def _perform(self, claim: Claim) -> None:
        began = time.monotonic()
        if claim.grace < SIGNS * self._every:
            self._every = claim.grace / SIGNS
            self._woken.set()
        try:
            outcome = self._values.get(claim.call)(claim.jobs)
        except KeyboardInterrupt:
            self._claims.give_back(claim)
            self._tell(f"batch {claim.batch} is put back")
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the coordinator is told
            story = self._story(claim, error)
            patiently(lambda: self._claims.fail(claim, story))
            self._tell(f"batch {claim.batch} failed: {type(error).__name__}: {error}")
            return
        if patiently(lambda: self._claims.finish(claim, outcome)):
            took = time.monotonic() - began
            self._tell(f"batch {claim.batch}: {len(claim.jobs)} runs in {took:.1f} s")
        else:
            self._tell(f"batch {claim.batch} was given to another worker: not counted here")

    def _story(self, claim: Claim, error: Exception) -> str:
        runs = ", ".join(f"{job.arm or 'untreated'!r} with seed {job.seed}" for job in claim.jobs)
        return (
            f"The runs of {runs} failed at {self._claims.worker}: {type(error).__name__}: {error}\n"
            + "".join(traceback.format_exception(error))
        )

    def _beat(self) -> None:
        while not self._over:
            self._woken.wait(self._every)
            self._woken.clear()
            try:
                self._claims.beat()
            except sa.exc.DBAPIError:
                continue  # the next one may come through; if none does, the batch goes to others

    def _tidy(self) -> bool:
        """Look, not too often, after lost workers; say if what waits is not for this one."""
        now = time.monotonic()
        if now - self._tidied < TIDYING:
            return False
        self._tidied = now
        patiently(lambda: revive(self._engine, self._schema))
        wanted = patiently(self._claims.others_wait_for)
        if wanted is None:
            return False
        self._tell(f"runs wait for a worker with {wanted}, and this one has {versions_needed()}")
        return True


@final
class _Idle:
    """How long there was nothing to do, and how long to wait until the next look."""

    def __init__(self, most: float | None) -> None:
        self._end = time.monotonic() + most if most is not None else None
        self._pause = SOON

    def is_over(self) -> bool:
        """Say whether it was long enough to stop."""
        return self._end is not None and time.monotonic() > self._end

    def wait(self) -> None:
        """Wait, longer each time, and not in step with other workers."""
        time.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
        self._pause = min(LATE, 1.5 * self._pause)


def _nothing(study: str | None, url: sa.URL, tell: Callable[[str], None]) -> int:
    tell(f"no study{f' {study!r}' if study else ''} to work for in {shown(url)}")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
