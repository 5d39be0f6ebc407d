"""What the coordinator of a shared study does to the queue: it asks for runs and collects them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import final

import sqlalchemy as sa

from fitwell.studies.job import Batch, Done, Job
from fitwell.studies.storage.batches import DONE, FAILED, RUNNING, WAITING, WITHDRAWN, change
from fitwell.studies.storage.schema import Schema
from fitwell.studies.storage.trials import Trials

ALIVE = 15.0
"""Seconds after its last sign that a worker still counts as there."""


@final
class Orders:
    """The batches of one study, as its coordinator sees them. Every method is one transaction.

    Args:
        engine: The database.
        schema: Its tables.
        study: Number of the study.
        made_with: Versions that a worker must have.
        grace: Seconds without a sign after which a batch is taken from its worker.
    """

    def __init__(
        self, engine: sa.Engine, schema: Schema, study: int, *, made_with: str, grace: float
    ) -> None:
        self._engine, self._schema, self._study = engine, schema, study
        self._made_with, self._grace = made_with, grace
        self._trials = Trials(schema)

    def publish(self, call: str, jobs: Batch) -> tuple[int, list[int]]:
        """Add a batch with its trials, and return their numbers: all of it is seen, or nothing."""
        with self._engine.begin() as connection:
            trials = self._trials.add(connection, self._study, jobs)
            added = sa.insert(self._schema.batches).values(
                study=self._study,
                state=WAITING,
                call=call,
                made_with=self._made_with,
                trials=json.dumps(trials),
                grace=self._grace,
                tries=0,
            )
            key = connection.execute(added).inserted_primary_key
            assert key is not None
            return int(key[0]), trials

    def ended(self, batches: Iterable[int]) -> dict[int, str | None]:
        """Return those batches that have ended, with the error of one that failed."""
        table = self._schema.batches
        rows = sa.select(table.c.batch, table.c.error).where(
            table.c.batch.in_(list(batches)), table.c.state.in_((DONE, FAILED))
        )
        with self._engine.begin() as connection:
            return {row.batch: row.error for row in connection.execute(rows)}

    def results(self, trials: Mapping[int, Job]) -> dict[Job, Done]:
        """Return what became of jobs, by their trials."""
        with self._engine.begin() as connection:
            return self._trials.results(connection, trials)

    def files(self) -> dict[str, bytes]:
        """Take out of the database the files that came with results."""
        table = self._schema.files
        taken = sa.delete(table).where(table.c.study == self._study)
        with self._engine.begin() as connection:
            rows = connection.execute(taken.returning(table.c.name, table.c.data)).all()
            return {row.name: bytes(row.data) for row in rows}

    def answered(self) -> dict[str, int]:
        """Return the trials that have a result, by the keys of their jobs."""
        with self._engine.begin() as connection:
            return self._trials.answered(connection, self._study)

    def open(self) -> dict[str, tuple[int, int]]:
        """Return batch and trial of every job that waits or runs, by the key of the job."""
        table = self._schema.batches
        rows = sa.select(table.c.batch, table.c.trials).where(
            table.c.study == self._study, table.c.state.in_((WAITING, RUNNING))
        )
        found: dict[str, tuple[int, int]] = {}
        with self._engine.begin() as connection:
            for row in connection.execute(rows).all():
                trials = json.loads(row.trials)
                jobs = self._trials.jobs(connection, trials)
                found |= {j.key: (row.batch, t) for t, j in zip(trials, jobs, strict=True)}
        return found

    def withdraw(self, batches: Iterable[int]) -> None:
        """Take back those batches that nobody has begun."""
        table = self._schema.batches
        rows = sa.select(table.c.batch, table.c.trials).where(
            table.c.batch.in_(list(batches)), table.c.state == WAITING
        )
        with self._engine.begin() as connection:
            for row in connection.execute(rows.with_for_update()).all():
                if change(connection, self._schema, row.batch, WAITING, state=WITHDRAWN):
                    self._trials.fail(connection, json.loads(row.trials), "withdrawn")

    def workers(self) -> int:
        """Count the workers that are there for this study."""
        table = self._schema.workers
        count = sa.select(sa.func.count()).where(
            table.c.beat > self._schema.now - ALIVE,
            table.c.made_with == self._made_with,
            sa.or_(table.c.study.is_(None), table.c.study == self._study),
        )
        with self._engine.begin() as connection:
            return int(connection.execute(count).scalar_one())
