"""Arms and remedies compared: every seed, the mean, and the interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fitwell.errors import require
from fitwell.records import ArmRecord, Contribution, Effect, TaskRecord
from fitwell.report.charts.figure import Data, Figure, Panel, Spec
from fitwell.report.charts.vega import drawable, drawn, sized, tips
from fitwell.report.numbers import SHARES, change, interval, mean, score
from fitwell.report.series import paired_differences
from fitwell.report.wording import arm_title, metric_title, remedy_label
from fitwell.words import say

ROW = 54
"""Height of one arm or remedy, in pixels: its name stands above its marks."""


def scores_figure(task: TaskRecord, arms: Sequence[ArmRecord]) -> Figure | None:
    """Draw the score of every seed, and how much better it is than untreated, for each arm."""
    treated = [arm for arm in arms if arm.verdict is not None]
    if not treated:
        return None
    effects = [
        (arm_title(arm.name), arm.verdict.effect) for arm in treated if arm.verdict is not None
    ]
    seeds = [(arm_title(arm.name), paired_differences(arms[0], arm, task)) for arm in treated]
    name = metric_title(task.metric)
    panels = (
        Panel(say("{metric} on test, every seed", metric=name), _scores_panel(task, arms)),
        Panel(
            say("better than untreated on the same seed, with 95 % interval"),
            _effects_panel(task, effects, dict(seeds)),
        ),
    )
    return Figure(
        say("The arms compared on test data"),
        panels,
        _scores_caption(joined=len(arms) == 2),
        " ".join(_effect_words(task, arm, effect) for arm, effect in effects),
        Data(
            (
                say("arm"),
                say("mean {metric}", metric=name),
                say("better by"),
                say("95 % interval"),
            ),
            tuple(_arm_row(task, arm) for arm in arms),
        ),
    )


def _scores_caption(*, joined: bool) -> str:
    parts = [
        say(
            "How to read it: every dot is one seed. In the first drawing the upright bar is the "
            "mean, and a thin line joins the same seed in both arms."
        )
        if joined
        else say(
            "How to read it: every dot is one seed. In the first drawing the upright bar is the "
            "mean."
        ),
        say(
            "In the second, each dot is how much better that seed did than untreated; the diamond "
            "is the mean, the line its 95 % interval. An interval that lies wholly to the right of "
            "zero speaks for help; where there are several arms, the verdict asks for a little "
            "more."
        ),
    ]
    return " ".join(parts)


def _effect_words(task: TaskRecord, name: str, effect: Effect) -> str:
    return say(
        "{name}: {effect}, 95 % interval {interval}.",
        name=name,
        effect=change(effect.mean, task.metric),
        interval=interval(effect, task.metric),
    )


def contributions_figure(task: TaskRecord, contributions: Sequence[Contribution]) -> Figure | None:
    """Draw what each remedy adds to the recipe; None if that was not measured."""
    if not contributions:
        return None
    effects = [(remedy_label(one.remedy), one.effect) for one in contributions]
    rows = tuple(
        (name, change(effect.mean, task.metric), interval(effect, task.metric))
        for name, effect in effects
    )
    return Figure(
        say("What each remedy contributes"),
        (
            Panel(
                say("the recipe against the recipe without it"), _effects_panel(task, effects, {})
            ),
        ),
        say(
            "How to read it: the diamond is how much worse the recipe does on validation data when "
            "that one remedy is left out, the line its 95 % interval. A remedy whose interval "
            "touches zero may be dispensable."
        ),
        " ".join(_effect_words(task, name, effect) for name, effect in effects),
        Data((say("remedy"), say("adds"), say("95 % interval")), rows),
    )


def _effects_panel(
    task: TaskRecord,
    effects: Sequence[tuple[str, Effect]],
    seeds: Mapping[str, Sequence[float]],
) -> Spec:
    """Return intervals around a zero line, one row a name, with a dot a seed where given."""
    alt = require("altair")
    scale = 100.0 if task.metric in SHARES else 1.0
    shares = task.metric in SHARES
    title = say("improvement, points") if shares else say("improvement (right is better)")
    rows: list[Mapping[str, Any]] = [
        {
            "name": name,
            "mean": scale * e.mean,
            "low": scale * e.low,
            "high": scale * e.high,
            "p": e.p,
        }
        for name, e in effects
    ]
    rows += [{"name": name, "value": scale * v} for name, values in seeds.items() for v in values]
    names = [name for name, _ in effects]
    y = _name_axis(alt, names)
    x = alt.X("mean:Q", title=title, axis=alt.Axis(tickCount=5), scale=alt.Scale(padding=12))
    base = alt.Chart(drawn(rows)).encode(y=y)
    whole = base.transform_filter("isValid(datum.mean)")
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(style="zero").encode(x="zero:Q")
    layers = [zero, *_names(alt, names)]
    if any(seeds.values()):
        dots = base.transform_filter("isValid(datum.value)")
        layers.append(dots.mark_point(style="seed").encode(x="value:Q"))
    layers += [
        whole.mark_rule(style="interval").encode(x="low:Q", x2="high:Q"),
        whole.mark_point(style="mean").encode(
            x=x, tooltip=tips(alt, "name", "mean", "low", "high")
        ),
    ]
    return sized(alt.layer(*layers), ROW * len(effects))


def _scores_panel(task: TaskRecord, arms: Sequence[ArmRecord]) -> Spec:
    alt = require("altair")
    share = task.metric in SHARES
    rows: list[Mapping[str, Any]] = [
        {"name": arm_title(arm.name), "place": place, "seed": run.seed, "value": run.test.metric}
        for place, arm in enumerate(arms)
        for run in arm.runs
        if run.test is not None
    ]
    means: list[Mapping[str, Any]] = [
        {"name": arm_title(arm.name), "mean": mean(arm.per_seed)} for arm in arms
    ]
    names = [arm_title(arm.name) for arm in arms]
    y = _name_axis(alt, names)
    x = alt.X(
        "value:Q",
        title=_score_title(task),
        axis=alt.Axis(tickCount=5, **({"format": "~%"} if share else {})),
        scale=alt.Scale(zero=False, padding=12),
    )
    runs = alt.Chart(drawn(rows))
    layers = _names(alt, names)
    if len(arms) == 2:
        layers.insert(
            0, runs.mark_line(style="pair").encode(y=y, x=x, detail="seed:N", order="place:Q")
        )
    layers += [
        runs.mark_point(style="seed").encode(y=y, x=x, tooltip=tips(alt, "name", "seed", "value")),
        alt.Chart(alt.Data(values=drawable(means)))
        .mark_tick(style="average")
        .encode(y=y, x="mean:Q"),
    ]
    return sized(alt.layer(*layers), ROW * len(arms))


def _score_title(task: TaskRecord) -> str:
    name = metric_title(task.metric)
    if task.metric in SHARES:
        return say("{metric} on test", metric=name)
    if task.higher_is_better:
        return say("{metric} on test (larger is better)", metric=name)
    return say("{metric} on test (smaller is better)", metric=name)


def _name_axis(alt: Any, names: Sequence[str]) -> Any:
    return alt.Y("name:N", title=None, sort=None, scale=alt.Scale(domain=list(names)), axis=None)


def _names(alt: Any, names: Sequence[str]) -> list[Any]:
    """Names inside the plot, above their rows: a long one takes no margin, lines pass behind."""
    rows = alt.Chart(alt.Data(values=[{"name": name} for name in names]))
    return [
        rows.mark_text(style=style, dy=-17, limit=320).encode(
            y=_name_axis(alt, names), x=alt.value(1), text="name:N"
        )
        for style in ("halo", "name")
    ]


def _arm_row(task: TaskRecord, arm: ArmRecord) -> tuple[str, ...]:
    average = score(mean(arm.per_seed), task.metric)
    if arm.verdict is None:
        return (arm_title(arm.name), average, "", "")
    effect = arm.verdict.effect
    return (
        arm_title(arm.name),
        average,
        change(effect.mean, task.metric),
        interval(effect, task.metric),
    )
