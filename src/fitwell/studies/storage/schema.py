"""The tables: Optuna's, as the database has them, and ours beside them."""

from __future__ import annotations

from typing import final

import sqlalchemy as sa

from fitwell.studies.storage.address import together

_OPTUNAS = (
    "studies",
    "trials",
    "trial_params",
    "trial_user_attributes",
    "trial_values",
)
_CLOCKS = {
    "postgresql": "extract(epoch from clock_timestamp())",
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
}


@final
class Schema:
    """The tables that a shared study lives in.

    The runs are Optuna's trials. A batch is a row of ``fitwell_batches``: it waits, runs at one
    worker, is done, has failed, or was withdrawn. ``fitwell_workers`` says who is there,
    ``fitwell_values`` holds what is shared with them, in parts, and ``fitwell_files`` what runs
    left behind, until the coordinator has it.

    Args:
        engine: The database, in which Optuna has made its tables.
    """

    def __init__(self, engine: sa.Engine) -> None:
        meta = sa.MetaData()
        meta.reflect(engine, only=_OPTUNAS)
        self.studies = meta.tables["studies"]
        self.trials = meta.tables["trials"]
        self.params = meta.tables["trial_params"]
        self.attributes = meta.tables["trial_user_attributes"]
        self.values = meta.tables["trial_values"]
        ours = own_tables()
        self.batches = ours.tables["fitwell_batches"]
        self.workers = ours.tables["fitwell_workers"]
        self.shared = ours.tables["fitwell_values"]
        self.files = ours.tables["fitwell_files"]
        self._engine = engine
        self.now: sa.ColumnElement[float] = sa.literal_column(
            _CLOCKS[engine.dialect.name], sa.Float()
        )
        """Seconds since 1970 by the clock of the database, the only one that is compared."""

    def number_of(self, study: str) -> int | None:
        """Return the number of a study, or None if there is none of that name."""
        row = sa.select(self.studies.c.study_id).where(self.studies.c.study_name == study)
        with self._engine.begin() as connection:
            found: int | None = connection.execute(row).scalar_one_or_none()
            return found


def own_tables() -> sa.MetaData:
    """Return the tables that stand beside Optuna's."""
    meta = sa.MetaData()
    sa.Table(
        "fitwell_batches",
        meta,
        sa.Column("batch", sa.Integer, primary_key=True),
        sa.Column("study", sa.Integer, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("call", sa.String(64), nullable=False),
        sa.Column("made_with", sa.String(120), nullable=False),
        sa.Column("trials", sa.Text, nullable=False),
        sa.Column("grace", sa.Float, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(80)),
        sa.Column("beat", sa.Float),
        sa.Column("error", sa.Text),
        sa.Index("fitwell_batches_by_state", "state", "study", "batch"),
    )
    sa.Table(
        "fitwell_workers",
        meta,
        sa.Column("worker", sa.String(80), primary_key=True),
        sa.Column("study", sa.Integer),
        sa.Column("made_with", sa.String(120), nullable=False),
        sa.Column("beat", sa.Float, nullable=False),
    )
    sa.Table(
        "fitwell_values",
        meta,
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    sa.Table(
        "fitwell_files",
        meta,
        sa.Column("study", sa.Integer, primary_key=True),
        sa.Column("batch", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    return meta


def make_tables(engine: sa.Engine) -> None:
    """Make our tables where they are missing; another process may be doing the same."""
    together(lambda: own_tables().create_all(engine))


def has_tables(engine: sa.Engine) -> bool:
    """Say whether a study was ever shared through this database."""
    return all(sa.inspect(engine).has_table(name) for name in own_tables().tables)
