"""What goes wrong, as one clear line and an exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

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
        hint = f" Try {context.command_path} --help." if context is not None else ""
        complain(" ".join(error.format_message().split()).removesuffix(".") + "." + hint)
        return WRONG_USE
    except Interrupted as stop:
        complain(str(stop))
        return STOPPED
    except FitwellError as error:
        complain(str(error))
        return WRONG_USE
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    if code == STOPPED:
        complain("interrupted.")
    return code or DONE
