"""``fitwell watch``: somebody's own training script, run under watch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO, TextIOWrapper
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fitwell.cli.limits import FailOn
from fitwell.cli.options import Figures, Json, Lang, Page, Quiet
from fitwell.cli.output import (
    complain,
    folder_for,
    result,
    show,
    silent,
    writable,
    write_figures,
    write_json,
    write_text,
)
from fitwell.errors import BadInput, Interrupted, ScriptRefused, in_range, needs
from fitwell.records import CONDITIONS
from fitwell.words import speaking

if TYPE_CHECKING:
    from fitwell.records import Recorded, WatchedProgram

CONTEXT = {"allow_interspersed_args": False, "ignore_unknown_options": False}
"""The first word that is no option is the script: everything behind it belongs to the script."""


def watch(
    script: Annotated[
        str,
        typer.Argument(
            metavar="SCRIPT.py", help="The script; with -m the name of a module, as for python."
        ),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGS]...", help="Arguments of the script, options among them."),
    ] = None,
    module: Annotated[
        bool, typer.Option("-m", "--module", help="Run a module, as python -m does.")
    ] = False,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Exit with 1 if a finding is at least so severe.")
    ] = FailOn.NEVER,
    mute: Annotated[
        list[str] | None,
        typer.Option("--mute", metavar="CONDITION", help="Do not look for it. Give one or more."),
    ] = None,
    overhead: Annotated[
        float,
        typer.Option("--overhead", metavar="SHARE", help="Share of the time for watching."),
    ] = 0.01,
    trace: Annotated[
        Path | None,
        typer.Option(
            "--trace", metavar="PATH", help="Write what was recorded, one file a network."
        ),
    ] = None,
    json: Json = None,
    report: Page = None,
    figures: Figures = None,
    lang: Lang = "en",
    quiet: Quiet = False,
) -> None:
    """Run a PyTorch or Keras script as it is, and say what is wrong with its training.

    Options of fitwell stand before SCRIPT.py; everything behind it belongs to the script.
    """
    for name in mute or ():
        if name not in CONDITIONS:
            raise BadInput(f"Cannot mute {name!r}: expected one of {', '.join(CONDITIONS)}.")
    in_range("--overhead", overhead, 0.0, 1.0, open_low=True)
    writable(trace, json, report, beside=(script,))
    folder_for(figures)
    from fitwell.report.formats import is_markdown, report_of
    from fitwell.script import Program, Watcher, judged, seen_to_train

    program = Program(script, tuple(arguments or ()), module=module)
    program.check()
    if report is not None and not is_markdown(report):
        needs("altair", "vl_convert")
    out, err = sys.stdout, sys.stderr
    _as_python_begins(out, err)
    watcher = Watcher(overhead, say=silent if quiet else complain)
    with watcher.watching():
        ended = program.run()
        if ended.error is not None and not ended.interrupted and not ended.refused:
            watcher.failed(ended.error)
    _as_before(out, err)
    if ended.refused and not seen_to_train(watcher.recorded):
        raise ScriptRefused(ended.refused)
    found = judged(program, ended, watcher.recorded, mute or ())
    with speaking(lang):
        _tell(found, quiet=quiet)
    write_json(json, found.to_dict())
    if trace is not None:
        _write_traces(trace, seen_to_train(watcher.recorded))
    if report is not None:
        write_text(report, report_of(found, report, lang=lang))
    if figures is not None:
        from fitwell.report.figures import watched_figures

        with speaking(lang):
            write_figures(figures, watched_figures(found))
    if ended.refused:
        raise ScriptRefused(ended.refused)
    if ended.interrupted:
        raise Interrupted("interrupted: this is the diagnosis of what was recorded.")
    code = ended.code or int(fail_on.fails(found.worst()))
    if code:
        raise typer.Exit(code)


def _tell(found: WatchedProgram, *, quiet: bool) -> None:
    from fitwell.report.watched import watched_story
    from fitwell.report.wording import headline_line, watched_headline

    if quiet:
        result(headline_line(watched_headline(found)))
    else:
        show(watched_story(found))


def _as_python_begins(*streams: object) -> None:
    """Have the streams treat what they cannot encode as Python's own do, for the script's sake."""
    for stream, errors in zip(streams, ("strict", "backslashreplace"), strict=True):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)


def _as_before(out: object, err: object) -> None:
    """Print the story where the script began, wherever it has sent its own output since.

    A stream that the script has closed is replaced by the other one.
    """
    for stream in (sys.stdout, sys.stderr):
        if not getattr(stream, "closed", True):
            stream.flush()
    for name, stream in (("stdout", out), ("stderr", err)):
        if isinstance(stream, TextIOWrapper) and not stream.closed:
            stream.reconfigure(errors="replace")
            setattr(sys, name, stream)
    if getattr(sys.stdout, "closed", True):
        sys.stdout = sys.stderr if not getattr(sys.stderr, "closed", True) else StringIO()
    if getattr(sys.stderr, "closed", True):
        sys.stderr = sys.stdout


def _write_traces(path: Path, recorded: Sequence[Recorded]) -> None:
    """Write one trace a network: the first under the path given, the others with a number."""
    for number, one in enumerate(recorded, start=1):
        place = path if number == 1 else path.with_name(f"{path.stem}.{number}{path.suffix}")
        write_text(place, dumps(one.trace.to_dict(), allow_nan=False))
