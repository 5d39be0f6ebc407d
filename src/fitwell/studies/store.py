"""Finished runs, kept in an Optuna study so that an interrupted cure goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, final

from fitwell.errors import OutputError, require
from fitwell.records import Curves, RemedySpec, RowScores, RunRecord, Score
from fitwell.studies.job import Done, Job, Refusal

STUDY = "fitwell"


@final
class Memory:
    """Keeps finished runs as long as the process lives."""

    spent = 0.0
    """Seconds on the clock when the last stored run had ended, in an earlier process."""

    def __init__(self) -> None:
        self._done: dict[str, Done] = {}

    def get(self, job: Job) -> Done | None:
        """Return the result of a job, or None if it was not done yet."""
        found = self._done.get(job.key)
        return replace(found, arm=job.arm) if found else None

    def put(self, job: Job, done: Done, *, clock: float) -> None:
        """Keep the result of a job."""
        self.put_all({job: done}, clock=clock)

    def put_all(self, results: Mapping[Job, Done], *, clock: float) -> None:
        """Keep the results of jobs."""
        self._done |= {job.key: done for job, done in results.items()}

    @property
    def runs(self) -> int:
        """How many runs were really done."""
        return sum(isinstance(done, RunRecord) for done in self._done.values())


@final
class Store:
    """Keeps finished runs in a SQLite file that ``optuna`` and its dashboard open too.

    One trial a run: its parameters are rate and seed, its value the validation metric; recipe, key
    and the whole record are user attributes. A run whose remedy could not serve is a failed trial.

    Args:
        path: The SQLite file; made if missing.
        higher_is_better: Which way the metric points.

    Raises:
        OutputError: If the file cannot be opened.
    """

    def __init__(self, path: Path, *, higher_is_better: bool) -> None:
        optuna = require("optuna")
        require("sqlalchemy")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        from fitwell.studies.storage.address import together  # which needs the lab
        from fitwell.studies.storage.kept import Keeper

        try:
            study = together(
                lambda: optuna.create_study(
                    study_name=STUDY,
                    storage=f"sqlite:///{path}",
                    load_if_exists=True,
                    direction="maximize" if higher_is_better else "minimize",
                )
            )
        except require("sqlalchemy.exc").SQLAlchemyError as error:
            raise OutputError(f"Cannot open the study in {path}: {error.args[0]}") from error
        self._keeper = Keeper(path, STUDY)
        self._memory = Memory()
        self.spent = 0.0
        for trial in study.get_trials(deepcopy=False):
            attributes = trial.user_attrs
            job, done = job_from_text(attributes["job"]), done_from(attributes)
            self._memory.put(job, done, clock=0.0)
            self.spent = max(self.spent, float(attributes["clock"]))

    @property
    def runs(self) -> int:
        """How many runs were really done."""
        return self._memory.runs

    def get(self, job: Job) -> Done | None:
        """Return the result of a job, or None if it was not done yet."""
        return self._memory.get(job)

    def put_all(self, results: Mapping[Job, Done], *, clock: float) -> None:
        """Keep the results of jobs, and what the clock said when they ended.

        They are written in one transaction: when this returns, all of them are on the disk.
        """
        if results:
            self._keeper.keep(results, clock)
            self._memory.put_all(results, clock=clock)

    def put(self, job: Job, done: Done, *, clock: float) -> None:
        """Keep the result of a job, and what the clock said when it ended."""
        self.put_all({job: done}, clock=clock)


def run_from_dict(data: Mapping[str, Any]) -> RunRecord:
    """Read a run that ``dataclasses.asdict`` has spelled out, also after a passage through JSON."""
    values = dict(data)
    curves = {name: tuple(points) for name, points in values["curves"].items()}
    return RunRecord(
        **values
        | {
            "validation": Score(**values["validation"]),
            "test": Score(**values["test"]) if values["test"] else None,
            "curves": Curves(**curves),
            "took_effect": tuple(values["took_effect"]),
            "test_rows": RowScores(**rows) if (rows := values.get("test_rows")) else None,
        }
    )


def done_from(attributes: Mapping[str, Any]) -> Done:
    """Return what became of a job, from the user attributes of its trial."""
    if "refused" in attributes:
        return Refusal("", str(attributes["refused"]))
    return run_from_dict(attributes["record"])


def job_to_text(job: Job) -> str:
    """Return a job as JSON."""
    return json.dumps(asdict(job) | {"recipe": [spec.to_dict() for spec in job.recipe]})


def job_from_text(text: str) -> Job:
    """Return the job that :func:`job_to_text` has written."""
    data = json.loads(text)
    return Job(**data | {"recipe": tuple(map(RemedySpec.from_dict, data["recipe"]))})
