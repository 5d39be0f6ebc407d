"""``fitwell patch``: a recipe written into the user's own source."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fitwell.cli.options import Json, Quiet
from fitwell.cli.output import remark, writable, write_bytes, write_json, write_text
from fitwell.cli.recipes import recipe_in
from fitwell.errors import BadInput, OutputError, needs

if TYPE_CHECKING:
    from fitwell.patch import Patch


def patch(
    target: Annotated[
        str,
        typer.Argument(metavar="FILE.py:CLASS", help="A class in a file, a subclass of nn.Module."),
    ],
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="A JSON file, or name(arg=value)+name(...)."),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model", metavar="EXPR", help='What constructs it, as "Net(hidden=64)" [CLASS()].'
        ),
    ] = "",
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="SHAPE",
            help="What it is called with, as 2,1,28,28 or 2,8:long; one for each argument.",
        ),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Change the file itself.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="Write the diff into a file.")
    ] = None,
    loop: Annotated[
        Path | None,
        typer.Option(
            "--loop", metavar="PATH", help="Write what belongs to the training loop (Python)."
        ),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Write a recipe into a network's own source: the change as a diff."""
    writable(out, loop, json, beside=(target, recipe))
    file, colon, qualname = target.rpartition(":")
    if not colon or not file or not all(name.isidentifier() for name in qualname.split(".")):
        raise BadInput(f"Name the file and the class, as in net.py:Net; got {target!r}.")
    needs("libcst", "cloudpickle")
    wanted = recipe_in(recipe)
    from fitwell.patch import patch as write_into

    made = write_into(file, qualname, wanted, model=model, inputs=inputs or ())
    _print(made)
    if out is not None:
        write_bytes(out, made.diff_bytes)
    if loop is not None:
        write_text(loop, made.loop)
    if write and made.diff:
        _write(made)
    write_json(json, made.to_dict())
    if not quiet:
        remark(str(made))


def _print(made: Patch) -> None:
    """Print the diff alone on standard output, in the file's own encoding where it is piped."""
    if sys.stdout.isatty() or not isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.write(made.diff)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(made.diff_bytes)
    sys.stdout.buffer.flush()


def _write(made: Patch) -> None:
    path = Path(made.file)
    writable(path)
    if path.read_bytes() != made.before:
        raise OutputError(f"{path} has changed meanwhile, and was left alone: run it again.")
    write_bytes(path, made.after)
