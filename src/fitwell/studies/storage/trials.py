"""Runs as trials in Optuna's tables: written so that Optuna and its dashboard read them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias, final

import sqlalchemy as sa
from optuna.distributions import FloatDistribution, IntDistribution, distribution_to_json

from fitwell.records import RunRecord
from fitwell.studies.job import Batch, Done, Job, Results
from fitwell.studies.storage.schema import Schema
from fitwell.studies.store import done_from, job_from_text, job_to_text

_RATES = distribution_to_json(FloatDistribution(1e-6, 1e6, log=True))
_SEEDS = distribution_to_json(IntDistribution(0, 2**31))
_ANSWERS = ("record", "refused")
Row: TypeAlias = dict[str, Any]


@final
class Trials:
    """Reads and writes the trials of a study, each call within somebody's transaction."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def add(self, connection: sa.Connection, study: int, jobs: Batch) -> list[int]:
        """Add a waiting trial for every job and return their numbers in the database."""
        schema, trials = self._schema, self._schema.trials
        held = sa.select(schema.studies.c.study_id).where(schema.studies.c.study_id == study)
        connection.execute(held.with_for_update()).one()  # numbers are given to one at a time
        count = sa.select(sa.func.count()).where(trials.c.study_id == study)
        first = connection.execute(count).scalar_one()
        rows = [
            {"number": first + n, "study_id": study, "state": "WAITING"} for n in range(len(jobs))
        ]
        made = sa.insert(trials).returning(trials.c.trial_id, sort_by_parameter_order=True)
        numbers = [int(row.trial_id) for row in connection.execute(made, rows)]
        given = list(zip(numbers, jobs, strict=True))
        connection.execute(
            sa.insert(schema.params),
            [row for trial, job in given for row in _parameters(trial, job)],
        )
        self._note(connection, [row for trial, job in given for row in _asked(trial, job)])
        return numbers

    def jobs(self, connection: sa.Connection, trials: Sequence[int]) -> Batch:
        """Return the jobs of trials, in their order."""
        attributes = self._schema.attributes
        rows = sa.select(attributes.c.trial_id, attributes.c.value_json).where(
            attributes.c.trial_id.in_(trials), attributes.c.key == "job"
        )
        found = {row.trial_id: row.value_json for row in connection.execute(rows)}
        return tuple(job_from_text(json.loads(found[trial])) for trial in trials)

    def move(self, connection: sa.Connection, trials: Sequence[int], state: str) -> None:
        """Set the state of trials: ``RUNNING`` when begun, ``WAITING`` when put back."""
        began = _now() if state == "RUNNING" else None
        table = self._schema.trials
        moved = sa.update(table).where(table.c.trial_id.in_(trials))
        connection.execute(moved.values(state=state, datetime_start=began))

    def fail(self, connection: sa.Connection, trials: Sequence[int], why: str) -> None:
        """Mark trials as failed, for a reason that is no result."""
        self._end(connection, trials, "FAIL")
        self._note(connection, [_attribute(trial, "lost", why) for trial in trials])

    def finish(
        self,
        connection: sa.Connection,
        trials: Sequence[int],
        results: Results,
        *,
        clock: float | None = None,
    ) -> None:
        """Write what became of the jobs of trials, in their order, and what a clock said."""
        given = list(zip(trials, results, strict=True))
        runs = {trial: done for trial, done in given if isinstance(done, RunRecord)}
        metrics = {trial: run.validation.metric for trial, run in runs.items()}
        scored = {trial: value for trial, value in metrics.items() if not math.isnan(value)}
        self._end(connection, list(scored), "COMPLETE")
        self._end(connection, [trial for trial in trials if trial not in scored], "FAIL")
        if scored:
            values = [_value(trial, metric) for trial, metric in scored.items()]
            connection.execute(sa.insert(self._schema.values), values)
        rows = [_answer(trial, done) for trial, done in given]
        if clock is not None:
            rows += [_attribute(trial, "clock", clock) for trial in trials]
        self._note(connection, rows)

    def results(self, connection: sa.Connection, trials: Mapping[int, Job]) -> dict[Job, Done]:
        """Return what became of jobs, by their trials, under the arms that they are asked for."""
        attributes = self._schema.attributes
        rows = sa.select(attributes.c.trial_id, attributes.c.key, attributes.c.value_json).where(
            attributes.c.trial_id.in_(trials), attributes.c.key.in_(_ANSWERS)
        )
        found = {}
        for row in connection.execute(rows):
            job = trials[row.trial_id]
            found[job] = replace(done_from({row.key: json.loads(row.value_json)}), arm=job.arm)
        return found

    def answered(self, connection: sa.Connection, study: int) -> dict[str, int]:
        """Return the trials of a study that have a result, by the keys of their jobs."""
        table, asked = self._schema.trials, self._schema.attributes
        answer = self._schema.attributes.alias()
        rows = (
            sa.select(table.c.trial_id, asked.c.value_json)
            .join(asked, sa.and_(asked.c.trial_id == table.c.trial_id, asked.c.key == "job"))
            .join(
                answer,
                sa.and_(answer.c.trial_id == table.c.trial_id, answer.c.key.in_(_ANSWERS)),
            )
            .where(table.c.study_id == study)
        )
        return {
            job_from_text(json.loads(row.value_json)).key: row.trial_id
            for row in connection.execute(rows)
        }

    def _end(self, connection: sa.Connection, trials: Sequence[int], state: str) -> None:
        if trials:
            table = self._schema.trials
            ended = sa.update(table).where(table.c.trial_id.in_(trials))
            connection.execute(ended.values(state=state, datetime_complete=_now()))

    def _note(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        connection.execute(sa.insert(self._schema.attributes), list(rows))


def _now() -> datetime:
    """Return the time as Optuna keeps it: UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None)


def _parameters(trial: int, job: Job) -> list[Row]:
    return [
        {"trial_id": trial, "param_name": name, "param_value": value, "distribution_json": kind}
        for name, value, kind in (("rate", job.rate, _RATES), ("seed", float(job.seed), _SEEDS))
    ]


def _asked(trial: int, job: Job) -> list[Row]:
    recipe = " + ".join(map(str, job.recipe)) or "untreated"
    return [_attribute(trial, "recipe", recipe), _attribute(trial, "job", job_to_text(job))]


def _answer(trial: int, done: Done) -> Row:
    if isinstance(done, RunRecord):
        return _attribute(trial, "record", asdict(done))
    return _attribute(trial, "refused", done.reason)


def _attribute(trial: int, key: str, value: object) -> Row:
    return {"trial_id": trial, "key": key, "value_json": json.dumps(value)}


def _value(trial: int, metric: float) -> Row:
    kind = "FINITE" if math.isfinite(metric) else "INF_POS" if metric > 0 else "INF_NEG"
    stored = metric if math.isfinite(metric) else None
    return {"trial_id": trial, "objective": 0, "value": stored, "value_type": kind}
