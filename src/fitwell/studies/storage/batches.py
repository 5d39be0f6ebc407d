"""The states of a batch, and what brings one back whose worker is gone."""

from __future__ import annotations

import json

import sqlalchemy as sa

from fitwell.studies.storage.schema import Schema
from fitwell.studies.storage.trials import Trials

WAITING, RUNNING, DONE, FAILED, WITHDRAWN = "waiting", "running", "done", "failed", "withdrawn"
TRIES = 3
"""How many workers may be lost at a batch before it is given up."""


def change(
    connection: sa.Connection,
    schema: Schema,
    batch: int,
    found: str,
    /,
    *,
    held_by: str | None = None,
    **values: object,
) -> bool:
    """Change a batch if it is in a state, and say whether it was.

    Of many who try at the same time one succeeds: the condition is part of the update.

    Args:
        connection: The transaction.
        schema: The tables.
        batch: Which one.
        found: The state that it must be in.
        held_by: The worker that must hold it, or None for any.
        values: What to set.
    """
    table = schema.batches
    changed = sa.update(table).where(table.c.batch == batch, table.c.state == found)
    if held_by is not None:
        changed = changed.where(table.c.worker == held_by)
    return connection.execute(changed.values(**values)).rowcount == 1


def revive(engine: sa.Engine, schema: Schema) -> int:
    """Put back the batches whose workers show no sign any more, and return how many.

    One that has lost too many workers has failed.
    """
    table, trials = schema.batches, Trials(schema)
    stale = sa.select(table.c.batch, table.c.trials, table.c.tries, table.c.worker).where(
        table.c.state == RUNNING, table.c.beat < schema.now - table.c.grace
    )
    with engine.begin() as connection:
        rows = connection.execute(stale.with_for_update(skip_locked=True)).all()
        for row in rows:
            numbers = json.loads(row.trials)
            if row.tries < TRIES:
                change(connection, schema, row.batch, RUNNING, state=WAITING, worker=None)
                trials.move(connection, numbers, "WAITING")
            else:
                why = f"{TRIES} workers in a row were lost at it, the last one {row.worker}"
                change(connection, schema, row.batch, RUNNING, state=FAILED, error=why)
                trials.fail(connection, numbers, why)
    return len(rows)
