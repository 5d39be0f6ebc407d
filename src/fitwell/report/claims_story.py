"""The story of claims for a terminal, and the table of them for a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fitwell.records import ClaimOutcome, ClaimRecord
from fitwell.report.claims_wording import (
    MARKS,
    About,
    answer_effect,
    outcome_words,
    tally_sentence,
)
from fitwell.report.numbers import duration, printable
from fitwell.words import say, told

STYLES: Mapping[ClaimOutcome, str] = {
    "supported": "green",
    "not supported": "yellow",
    "reversed": "bold red",
}


def claims_story(records: Sequence[ClaimRecord]) -> RenderableType:
    """Return one line a claim with its outcome and effect, then how many held."""
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    for record in records:
        outcome = f"{MARKS[record.outcome]} {outcome_words(record.outcome)}"
        table.add_row(
            str(record.number),
            Text(printable(told(record.title))),
            Text(outcome, style=STYLES[record.outcome]),
            Text(answer_effect(record.deciding)),
        )
    return Group(table, Text(), Text(tally_sentence(records), style="bold"))


def claims_list(claims: Iterable[tuple[int, str, str]]) -> RenderableType:
    """Return one line a claim: its number, its name for the command line, and what it says."""
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for number, name, title in claims:
        table.add_row(str(number), name, Text(told(title)))
    return table


def page_written(path: str) -> RenderableType:
    """Return where the page is."""
    return Text(say("Written to {path}: it tells every claim with figures.", path=printable(path)))


def claims_markdown(records: Sequence[ClaimRecord], about: About) -> str:
    """Return the outcomes as a table of Markdown, with the commands that make them.

    Args:
        records: The claims, in order.
        about: How they were made.
    """
    head = (say("claim"), say("outcome"), say("effect [95 % interval]"), say("measure"), say("run"))
    lines = [f"| # | {' | '.join(head)} |", f"|--:{'|---' * len(head)}|"]
    for record in records:
        answer = record.deciding
        cells = (
            told(record.title),
            f"{MARKS[record.outcome]} {outcome_words(record.outcome)}",
            answer_effect(answer),
            f"{told(answer.measure)}: {told(answer.expected)}?",
            f"`fitwell learn {record.name}`",
        )
        row = " | ".join(cell.replace("|", "\\|") for cell in cells)
        lines.append(f"| {record.number} | {row} |")
    closing = say(
        "Made with `{command}` on {made}, measured in {time}: {versions}.",
        command=about.command,
        made=about.made,
        time=duration(sum(record.seconds for record in records)),
        versions=", ".join(f"{name} {value}" for name, value in about.versions.items()),
    )
    opening = say(
        "Every claim is an experiment on real data, several seeds an arm, judged by the 95 % "
        "interval of the paired difference: the whole interval must lie where the claim expects "
        "it. A claim that is not supported is a finding, not a failure. `fitwell learn NAME` runs "
        "one, `fitwell learn` all of them, with a page of figures, formulas and code."
    )
    title = say("The claims as experiments")
    parts = (f"# {title}", opening, tally_sentence(records), "\n".join(lines), closing)
    return "\n\n".join(parts) + "\n"
