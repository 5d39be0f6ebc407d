"""What a worker does to the queue: it takes a batch on, shows that it lives, brings results."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import final

import sqlalchemy as sa

from fitwell.studies.carrying import Carried
from fitwell.studies.job import Batch, Results
from fitwell.studies.storage.batches import DONE, FAILED, RUNNING, WAITING, change
from fitwell.studies.storage.schema import Schema
from fitwell.studies.storage.trials import Trials


@final
@dataclass(frozen=True)
class Claim:
    """A batch that a worker has taken on.

    Args:
        batch: Its number.
        study: Number of its study.
        call: Name of the value that does it.
        trials: The trials of its jobs.
        jobs: What to do.
        grace: Seconds without a sign after which it is given to another worker.
        tries: How many workers have taken it on, with this one.
    """

    batch: int
    study: int
    call: str
    trials: tuple[int, ...]
    jobs: Batch
    grace: float
    tries: int


@final
class Claims:
    """The queue as one worker sees it. Every method is one transaction.

    A batch belongs to the worker that turned it from waiting to running, until that worker is
    done, gives it back, or shows no sign for the batch's grace. What a worker brings that no
    longer holds the batch is not taken.

    Args:
        engine: The database.
        schema: Its tables.
        worker: Name of the worker, which nobody else has.
        study: Number of the study to work for, or None for all.
        made_with: Versions that the worker has.
    """

    def __init__(
        self, engine: sa.Engine, schema: Schema, worker: str, study: int | None, made_with: str
    ) -> None:
        self._engine, self._schema, self.worker = engine, schema, worker
        self._study, self._made_with = study, made_with
        self._trials = Trials(schema)

    def claim(self) -> Claim | None:
        """Take on the batch that has waited longest, or None if none waits."""
        table = self._schema.batches
        first = (
            sa.select(table)
            .where(table.c.state == WAITING, table.c.made_with == self._made_with)
            .order_by(table.c.batch)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if self._study is not None:
            first = first.where(table.c.study == self._study)
        with self._engine.begin() as connection:
            row = connection.execute(first).first()
            if row is None:
                return None
            mine = {"worker": self.worker, "beat": self._schema.now, "tries": row.tries + 1}
            if not change(connection, self._schema, row.batch, WAITING, state=RUNNING, **mine):
                return None
            trials = json.loads(row.trials)
            self._trials.move(connection, trials, "RUNNING")
            jobs = self._trials.jobs(connection, trials)
            return Claim(
                row.batch, row.study, row.call, tuple(trials), jobs, row.grace, row.tries + 1
            )

    def others_wait_for(self) -> str | None:
        """Return versions that a waiting batch asks for and this worker has not, or None."""
        table = self._schema.batches
        row = sa.select(table.c.made_with).where(
            table.c.state == WAITING, table.c.made_with != self._made_with
        )
        with self._engine.begin() as connection:
            return connection.execute(row.limit(1)).scalar_one_or_none()

    def finish(self, claim: Claim, outcome: Results | Carried) -> bool:
        """Write what a batch gave, and say whether the worker still held it."""
        carried = outcome if isinstance(outcome, Carried) else Carried(outcome, {})
        place = {"study": claim.study, "batch": claim.batch}
        files = [place | {"name": name, "data": d} for name, d in carried.files.items()]
        with self._engine.begin() as connection:
            held = self._leave(connection, claim, state=DONE)
            if held:
                self._trials.finish(connection, claim.trials, carried.results)
                if files:
                    connection.execute(sa.insert(self._schema.files), files)
            return held

    def fail(self, claim: Claim, error: str) -> None:
        """Write why a batch cannot be done."""
        with self._engine.begin() as connection:
            if self._leave(connection, claim, state=FAILED, error=error):
                self._trials.fail(connection, claim.trials, error)

    def give_back(self, claim: Claim) -> None:
        """Put back a batch that the worker leaves in good order: no worker was lost at it."""
        free = {"worker": None, "tries": claim.tries - 1}
        with self._engine.begin() as connection:
            if self._leave(connection, claim, state=WAITING, **free):
                self._trials.move(connection, claim.trials, "WAITING")

    def beat(self) -> None:
        """Show that the worker is there, and at its batch."""
        batches, workers, now = self._schema.batches, self._schema.workers, self._schema.now
        with self._engine.begin() as connection:
            seen = sa.update(workers).where(workers.c.worker == self.worker).values(beat=now)
            if connection.execute(seen).rowcount == 0:
                known = {"study": self._study, "made_with": self._made_with}
                added = sa.insert(workers).values(worker=self.worker, beat=now, **known)
                connection.execute(added)
            held = sa.update(batches).where(
                batches.c.state == RUNNING, batches.c.worker == self.worker
            )
            connection.execute(held.values(beat=now))

    def leave(self) -> None:
        """Say that the worker is no longer there."""
        workers = self._schema.workers
        with self._engine.begin() as connection:
            connection.execute(sa.delete(workers).where(workers.c.worker == self.worker))

    def _leave(self, connection: sa.Connection, claim: Claim, **values: object) -> bool:
        return change(connection, self._schema, claim.batch, RUNNING, held_by=self.worker, **values)
