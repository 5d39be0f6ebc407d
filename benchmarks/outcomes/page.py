"""What was measured, as Markdown: one table for single grounds, one for the tables together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, TypeAlias

from fitwell.studies.statistics import repeated_splits_effect

Measured: TypeAlias = Mapping[str, Any]

SINGLE = (
    "| ground | to the last epoch | untreated | cured | averaged | best single remedy | recipe "
    "| runs | seconds |\n|---|---|---|---|---|---|---|---|---|"
)
TABLES = (
    "| table | to the last epoch | untreated | treated | cured | cured, averaged "
    "| gain of accuracy [95 %] | fall of log-loss [95 %] | proven "
    "|\n|---|---|---|---|---|---|---|---|---|"
)


def single_rows(found: Iterable[Measured]) -> str:
    """Return one line a ground: accuracy and log-loss on test, the range over seeds in brackets."""
    return "\n".join([SINGLE, *(_single(one) for one in found)])


def table_rows(found: Sequence[Measured]) -> str:
    """Return one line a table, over its splits, and their mean: accuracy and log-loss on test.

    Treated is the best recipe of the search, whether or not it was proven; cured is the same where
    it was, else the untreated network. Averaged are the networks of the proof.
    Differences are of cured against untreated, each at its best epoch, split by split, with the
    correction for splits that share rows.

    References:
        Nadeau & Bengio, "Inference for the generalization error", Machine Learning 52, 2003.
    """
    if not found:
        return ""
    names = list(dict.fromkeys(one["ground"] for one in found))
    groups = [[one for one in found if one["ground"] == name] for name in names]
    lines = [_table(name, group) for name, group in zip(names, groups, strict=True)]
    means = [fmean(fmean(map(of, group)) for group in groups) for of in _MEASURES]
    pairs = (f"{means[i]:.3f} · {means[i + 1]:.3f}" for i in range(0, len(means), 2))
    return "\n".join([TABLES, *lines, f"| mean of {len(names)} | {' | '.join(pairs)} | | | |"])


def _metric(arm: str) -> Any:
    return lambda one: fmean(one[arm]["metric"])


def _loss(arm: str) -> Any:
    return lambda one: fmean(one[arm]["loss"])


def _treated(part: str) -> Any:
    return lambda one: fmean((one["tested_scores"] or one["untreated"])[part])


def _together(part: str) -> Any:
    return lambda one: one["averaged"][-1][part] if one["averaged"] else fmean(one["cured"][part])


_MEASURES = (
    *(_metric("last"), _loss("last"), _metric("untreated"), _loss("untreated")),
    *(_treated("metric"), _treated("loss")),
    *(_metric("cured"), _loss("cured"), _together("metric"), _together("loss")),
)
"""Accuracy and log-loss of the five columns of a table."""


def _single(one: Measured) -> str:
    averaged = one["averaged"][-1] if one["averaged"] else None
    together = f"{averaged['metric']:.3f} · {averaged['loss']:.3f}" if averaged else ""
    single = one.get("single")
    best = f"{single['name']}: {fmean(single['metric']):.3f}" if single else ""
    return (
        f"| {one['ground']} | {_scores(one['last'])} | {_scores(one['untreated'])} "
        f"| {_scores(one['cured'])} | {together} | {best} "
        f"| {' + '.join(one['recipe']) or 'none'} | {one['runs']} | {one['seconds']:.0f} |"
    )


def _scores(arm: Mapping[str, Sequence[float]]) -> str:
    metric = arm["metric"]
    spread = f"{min(metric):.3f} to {max(metric):.3f}"
    return f"{fmean(metric):.3f} ({spread}) · {fmean(arm['loss']):.3f}"


def _table(name: str, splits: Sequence[Measured]) -> str:
    means = [fmean(map(of, splits)) for of in _MEASURES]
    pairs = (f"{means[i]:.3f} · {means[i + 1]:.3f}" for i in range(0, len(means), 2))
    proven = sum(bool(one["recipe"]) for one in splits)
    gain = _difference(splits, "metric", higher_is_better=True)
    fall = _difference(splits, "loss", higher_is_better=False)
    return f"| {name} | {' | '.join(pairs)} | {gain} | {fall} | {proven} of {len(splits)} |"


def _difference(splits: Sequence[Measured], part: str, *, higher_is_better: bool) -> str:
    before, after = ([fmean(one[a][part]) for one in splits] for a in ("untreated", "cured"))
    if len(splits) < 2:
        sign = 1 if higher_is_better else -1
        return f"{sign * (after[0] - before[0]):+.3f}"
    effect = repeated_splits_effect(
        before,
        after,
        train_rows=splits[0]["train_rows"],
        test_rows=splits[0]["test_rows"],
        higher_is_better=higher_is_better,
    )
    return f"{effect.mean:+.3f} [{effect.low:+.3f}, {effect.high:+.3f}]"
