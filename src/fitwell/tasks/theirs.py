"""Code of the user's own, imported and run."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from fitwell.errors import FitwellError, TaskError, require

_PACKAGE = Path(__file__).resolve().parents[1]


def run_theirs(target: str, run: Callable[[], Any], *, instead: str) -> Any:
    """Run a user's code; what it raises is told with its own traceback and not ours.

    Args:
        target: What is run, for messages.
        run: Runs it.
        instead: What to do instead of ending the program.

    Raises:
        TaskError: If it raises anything but an error of ours. The first line names it, the further
            lines are its own traceback, and ``__cause__`` is the error that it raised.
    """
    try:
        return run()
    except FitwellError:
        raise
    except SystemExit as error:
        raise TaskError(
            f"{target} ended the program with exit code {error.code!r}: {instead}, "
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
    return Path(filename).is_relative_to(_PACKAGE) or "importlib" in filename


def module_of(place: str) -> ModuleType:
    """Import ``path/to/file.py`` or ``package.module``.

    Raises:
        TaskError: If there is none.
    """
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
    except BaseException as error:
        del sys.modules[path.stem]
        inside = isinstance(error, ImportError) and "no known parent package" in str(error)
        if inside and (path.parent / "__init__.py").is_file():
            return _travelling(_of_package(path.resolve()))
        raise
    return _travelling(module)


def _of_package(path: Path) -> ModuleType:
    """Import a file that imports its neighbours by ``from . import``, under its full name."""
    root = next(folder for folder in path.parents if not (folder / "__init__.py").is_file())
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    module = importlib.import_module(name)
    if module.__file__ is None or Path(module.__file__).resolve() != path:
        raise TaskError(f"{path.name} is hidden by another {name}, at {module.__file__}.")
    return module


def _travelling(module: ModuleType) -> ModuleType:
    """Let other processes get a module's functions by value: they may not be able to import it."""
    require("cloudpickle").register_pickle_by_value(module)
    return module
