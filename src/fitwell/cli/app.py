"""The commands of ``fitwell``, and its entry point.

What only a command needs is imported by that command: ``fitwell --help`` works without the lab.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from enum import StrEnum
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from fitwell.cli.calibrating import calibrate
from fitwell.cli.failures import exit_code
from fitwell.cli.learning import learn
from fitwell.cli.limits import FailOn
from fitwell.cli.options import Figures, Json, Lang, Page, Quiet
from fitwell.cli.output import (
    folder_for,
    result,
    show,
    writable,
    write_figures,
    write_json,
    write_text,
)
from fitwell.cli.patching import patch
from fitwell.cli.places import On, StorageOf, StudyOf, place, same_whatever_is_beside
from fitwell.cli.progress import progress_of
from fitwell.cli.recipes import arms_in
from fitwell.cli.watching import CONTEXT, watch
from fitwell.cli.working import worker
from fitwell.errors import needs
from fitwell.records import study_to_dict
from fitwell.words import speaking

DEFAULT_BUDGET = "2min"

app = typer.Typer(
    name="fitwell",
    help="Make neural networks train well: diagnose, treat, and prove what helped.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Kind(StrEnum):
    """What a table's target is."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


Target: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="A built-in task, a CSV or Parquet file, a folder of images, or file.py:function.",
    ),
]
Column: TypeAlias = Annotated[
    str | None, typer.Option("--target", metavar="COLUMN", help="The column to predict.")
]
KindOf: TypeAlias = Annotated[
    Kind | None,
    typer.Option("--kind", help="What the target is; told from its values if left out."),
]
Group: TypeAlias = Annotated[
    str | None,
    typer.Option("--group", metavar="COLUMN", help="Rows alike in it stay in one split."),
]
Time: TypeAlias = Annotated[
    str | None,
    typer.Option("--time", metavar="COLUMN", help="Split by it: test rows are the latest."),
]
Seeds: TypeAlias = Annotated[
    int, typer.Option("--seeds", metavar="N", help="Fresh seeds: runs of every arm.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fitwell {version('fitwell')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Make neural networks train well: diagnose, treat, and prove what helped."""


@app.command()
def cure(
    task: Target,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="TIME",
            help="Wall time, as 90s, 2min or 1h; 2min unless --runs is given.",
        ),
    ] = None,
    runs: Annotated[
        int | None, typer.Option("--runs", metavar="N", help="Most runs of the search.")
    ] = None,
    seeds: Seeds = 8,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Output folder [next under fitwell-runs/TASK]."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what the output folder holds.")
    ] = False,
    blind: Annotated[
        bool,
        typer.Option(
            "--blind", help="Search without the diagnosis, by TPE over all remedies; to compare."
        ),
    ] = False,
    on: On = None,
    storage: StorageOf = None,
    study: StudyOf = None,
    target: Column = None,
    kind: KindOf = None,
    group: Group = None,
    time: Time = None,
    json: Json = None,
    figures: Figures = None,
    lang: Lang = "en",
    quiet: Quiet = False,
) -> None:
    """Diagnose a run, search for a cure, prove it on test data."""
    same_whatever_is_beside()
    writable(json, beside=(task,))
    folder_for(figures)
    from fitwell.report.figures import cure_drawings
    from fitwell.report.terminal import cure_story, files_written
    from fitwell.report.wording import cure_headline, headline_line
    from fitwell.tasks import load

    loaded = load(task, column=target, kind=kind, group=group, time=time)
    from fitwell.cure import cure as find_cure

    if budget is None and runs is None:
        budget = DEFAULT_BUDGET
    again = {"budget": budget, "runs": runs, "seeds": seeds, "target": target, "kind": kind}
    with (
        progress_of(quiet=quiet, lang=lang) as progress,
        place(loaded, on=on, storage=storage, study=study, tell=progress.say) as executor,
    ):
        found = find_cure(
            loaded,
            command=_spelled("cure", task, **again, group=group, time=time) + " --blind" * blind,
            budget=budget,
            runs=runs,
            seeds=seeds,
            out=out,
            overwrite=overwrite,
            progress=progress,
            executor=executor,
            blind=blind,
            lang=lang,
        )
    write_json(json, found.record.to_dict())
    with speaking(lang):
        if figures is not None:
            write_figures(figures, cure_drawings(found.record))
        if quiet:
            result(headline_line(cure_headline(found.record)))
        else:
            show(cure_story(found.record))
            show(files_written(str(found.out)))


def _spelled(verb: str, task: str, **options: object) -> str:
    """Return a command as a shell takes it; options that are None are left out, lists repeated."""
    words = []
    for name, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                words += [f"--{name}", str(one)]
    return shlex.join(["fitwell", verb, task, *words])


@app.command()
def check(
    task: Target,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Exit with 1 if a finding is at least so severe.")
    ] = FailOn.NEVER,
    network: Annotated[bool, typer.Option("--network", help="Draw the network too.")] = False,
    target: Column = None,
    kind: KindOf = None,
    group: Group = None,
    time: Time = None,
    json: Json = None,
    report: Page = None,
    figures: Figures = None,
    lang: Lang = "en",
    quiet: Quiet = False,
) -> None:
    """Watch one training run and say what is wrong with it."""
    writable(json, report, beside=(task,))
    folder_for(figures)
    from fitwell.report.figures import diagnosis_drawings
    from fitwell.report.formats import diagnosis_report, is_markdown
    from fitwell.report.terminal import diagnosis_story
    from fitwell.report.wording import diagnosis_headline, headline_line
    from fitwell.tasks import load

    if report is not None and not is_markdown(report):
        needs("altair", "vl_convert")
    loaded = load(task, column=target, kind=kind, group=group, time=time)
    from fitwell.studies import check as watch_once

    diagnosis, trace = watch_once(loaded)
    about = loaded.record()
    write_json(json, diagnosis.to_dict())
    with speaking(lang):
        if quiet:
            result(headline_line(diagnosis_headline(diagnosis)))
        else:
            show(diagnosis_story(about, diagnosis, trace, network=network))
        if report is not None:
            text = diagnosis_report(
                diagnosis,
                trace,
                about.name,
                report,
                notes=about.notes,
                anatomy=about.anatomy,
                command=_spelled("check", task, target=target, kind=kind, group=group, time=time),
                fingerprint=about.fingerprint,
                lang=lang,
            )
            write_text(report, text)
        if figures is not None:
            write_figures(figures, diagnosis_drawings(diagnosis, trace, about.anatomy))
    if fail_on.fails(diagnosis.worst()):
        raise typer.Exit(1)


@app.command()
def compare(
    task: Target,
    recipe: Annotated[
        list[str],
        typer.Option(
            "--recipe",
            "-r",
            metavar="NAME=RECIPE",
            help="An arm: a JSON file, or name(arg=value)+name(...). Give one or more.",
        ),
    ],
    seeds: Seeds = 8,
    tune_rate: Annotated[
        bool, typer.Option("--tune-rate", help="Tune a learning rate for every arm.")
    ] = False,
    on: On = None,
    storage: StorageOf = None,
    study: StudyOf = None,
    target: Column = None,
    kind: KindOf = None,
    group: Group = None,
    time: Time = None,
    json: Json = None,
    report: Page = None,
    figures: Figures = None,
    lang: Lang = "en",
    quiet: Quiet = False,
) -> None:
    """Compare recipes with the untreated network, seed by seed."""
    same_whatever_is_beside()
    writable(json, report, beside=(task, *(arm.partition("=")[2] for arm in recipe)))
    folder_for(figures)
    from fitwell.report.figures import study_drawings
    from fitwell.report.formats import is_markdown, report_of
    from fitwell.report.terminal import study_story
    from fitwell.report.wording import headline_line, study_headline
    from fitwell.tasks import load

    if report is not None and not is_markdown(report):
        needs("altair", "vl_convert")
    arms = arms_in(recipe)
    loaded = load(task, column=target, kind=kind, group=group, time=time)
    from fitwell.studies import compare as run_arms

    with (
        progress_of(quiet=quiet, lang=lang) as progress,
        place(loaded, on=on, storage=storage, study=study, tell=progress.say) as executor,
    ):
        found = run_arms(
            loaded, arms, seeds, tune_rate=tune_rate, progress=progress, executor=executor
        )
    write_json(json, study_to_dict(found.record))
    with speaking(lang):
        if quiet:
            result(headline_line(study_headline(found.record.task, found.record.arms)))
        else:
            show(study_story(found.record))
        if report is not None:
            again = {"recipe": recipe, "seeds": seeds, "target": target, "kind": kind}
            command = _spelled("compare", task, **again, group=group, time=time)
            command += " --tune-rate" * tune_rate
            write_text(report, report_of(found.record, report, command=command, lang=lang))
        if figures is not None:
            write_figures(figures, study_drawings(found.record))


@app.command()
def tasks(json: Json = None, quiet: Quiet = False) -> None:
    """List the built-in tasks and what is wrong with them."""
    writable(json)
    from fitwell.report.tables import tasks_table
    from fitwell.tasks import builtin

    known = [
        {
            "name": task.name,
            "description": task.description,
            "rows": task.rows,
            "model": task.model,
            "ails": task.ails,
        }
        for task in builtin().values()
    ]
    if quiet:
        for task in known:
            result(str(task["name"]))
    else:
        show(tasks_table(known))
    write_json(json, {"schema": 1, "tasks": known})


app.command()(learn)
app.command()(patch)
app.command()(calibrate)
app.command()(worker)
app.command(context_settings=CONTEXT)(watch)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: What follows the program's name; by default those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code(lambda: app(given, prog_name="fitwell", standalone_mode=False))
