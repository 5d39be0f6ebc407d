"""Records as tables and lines of a terminal: findings, arms, trials, built-in tasks, curves.

Names out of a run are put into :class:`rich.text.Text`, never into markup, with control
characters spelled out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fitwell.records import (
    ArmRecord,
    Contribution,
    Diagnosis,
    Finding,
    TaskRecord,
    Trial,
    chain_text,
    worst_of,
)
from fitwell.report.conditions import (
    condition_title,
    severity_word,
    unexplained,
    unjudged_sentence,
)
from fitwell.report.measures import evidence_title
from fitwell.report.numbers import (
    change,
    interval,
    mean,
    p_value,
    printable,
    quantity,
    score,
)
from fitwell.report.wording import (
    arm_title,
    metric_title,
    outcome_word,
    recipe_label,
    remedy_label,
)
from fitwell.words import say, say_many, told

SEVERITY_STYLES = {"mild": "yellow", "moderate": "dark_orange", "severe": "bold red"}
OUTCOME_STYLES = {"helps": "green", "hurts": "red", "no evidence": ""}


def diagnosis_table(diagnosis: Diagnosis) -> RenderableType:
    """Return one block an illness, root cause first, or one line if nothing was found."""
    parts: list[RenderableType] = []
    if diagnosis.healthy:
        parts.append(Text(say("Healthy: nothing was found."), style="green"))
    else:
        table = Table.grid(padding=(0, 2), pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1, overflow="fold")
        for chain in diagnosis.chains():
            worst = worst_of(chain)
            word = Text(severity_word(worst), style=SEVERITY_STYLES[worst])
            table.add_row(word, _illness(chain))
        parts.append(table)
    if diagnosis.muted:
        named = ", ".join(condition_title(name).lower() for name in diagnosis.muted)
        parts.append(Text(say("Muted: {conditions}", conditions=named), style="dim"))
    for text in diagnosis.unjudged:
        line = say("Not judged: {sentence}", sentence=printable(unjudged_sentence(text)))
        parts.append(Text(line, style="dim"))
    return Group(*parts)


def arms_table(task: TaskRecord, arms: Sequence[ArmRecord]) -> Table:
    """Return one row an arm: its mean on test, and its effect with interval and verdict."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(say("arm"), overflow="fold", ratio=3)
    table.add_column(metric_title(task.metric), justify="right", no_wrap=True)
    table.add_column(say("against untreated"), overflow="fold", ratio=4)
    table.add_column(say("verdict"), no_wrap=True)
    for arm in arms:
        diverged = sum(run.diverged for run in arm.runs)
        name = printable(arm_title(arm.name))
        if diverged:
            name = say(
                "{arm} ({diverged} of {runs} diverged)",
                arm=name,
                diverged=diverged,
                runs=len(arm.runs),
            )
        effect, outcome = "", ""
        if arm.verdict is not None:
            outcome = arm.verdict.outcome
            effect = (
                f"{change(arm.verdict.effect.mean, task.metric)} "
                f"[{interval(arm.verdict.effect, task.metric, unit=False)}] "
                f"{p_value(arm.verdict.adjusted_p)}"
            )
        table.add_row(
            Text(name),
            score(mean(arm.per_seed), task.metric),
            Text(effect),
            Text(outcome_word(outcome), style=OUTCOME_STYLES.get(outcome, "")),
        )
    return table


def tasks_table(tasks: Iterable[Mapping[str, object]]) -> Table:
    """Return the built-in tasks.

    Args:
        tasks: Mappings with ``name``, ``rows``, ``model`` and ``ails`` (what is wrong with it).
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(say("name"), no_wrap=True)
    table.add_column(say("rows"), justify="right", no_wrap=True)
    table.add_column(say("model"), overflow="fold", ratio=1)
    table.add_column(say("what is wrong with it"), overflow="fold", ratio=1)
    for task in tasks:
        rows = task["rows"]
        table.add_row(
            Text(printable(str(task["name"]))),
            f"{rows:,}" if isinstance(rows, int) else str(rows),
            Text(printable(str(task["model"]))),
            Text(printable(told(str(task["ails"])))),
        )
    return table


def device_table(points: Iterable[Mapping[str, object]]) -> Table:
    """Return what was measured on a device, one network a row.

    Args:
        points: Mappings with ``kind``, ``layers``, ``parameters``, ``work`` (multiplications a
            step), ``most`` (runs to train as one) and ``gain`` (how many times sooner).
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(say("network"), no_wrap=True)
    for name in (
        say("layers"),
        say("parameters"),
        say("multiplications"),
        say("runs as one"),
        say("times sooner"),
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for point in points:
        numbers = (f"{point[name]:,}" for name in ("layers", "parameters", "work", "most"))
        table.add_row(str(point["kind"]), *numbers, f"{point['gain']:.1f}")
    return table


def trials_table(task: TaskRecord, trials: Iterable[Trial]) -> Table:
    """Return one row a trial: its score on validation, its seeds, its recipe and rate."""
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for trial in trials:
        table.add_row(
            score(trial.score.metric, task.metric),
            say_many("{number} seed", "{number} seeds", trial.seeds)
            if trial.seeds
            else say("first epochs"),
            Text(
                say(
                    "{recipe}, rate ×{rate}",
                    recipe=printable(recipe_label(trial.recipe)),
                    rate=f"{trial.rate:g}",
                )
            ),
        )
    return table


def contributions_table(task: TaskRecord, contributions: Iterable[Contribution]) -> Table:
    """Return one row a remedy of the winner: what it adds on validation, with the interval."""
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(ratio=1, overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for one in contributions:
        table.add_row(
            Text(printable(remedy_label(one.remedy))),
            change(one.effect.mean, task.metric),
            f"[{interval(one.effect, task.metric, unit=False)}]",
        )
    return table


def _illness(chain: Sequence[Finding]) -> RenderableType:
    """Return the root with its chain, evidence, advice and remedies, then what it explains."""
    root = chain[0]
    lines = [_title(root)]
    if len(chain) > 1:
        lines.append(Text(printable(chain_text(chain)), style="italic"))
    lines += _signs(root)
    if root.cause is not None:
        lines.append(Text(unexplained(chain), style="dim"))
    if root.remedies:
        named = ", ".join(remedy_label(spec) for spec in root.remedies)
        lines.append(Text(say("worth trying: {remedies}", remedies=printable(named)), style="dim"))
    for finding in chain[1:]:
        lines += [Text.assemble(say("so:"), " ", _title(finding)), *_signs(finding)]
    return Group(*lines)


def _title(finding: Finding) -> Text:
    title = condition_title(finding.condition)
    return Text.assemble((title, "bold"), f" {printable(finding.place)}")


def _signs(finding: Finding) -> list[Text]:
    lines = [Text(printable(told(finding.explanation)))]
    if finding.advice:
        lines.append(Text(say("change: {advice}", advice=printable(told(finding.advice)))))
    if finding.evidence:
        numbers = "; ".join(
            f"{printable(evidence_title(name))} {quantity(float(value))}"
            for name, value in finding.evidence.items()
        )
        lines.append(Text(say("evidence: {numbers}", numbers=numbers), style="dim"))
    return lines
