"""The story of a program under watch, for a terminal: one part a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.text import Text

from fitwell.records import WatchedModel, WatchedProgram
from fitwell.records.watched import NOTHING_SEEN
from fitwell.report.numbers import count, printable
from fitwell.report.tables import diagnosis_table

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
    head = Text.assemble("\n", (f"fitwell watched {printable(program.name)}", "bold"))
    if not program.models:
        return Group(head, Text(NOTHING_SEEN))
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
    line = f"Not judged: {number} other conditions, as no step was made (--json lists them)."
    return [diagnosis_table(replace(diagnosis, unjudged=())), Text(line, style="dim")]


def _heading(group: Sequence[WatchedModel]) -> RenderableType:
    first = group[0]
    names = [printable(model.name) for model in group]
    if len(names) > _NAMED:
        names = [names[0], f"{count(len(names) - 1, 'network')} like it"]
    steps = sorted({model.steps for model in group})
    made = f"{steps[0]:,} to {steps[-1]:,} steps" if len(steps) > 1 else count(steps[0], "step")
    about = f"{printable(first.kind)}, {count(first.parameters, 'parameter')}; {made} of "
    line = Text.assemble((", ".join(names), "bold"))
    line.append(f"  {about}{printable(first.optimizer)}", style="dim")
    return line
