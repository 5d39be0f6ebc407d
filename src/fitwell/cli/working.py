"""``fitwell worker``: one process at the runs of shared studies."""

from __future__ import annotations

from typing import Annotated

import typer

from fitwell.cli.options import Quiet
from fitwell.cli.output import complain, silent
from fitwell.cli.places import StudyOf, same_whatever_is_beside
from fitwell.errors import in_range, needs

Storage = Annotated[
    str,
    typer.Option(
        "--storage",
        metavar="URL",
        envvar="FITWELL_STORAGE",
        help="Where the studies are: postgresql://USER@HOST/DATABASE, or sqlite:///FILE.",
    ),
]


def worker(
    storage: Storage,
    study: StudyOf = None,
    idle: Annotated[
        float | None,
        typer.Option("--idle", metavar="SECONDS", help="Stop after so long without work [stay]."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Do runs of studies that `cure` and `compare` share by --storage, until stopped.

    Start one a core, on any machine that reaches the database and has the same versions. The
    networks to train come out of the database as pickles, which may hold any code: use a database
    that only those can write to whom you would let run code here.
    """
    same_whatever_is_beside()
    needs("optuna", "cloudpickle")
    if idle is not None:
        in_range("--idle", idle, 0, 1e9)
    from fitwell.studies.storage.worker import work  # needs sqlalchemy

    work(storage, study=study, idle=idle, tell=silent if quiet else complain)
