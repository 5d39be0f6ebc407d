"""What the runs of a study say of its arms: every number that a verdict carries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import stdev

from fitwell.records import Effect, RunRecord, Verdict
from fitwell.studies.statistics import (
    LEVEL,
    holm,
    minimum_detectable_effect,
    other_rows_effect,
    paired_effect,
    sign_flip_p,
    verdict,
)
from fitwell.tasks import Task
from fitwell.words import say

FLIPPED_FROM = 8
"""Pairs from which the sign-flip test is told: with fewer it can hardly reach evidence."""


def judged(task: Task, runs: Mapping[str, Sequence[RunRecord]]) -> dict[str, Verdict]:
    """Judge every arm but the first against the first, with Holm's correction over them.

    Args:
        task: What was trained.
        runs: The runs of every arm by its name, scored on test, on the same seeds in order.
    """
    base, *others = runs
    effects = {name: _effects(task, runs[base], runs[name]) for name in others}
    adjusted = holm([metric.p for metric, _ in effects.values()])
    return {
        name: _told(task, verdict(name, *effects[name], p), runs[base], runs[name], len(others))
        for name, p in zip(others, adjusted, strict=True)
    }


def score_step(task: Task, rows: int) -> float:
    """Return the smallest difference that the task's metric can show on so many rows, or 0."""
    return 1 / rows if task.metric_name == "accuracy" and rows else 0.0


def _effects(
    task: Task, before: Sequence[RunRecord], after: Sequence[RunRecord]
) -> tuple[Effect, Effect]:
    """Return the improvement of the metric and that of the loss."""
    metric = paired_effect(
        [run.test.metric for run in before if run.test],
        [run.test.metric for run in after if run.test],
        higher_is_better=task.higher_is_better,
        step=score_step(task, task.data.test.y.numel()),
    )
    loss = paired_effect(
        [run.test.loss for run in before if run.test],
        [run.test.loss for run in after if run.test],
        higher_is_better=False,
    )
    return metric, loss


def _told(
    task: Task,
    said: Verdict,
    before: Sequence[RunRecord],
    after: Sequence[RunRecord],
    arms: int,
) -> Verdict:
    """Return a verdict with what helps to read it."""
    sign = 1.0 if task.higher_is_better else -1.0
    differences = [
        sign * (b.test.metric - a.test.metric)
        for a, b in zip(before, after, strict=True)
        if a.test and b.test
    ]
    rounding = score_step(task, task.data.test.y.numel()) / math.sqrt(12)
    deviation = max(stdev(differences), rounding)
    flipped = sign_flip_p(differences) if len(differences) >= FLIPPED_FROM else None
    detectable = minimum_detectable_effect(deviation, len(differences), level=LEVEL / arms)
    return replace(
        said,
        sign_flip_p=flipped,
        detectable=detectable or None,
        other_rows=_other_rows(task, before, after),
        cautions=tuple(_cautions(said, flipped, before, after)),
    )


def _other_rows(
    task: Task, before: Sequence[RunRecord], after: Sequence[RunRecord]
) -> Effect | None:
    scores = [[r.test_rows.metrics if r.test_rows else () for r in arm] for arm in (before, after)]
    if not all(rows for arm in scores for rows in arm):
        return None
    return other_rows_effect(*scores, higher_is_better=task.higher_is_better)


def _cautions(
    said: Verdict,
    flipped: float | None,
    before: Sequence[RunRecord],
    after: Sequence[RunRecord],
) -> list[str]:
    cautions: list[str] = []
    counts = [sum(run.diverged for run in arm) for arm in (before, after)]
    if counts[0] != counts[1]:
        cautions.append(
            say(
                "{untreated} of {before} untreated and {treated} of {after} treated runs diverged: "
                "how often that happens is hardly known from so few, and the mean hangs on it",
                untreated=counts[0],
                before=len(before),
                treated=counts[1],
                after=len(after),
            )
        )
    if flipped is not None and said.outcome != "no evidence" and flipped > LEVEL:
        cautions.append(
            say(
                "the sign-flip test, which asks less of the scores, does not confirm it (p = {p})",
                p=f"{flipped:.2f}",
            )
        )
    return cautions
