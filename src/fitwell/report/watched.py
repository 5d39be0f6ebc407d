"""The story of a program under watch, for a terminal: one part a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.text import Text

from fitwell.records import WatchedModel, WatchedProgram
from fitwell.records.watched import NOTHING_SEEN
from fitwell.report.numbers import printable
from fitwell.report.tables import diagnosis_table
from fitwell.words import say, say_many, told

_NAMED = 3
"""So many networks of a group are named; of more, the first and the number."""
_LISTED = 3
"""So many sentences on what was not judged are listed of a network that made no step; of more,
their number."""


def watched_story(program: WatchedProgram) -> RenderableType:
    """Tell what was found in every network that a program trained.

    Args:
        program: The program with its networks.
    """
    title = say("fitwell watched {program}", program=printable(program.name))
    head = Text.assemble("\n", (title, "bold"))
    if not program.models:
        return Group(head, Text(told(NOTHING_SEEN)))
    parts: list[RenderableType] = [head]
    for group in program.groups():
        parts += [_heading(group), *_found(group[0]), Text()]
    return Group(*parts[:-1])


def _found(model: WatchedModel) -> list[RenderableType]:
    """Return what was found; without a step hardly anything can be judged, and that is one line."""
    diagnosis = model.diagnosis
    number = len(diagnosis.unjudged)
    if model.steps or number <= _LISTED:
        return [diagnosis_table(diagnosis)]
    line = say(
        "Not judged: {number} other conditions, as no step was made (--json lists them).",
        number=number,
    )
    return [diagnosis_table(replace(diagnosis, unjudged=())), Text(line, style="dim")]


def _heading(group: Sequence[WatchedModel]) -> RenderableType:
    first = group[0]
    names = [printable(model.name) for model in group]
    if len(names) > _NAMED:
        like = say_many("{number} network like it", "{number} networks like it", len(names) - 1)
        names = [names[0], like]
    steps = sorted({model.steps for model in group})
    made = (
        say("{low} to {high} steps", low=f"{steps[0]:,}", high=f"{steps[-1]:,}")
        if len(steps) > 1
        else say_many("{number} step", "{number} steps", steps[0])
    )
    about = say_many(
        "{kind}, {number} parameter; {steps} of {optimizer}",
        "{kind}, {number} parameters; {steps} of {optimizer}",
        first.parameters,
        kind=printable(first.kind),
        steps=made,
        optimizer=printable(first.optimizer),
    )
    line = Text.assemble((", ".join(names), "bold"))
    line.append(f"  {about}", style="dim")
    return line
