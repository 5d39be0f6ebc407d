"""What the command line takes as a task, made into one."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from fitwell.errors import TaskError, require
from fitwell.tasks.builtin import builtin
from fitwell.tasks.task import Task
from fitwell.tasks.theirs import module_of, run_theirs

_TABLES = frozenset({".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq"})
_RETURN = "return the task instead"


def load(
    target: str,
    *,
    column: str | None = None,
    kind: str | None = None,
    group: str | None = None,
    time: str | None = None,
) -> Task:
    """Return the task that a word on the command line names.

    Args:
        target: A built-in name, a CSV or Parquet file, a folder of images, or
            ``path/to/file.py:function`` or ``package.module:function`` returning a task.
        column: Target column of a table.
        kind: ``"classification"`` or ``"regression"`` for a table; told by the target if None.
        group: Column of a table whose equal values stay on one side of the split.
        time: Column of a table to split by time.

    Raises:
        TaskError: If there is no such task, or it cannot be trained on. Where a user's own
            function failed, the first line names it, the further lines are its own traceback,
            and ``__cause__`` is the error that it raised.
    """
    path = Path(target)
    if path.suffix.lower() in _TABLES and not path.is_dir():
        require("polars")
        from fitwell.tasks.table import Choices, from_file  # needs polars

        return from_file(path, column, Choices(_learning(kind), group, time))
    options = {"--target": column, "--kind": kind, "--group": group, "--time": time}
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise TaskError(
            f"{', '.join(given)} {'is' if len(given) == 1 else 'are'} for CSV and Parquet files, "
            f"but {target!r} is none."
        )
    if target in builtin():
        return builtin()[target].make()
    if path.is_dir():
        require("PIL")
        from fitwell.tasks.images import from_folder  # needs Pillow

        return from_folder(path)
    place, colon, function = target.rpartition(":")
    if colon and place and function.isidentifier():
        return _called(place, function)
    raise TaskError(_unknown(target, path))


def _learning(kind: str | None) -> Any:
    """The kind as given; ``Choices`` refuses unknown ones."""
    return kind


def _unknown(target: str, path: Path) -> str:
    """Say what was wanted for a target that is nothing known."""
    place = target.partition(":")[0]
    if place.endswith(".py"):
        return f"Name the function that returns the task, as in {place}:make_task; got {target!r}."
    if path.is_file():
        return (
            f"{target} is neither a table nor a task: give a .csv, .tsv, .txt or .parquet file, a "
            "folder of images, or file.py:function."
        )
    names = list(builtin())
    near = difflib.get_close_matches(target, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return (
        f"No task {target!r}: {hint}built in are {', '.join(names)}; or give a CSV or Parquet "
        "file, a folder of images, or file.py:function."
    )


def _called(place: str, function: str) -> Task:
    """Import a user's module, call the function, and return its task."""
    target = f"{place}:{function}"
    module = run_theirs(target, lambda: module_of(place), instead=_RETURN)
    make = getattr(module, function, None)
    if make is None:
        near = difflib.get_close_matches(function, dir(module), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise TaskError(f"{place} has no function {function!r}.{hint}")
    if not callable(make):
        raise TaskError(
            f"{target} must be a function that returns a task, got {type(make).__name__}."
        )
    task = run_theirs(target, make, instead=_RETURN)
    if not isinstance(task, Task):
        raise TaskError(
            f"{target} must return a fitwell.Task, got {type(task).__name__}: end it with "
            "`return fitwell.Task(name, make_model, train, loss, metric)`."
        )
    return task
