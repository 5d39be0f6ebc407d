"""Where the runs of a command are done: ``--on`` and ``--storage``, made into an executor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from fitwell.errors import BadInput, needs

if TYPE_CHECKING:
    from fitwell.studies import Executor
    from fitwell.tasks import Task

RAY = "ray"

On: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--on", metavar="WHERE", help="Do the runs on Ray: `ray` here, or ray://HOST:PORT."
    ),
]
StorageOf: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        envvar="FITWELL_STORAGE",
        help="Share the study with `fitwell worker` processes: postgresql://USER@HOST/DATABASE, "
        "or sqlite:///FILE on one machine.",
    ),
]
StudyOf: TypeAlias = Annotated[
    str | None,
    typer.Option("--study", metavar="NAME", help="Name of the study in the storage."),
]


@contextlib.contextmanager
def place(
    task: Task,
    *,
    on: str | None,
    storage: str | None,
    study: str | None,
    tell: Callable[[str], None],
) -> Iterator[Executor | None]:
    """Give what does the runs, and close it at the end; None leaves the choice to the study.

    Args:
        task: What is trained.
        on: As ``--on``.
        storage: As ``--storage``.
        study: As ``--study``.
        tell: Told what the user has to do, as sentences.

    Raises:
        BadInput: If the options do not go together, or nothing answers there.
        MissingExtra: If what they need is not installed.
    """
    executor = _executor(task, on, storage, study, tell)
    done = False
    try:
        yield executor
        done = True
    finally:
        if executor is not None:
            executor.close(now=not done)


def same_whatever_is_beside() -> None:
    """Have a product come out the same in every bit whatever is multiplied in the same call.

    Runs that train as one program are products of one call, and MKL takes that many of them into
    account unless it is told not to. It reads this at its first product.

    References:
        Intel oneMKL Developer Guide, "Conditional Numerical Reproducibility", strict mode.
    """
    os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")


def _executor(
    task: Task,
    on: str | None,
    storage: str | None,
    study: str | None,
    tell: Callable[[str], None],
) -> Executor | None:
    if on is not None and storage is not None:
        raise BadInput("--on and --storage are two places for the same runs: give one of them.")
    if study is not None and storage is None:
        raise BadInput("--study names a study in a storage: give --storage too.")
    if on is not None:
        if on != RAY and not on.startswith(f"{RAY}://"):
            raise BadInput(f"--on takes ray or ray://HOST:PORT, got {on!r}.")
        needs("ray", extra="ray")
        from fitwell.integrations.ray import Ray  # needs ray

        return Ray(None if on == RAY else on)
    if storage is not None:
        needs("optuna", "cloudpickle")
        from fitwell.studies.storage.executor import Storage  # needs optuna

        return Storage(storage, task, study=study, tell=tell)
    return None
