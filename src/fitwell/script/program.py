"""A Python program run as ``python SCRIPT.py ARGS`` would run it, inside this process."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import io
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import final

from fitwell.errors import BadInput, ScriptRefused

_OURS = str(Path(__file__).parent.parent)
"""Folder of this package: its frames are no part of a traceback."""


CRASHED, REFUSED, INTERRUPTED = 1, 2, 130


@final
@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Args:
        code: Its exit code; 130 if it was interrupted.
        error: The exception that ended it, or None.
        interrupted: Whether Ctrl-C ended it.
        refused: Why it cannot run here, or "".
    """

    code: int
    error: BaseException | None = None
    interrupted: bool = False
    refused: str = ""


@final
@dataclass(frozen=True)
class Program:
    """A script or a module, and the arguments that belong to it.

    Args:
        target: Path of the script; name of the module if ``module``.
        arguments: What it finds behind its own name in ``sys.argv``.
        module: Whether it is run as ``python -m`` does.
    """

    target: str
    arguments: tuple[str, ...] = ()
    module: bool = False

    @property
    def name(self) -> str:
        """Name for people: that of the file, or of the module."""
        return self.target if self.module else Path(self.target).name

    def check(self) -> None:
        """Check that there is something to run, before anything is run.

        Raises:
            BadInput: If there is no such file or module, or it is no Python script.
        """
        if self.module:
            _check_module(self.target)
        else:
            _check_script(Path(self.target))

    def run(self) -> Ended:
        """Run it as ``__main__`` to its end, and print the traceback that Python would print.

        While it runs, ``sys.argv``, ``sys.path[0]`` and ``sys.modules["__main__"]`` are its own:
        they stay so afterwards, for what runs at exit. Threads that it started are waited for.
        """
        try:
            if self.module:
                sys.path[0] = str(Path.cwd())
                self._run_module()
            else:
                self._run_script()
            _join_threads()
        except SystemExit as stop:
            _join_threads()
            return Ended(_code_of(stop))
        except KeyboardInterrupt as stop:
            return Ended(INTERRUPTED, stop, interrupted=True)
        except ScriptRefused as error:
            return Ended(REFUSED, error, refused=str(error))
        except BaseException as error:  # noqa: BLE001  # whatever ends a program is told, not hidden
            _print_error(error)
            return Ended(CRASHED, error)
        return Ended(0)

    def _run_script(self) -> None:
        sys.argv = [self.target, *self.arguments]
        sys.path[0] = str(Path(self.target).resolve().parent)
        path = str(Path(self.target).absolute())
        main = ModuleType("__main__")
        loader = SourceFileLoader("__main__", path)
        vars(main).update(
            {
                "__file__": path,
                "__builtins__": builtins,
                "__loader__": loader,
                "__cached__": None,
                "__package__": None,
            }
        )
        sys.modules["__main__"] = main
        code = compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
        _execute(code, main)

    def _run_module(self) -> None:
        sys.argv = ["-m", *self.arguments]
        name, spec = _module_spec(self.target)
        sys.argv[0] = str(spec.origin)
        main = ModuleType("__main__")
        code = spec.loader.get_code(name)  # type: ignore[union-attr]  # checked by _module_spec
        vars(main).update(
            {
                "__file__": spec.origin,
                "__builtins__": builtins,
                "__loader__": spec.loader,
                "__cached__": spec.cached,
                "__package__": spec.parent,
                "__spec__": spec,
            }
        )
        sys.modules["__main__"] = main
        _execute(code, main)


def _execute(code: CodeType | None, main: ModuleType) -> None:
    if code is not None:
        exec(code, vars(main))  # noqa: S102  # running the user's own program is what is asked for


def _check_script(path: Path) -> None:
    if path.is_dir():
        raise BadInput(f"Expected a Python script, got the folder {path}: name a file in it.")
    if not path.exists():
        raise BadInput(f"There is no file {path}: name the script to run, then its arguments.")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}.") from error
    if path.suffix in (".py", ".pyw"):
        return
    try:
        ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise BadInput(f"Expected a Python script, got {path}: it cannot be parsed.") from error


def _check_module(name: str) -> None:
    with _module_search():
        _module_spec(name)


@contextmanager
def _module_search() -> Iterator[None]:
    first, sys.path[0] = sys.path[0], str(Path.cwd())
    try:
        yield
    finally:
        sys.path[0] = first


def _module_spec(name: str) -> tuple[str, importlib.machinery.ModuleSpec]:
    """Return the name and the spec of what ``python -m`` runs: a package is run by its main."""
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name = f"{name}.__main__"
            spec = importlib.util.find_spec(name)
    except (ImportError, ValueError) as error:
        raise BadInput(f"There is no module {name} to run: {error}.") from error
    if spec is None or spec.loader is None or not hasattr(spec.loader, "get_code"):
        raise BadInput(f"There is no module {name} to run.")
    return name, spec


def _join_threads() -> None:
    """Wait for the threads that keep a Python program alive."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()


def _code_of(stop: SystemExit) -> int:
    """Return the exit code of ``sys.exit(...)``, and print what is no code, as Python does."""
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code & 0xFF
    sys.stdout.flush()
    sys.stderr.write(f"{stop.code}\n")
    return 1


def _print_error(error: BaseException) -> None:
    """Print an uncaught exception as Python does, without the frames of this package."""
    shown = _without_ours(error, seen=set())
    with_stdout = sys.stdout
    if isinstance(with_stdout, io.TextIOBase) and not with_stdout.closed:
        with_stdout.flush()
    hook = sys.excepthook if sys.excepthook is not sys.__excepthook__ else None
    if hook is not None:
        hook(type(shown), shown, shown.__traceback__)
    else:
        traceback.print_exception(shown)


def _without_ours(error: BaseException, seen: set[int]) -> BaseException:
    """Take the frames of this package out of an exception and of those that led to it."""
    if id(error) in seen:
        return error
    seen.add(id(error))
    error.__traceback__ = _foreign(error.__traceback__)
    for other in (error.__cause__, error.__context__):
        if other is not None:
            _without_ours(other, seen)
    return error


def _foreign(tb: TracebackType | None) -> TracebackType | None:
    frames: list[TracebackType] = []
    while tb is not None:
        if not tb.tb_frame.f_code.co_filename.startswith(_OURS + os.sep):
            frames.append(tb)
        tb = tb.tb_next
    rest: TracebackType | None = None
    for frame in reversed(frames):
        rest = TracebackType(rest, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return rest
