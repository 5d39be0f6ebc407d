"""What goes wrong, as one clear line and an exit code."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

import fitwell
from fitwell.cli.output import complain
from fitwell.errors import FitwellError, Interrupted

DONE, WRONG_USE, STOPPED = 0, 2, 130

_WRONG_ARGUMENTS: Any = typer.BadParameter.__mro__[2]
"""The error of the argument parser that wrong use raises; typer does not export it by name."""


def exit_code(command: Callable[[], int | None]) -> int:
    """Run a command; tell what went wrong on standard error.

    Returns:
        The command's own code; 2 for wrong use or bad input; 130 if interrupted.
    """
    try:
        code = command()
    except _WRONG_ARGUMENTS as error:
        context = getattr(error, "ctx", None)
        hint = f" Try: {context.command_path} --help" if context is not None else ""
        complain(" ".join(error.format_message().split()) + hint)
        return WRONG_USE
    except Interrupted as stop:
        complain(str(stop))
        return STOPPED
    except FitwellError as error:
        sys.stderr.write(users_traceback(error))
        complain(str(error))
        return WRONG_USE
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    if code == STOPPED:
        complain("interrupted.")
    return code or DONE


def users_traceback(error: BaseException) -> str:
    """Return the traceback of an error that a user's own code raised; "" if none did.

    It begins at the first line of the user's: what called it is of no use to them.

    Args:
        error: Ours; the user's is what it was raised from, at any depth.
    """
    cause = error.__cause__
    while cause is not None:
        told = traceback.TracebackException.from_exception(cause, compact=True)
        own = [frame for frame in told.stack if _is_users(frame.filename)]
        written = isinstance(cause, SyntaxError) and _is_users(cause.filename or "")
        if own or written:
            start = told.stack.index(own[0]) if own else len(told.stack)
            frames = traceback.StackSummary.from_list(told.stack[start:])
            head = ["Traceback (most recent call last):\n"] if own else []
            return "".join([*head, *frames.format(), *told.format_exception_only()])
        cause = cause.__cause__
    return ""


def _is_users(filename: str) -> bool:
    if not filename or filename.startswith("<"):
        return False
    path = Path(filename).resolve()
    installed = {
        sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
    }
    ours = [Path(folder).resolve() for folder in (*installed, *fitwell.__path__)]
    return not any(path.is_relative_to(folder) for folder in ours)
