"""Finished runs put into the SQLite file of a study, many in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import final

import sqlalchemy as sa

from fitwell.studies.job import Done, Job
from fitwell.studies.storage.address import connected
from fitwell.studies.storage.schema import Schema
from fitwell.studies.storage.trials import Trials


@final
class Keeper:
    """Writes finished runs as trials of a study that Optuna has made.

    Args:
        path: The SQLite file.
        study: Name of the study in it.
    """

    def __init__(self, path: Path, study: str) -> None:
        self._engine = connected(sa.URL.create("sqlite", database=str(path)))
        schema = Schema(self._engine)
        number = schema.number_of(study)
        assert number is not None
        self._study, self._trials = number, Trials(schema)
        self._engine.dispose()

    def keep(self, results: Mapping[Job, Done], clock: float) -> None:
        """Write what became of jobs, all of it or none, and what the clock said.

        When this returns, it is on the disk.
        """
        with self._engine.begin() as connection:
            numbers = self._trials.add(connection, self._study, tuple(results))
            self._trials.move(connection, numbers, "RUNNING")
            self._trials.finish(connection, numbers, list(results.values()), clock=clock)
        self._engine.dispose()
