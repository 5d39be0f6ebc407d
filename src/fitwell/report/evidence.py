"""What stands beside a verdict: how far it reaches, and what could not have been seen."""

from __future__ import annotations

from collections.abc import Iterable

from fitwell.records import ArmRecord, TaskRecord, Verdict
from fitwell.report.numbers import SHARES, change, interval
from fitwell.report.wording import arm_title
from fitwell.words import say, say_many, told


def evidence_lines(task: TaskRecord, arms: Iterable[ArmRecord]) -> tuple[str, ...]:
    """Return the lines beside the verdicts of a study, in the order of its arms."""
    verdicts = [arm.verdict for arm in arms if arm.verdict is not None]
    return tuple(
        say("{arm}: {sentence}.", arm=arm_title(said.arm), sentence=told(sentence))
        for said in verdicts
        for sentence in evidence(said, task)
    )


def evidence(said: Verdict, task: TaskRecord) -> tuple[str, ...]:
    """Return what helps to read one verdict, as sentences without their full stop."""
    sentences: list[str] = []
    if said.outcome == "no evidence" and said.detectable is not None:
        sentences.append(
            say_many(
                "an effect under {size} could not have been seen with {number} seed (80 % power)",
                "an effect under {size} could not have been seen with {number} seeds (80 % power)",
                said.effect.pairs,
                size=_size(said.detectable, task.metric),
            )
        )
    if said.outcome != "no evidence" and said.other_rows is not None:
        reach = said.other_rows
        of = {"rows": f"{task.rows[2]:,}", "interval": interval(reach, task.metric)}
        sentences.append(
            say(
                "on other test rows like these {rows} it holds (95 % interval {interval})",
                **of,
            )
            if reach.low > 0 or reach.high < 0
            else say(
                "on other test rows like these {rows} it may not hold (95 % interval {interval})",
                **of,
            )
        )
    return (*sentences, *said.cautions)


def _size(value: float, metric: str) -> str:
    """Return the size of an effect: without a sign, it may go either way."""
    text = change(value, metric, unit=False).removeprefix("+")
    return say("{number} points", number=text) if metric in SHARES else text
