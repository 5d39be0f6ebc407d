"""What ends a report: what was tried in vain, and what makes the same again."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from fitwell.records import CureRecord, RemedySpec, Trial
from fitwell.report.numbers import score
from fitwell.report.wording import metric_title, recipe_label, remedy_label
from fitwell.words import say, say_many

CURE_FILES = ("result.json", "recipe.json", "model.pt", "treated.py", "report.html", "report.md")
"""What a cure always leaves beside its report."""

MOST_REMEDIES = 10


def unhelpful_lines(record: CureRecord) -> tuple[str, ...]:
    """Return a sentence for each remedy of the search that never beat the untreated network.

    A remedy counts as it was tried at its best: in the recipe that scored highest on validation
    rows among those that hold it and were trained to the end; the best stand last. Those of the
    recipe that was proven are left out.
    """
    whole = [trial for trial in record.trials if trial.seeds > 0]
    untreated = [trial for trial in whole if not trial.recipe]
    if not untreated:
        return ()
    sign = 1.0 if record.task.higher_is_better else -1.0

    def merit(trial: Trial) -> float:
        return sign * trial.score.metric

    least = max(map(merit, untreated))
    best: dict[str, tuple[RemedySpec, Trial]] = {}
    for trial in sorted(whole, key=merit):
        for spec in trial.recipe:
            best.pop(spec.name, None)
            best[spec.name] = (spec, trial)
    kept = {spec.name for spec in record.tested}
    lines = [
        _unhelpful(record, spec, trial, sign * least)
        for name, (spec, trial) in best.items()
        if name not in kept and merit(trial) <= least
    ]
    if len(lines) > MOST_REMEDIES:
        more = say_many("and {number} more.", "and {number} more.", len(lines) - MOST_REMEDIES)
        return (*lines[-MOST_REMEDIES:], more)
    return tuple(lines)


def again_lines(
    *,
    seeds: Sequence[int] = (),
    versions: Mapping[str, str] | None = None,
    fingerprint: str = "",
    files: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return what else is needed to make a result again, as sentences."""
    lines = []
    if seeds:
        lines.append(say("Seeds: {seeds}.", seeds=_spans(seeds)))
    if fingerprint:
        lines.append(say("Data: {fingerprint}.", fingerprint=fingerprint))
    if versions:
        listed = ", ".join(f"{name} {version}" for name, version in versions.items())
        lines.append(say("Versions: {versions}.", versions=listed))
    if files:
        lines.append(say("Beside this page: {files}.", files=", ".join(files)))
    return tuple(lines)


def installed() -> dict[str, str]:
    """Return the versions of what a run that was just made depends on."""
    found = {"python": platform.python_version()}
    for name in ("fitwell", "torch", "numpy"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _unhelpful(record: CureRecord, spec: RemedySpec, trial: Trial, untreated: float) -> str:
    metric = record.task.metric
    return say(
        "{remedy}: {metric} {score} on validation at its best, in {recipe}; untreated {untreated}.",
        remedy=remedy_label(spec),
        metric=metric_title(metric),
        score=score(trial.score.metric, metric),
        recipe=recipe_label(trial.recipe),
        untreated=score(untreated, metric),
    )


def _spans(seeds: Sequence[int]) -> str:
    """Return seeds with neighbours joined: ``"0–7, 12"``."""
    parts: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ", ".join(f"{p[0]}" if len(p) == 1 else f"{p[0]}\u2013{p[-1]}" for p in parts)
