"""What the command line takes as a task, made into one."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from fitwell.errors import FitwellError, TaskError, require
from fitwell.tasks.builtin import builtin
from fitwell.tasks.task import Task

_TABLES = frozenset({".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq"})


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
    module = _theirs(target, lambda: _module(place))
    make = getattr(module, function, None)
    if make is None:
        near = difflib.get_close_matches(function, dir(module), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise TaskError(f"{place} has no function {function!r}.{hint}")
    if not callable(make):
        raise TaskError(
            f"{target} must be a function that returns a task, got {type(make).__name__}."
        )
    task = _theirs(target, make)
    if not isinstance(task, Task):
        raise TaskError(
            f"{target} must return a fitwell.Task, got {type(task).__name__}: end it with "
            "`return fitwell.Task(name, make_model, train, loss, metric)`."
        )
    return task


def _theirs(target: str, run: Callable[[], Any]) -> Any:
    """Run a user's code; what it raises is told with its own traceback and not ours."""
    try:
        return run()
    except FitwellError:
        raise
    except SystemExit as error:
        raise TaskError(
            f"{target} ended the program with exit code {error.code!r}: return the task instead, "
            'and keep what a script does under `if __name__ == "__main__":`.'
        ) from error
    except Exception as error:
        inner = error.__traceback__
        while inner is not None and _is_ours(inner.tb_frame.f_code.co_filename):
            inner = inner.tb_next
        told = "".join(traceback.format_exception(error.with_traceback(inner))).rstrip()
        said = traceback.format_exception_only(error)[-1].strip()
        details = f"\n{told}" if told != said else ""
        raise TaskError(f"{target} failed: {said}{details}") from error


def _is_ours(filename: str) -> bool:
    return filename == __file__ or "importlib" in filename


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            return _travelling(importlib.import_module(place))
        except ModuleNotFoundError as error:
            if error.name is None or not place.startswith(error.name):
                raise
            raise TaskError(
                f"No module {place!r}: check the name, or give path/to/file.py."
            ) from error
    path = Path(place)
    if not path.is_file():
        raise TaskError(f"No file at {place}: check the path.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise TaskError(f"{place} cannot be imported: check the path.")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # so that it finds the modules beside it
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return _travelling(module)


def _travelling(module: ModuleType) -> ModuleType:
    """Let other processes get a module's functions by value: they may not be able to import it."""
    require("cloudpickle").register_pickle_by_value(module)
    return module
