"""What stands beside a verdict: how far it reaches, and what could not have been seen."""

from __future__ import annotations

from collections.abc import Iterable

from fitwell.records import ArmRecord, TaskRecord, Verdict
from fitwell.report.numbers import SHARES, change, count, interval


def evidence_lines(task: TaskRecord, arms: Iterable[ArmRecord]) -> tuple[str, ...]:
    """Return the lines beside the verdicts of a study, in the order of its arms."""
    verdicts = [arm.verdict for arm in arms if arm.verdict is not None]
    return tuple(
        f"{said.arm}: {sentence}." for said in verdicts for sentence in evidence(said, task)
    )


def evidence(said: Verdict, task: TaskRecord) -> tuple[str, ...]:
    """Return what helps to read one verdict, as sentences without their full stop."""
    sentences = []
    if said.outcome == "no evidence" and said.detectable is not None:
        sentences.append(
            f"an effect under {_size(said.detectable, task.metric)} could not have been seen with "
            f"{count(said.effect.pairs, 'seed')} (80 % power)"
        )
    if said.outcome != "no evidence" and said.other_rows is not None:
        reach = said.other_rows
        holds = reach.low > 0 or reach.high < 0
        sentences.append(
            f"on other test rows like these {task.rows[2]:,} "
            f"{'it holds' if holds else 'it may not hold'} "
            f"(95 % interval {interval(reach, task.metric)})"
        )
    return (*sentences, *said.cautions)


def _size(value: float, metric: str) -> str:
    """Return the size of an effect: without a sign, it may go either way."""
    text = change(value, metric, unit=False).removeprefix("+")
    return f"{text} points" if metric in SHARES else text
