"""The address of a database: what is accepted, how it is shown, how it is reached."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event

from fitwell.errors import BadInput, needs

DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "sqlite": "sqlite"}
PATIENCE = 60.0
"""Seconds that a database may be away, or a SQLite file held by others, before it is an error."""

Result = TypeVar("Result")


def parsed(address: str) -> sa.URL:
    """Return an address with the driver that is used for it.

    Raises:
        BadInput: If it is none, or of a database that cannot be used.
        MissingExtra: If the driver is not installed.
    """
    try:
        url = sa.make_url(address)
    except sa.exc.ArgumentError:
        raise BadInput(
            "A storage is postgresql://USER@HOST/DATABASE or sqlite:///FILE; what was given is "
            "no address."
        ) from None
    kind = url.get_backend_name() if url.drivername not in DRIVERS else url.drivername
    if kind not in DRIVERS:
        raise BadInput(
            f"A storage is postgresql://USER@HOST/DATABASE or sqlite:///FILE, got {kind}://."
        )
    if kind == "sqlite" and not url.database:
        raise BadInput("A SQLite storage needs a file, as in sqlite:///study.db.")
    if kind != "sqlite":
        needs("psycopg", extra="postgres")
    return url.set(drivername=DRIVERS[kind])


def shown(url: sa.URL) -> str:
    """Return an address for a reader: without driver and password."""
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)


def connected(url: sa.URL) -> sa.Engine:
    """Return an engine that holds one connection, and that a dropped one does not end.

    Nothing is kept in the session, so that PgBouncer may stand between.
    """
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": PATIENCE})
        event.listen(engine, "connect", _leave_begin_to_us)
        event.listen(engine, "begin", _begin_at_once)
        return engine
    arguments: dict[str, Any] = {"prepare_threshold": None, "connect_timeout": 10}
    return sa.create_engine(
        url, pool_size=1, max_overflow=1, pool_pre_ping=True, connect_args=arguments
    )


def _leave_begin_to_us(connection: Any, _: Any) -> None:
    connection.isolation_level = None


def _begin_at_once(connection: sa.Connection) -> None:
    """Take the file's only write lock at the start, so that a read is still true at the write."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextlib.contextmanager
def reaching(url: sa.URL) -> Iterator[None]:
    """Turn what a database says when it cannot be used into one line.

    Raises:
        BadInput: With the address, without its password.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        said = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        raise BadInput(f"Cannot use the storage {shown(url)}: {said[-1].strip()}") from None


def patiently(action: Callable[[], Result]) -> Result:
    """Do something that may be done twice, again and again while the database is away."""
    pause, end = 0.1, time.monotonic() + PATIENCE
    while True:
        try:
            return action()
        except sa.exc.OperationalError:
            if time.monotonic() + pause > end:
                raise
            time.sleep(pause)
            pause = min(5.0, 2.0 * pause)


def together(make: Callable[[], Result]) -> Result:
    """Make something in a database that another process may be making in the same moment.

    The one that comes second is told that it is there, in many ways; when it is asked again, it is.
    """
    for pause in (0.2, 0.5):
        try:
            return make()
        except (sa.exc.IntegrityError, sa.exc.OperationalError, sa.exc.ProgrammingError):
            time.sleep(pause)
    return make()
