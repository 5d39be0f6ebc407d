"""Pages of one file: they open from the disk, in light or dark, without a network."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from fitwell.errors import require
from fitwell.records import (
    Anatomy,
    ArmRecord,
    CureRecord,
    Diagnosis,
    StudyRecord,
    TaskRecord,
    Trace,
    WatchedProgram,
    chain_text,
    some_of,
    worst_of,
)
from fitwell.report.afterword import CURE_FILES, again_lines, installed, unhelpful_lines
from fitwell.report.charts import Data, nothing_silent
from fitwell.report.conditions import (
    condition_sentence,
    condition_title,
    unexplained,
    unjudged_sentence,
)
from fitwell.report.evidence import evidence_lines
from fitwell.report.figures import (
    cure_drawings,
    diagnosis_drawings,
    diagnosis_figures,
    study_drawings,
)
from fitwell.report.numbers import (
    change,
    duration,
    mean,
    p_value,
    quantity,
    score,
    scores_on_test,
)
from fitwell.report.series import best_trials
from fitwell.report.theme import DARK, LIGHT, colour_rules, colours, look, template_text
from fitwell.report.wording import (
    arm_title,
    averaged_sentence,
    cure_headline,
    curve_sentences,
    diagnosis_headline,
    loss_sentence,
    metric_title,
    network_facts,
    network_names,
    recipe_label,
    remedy_label,
    remedy_sentence,
    study_headline,
    study_sentence,
    watched_headline,
)
from fitwell.words import say, say_many, speaking, spoken, told


def cure_page(record: CureRecord, *, lang: str = "en") -> str:
    """Return the report of a cure as one HTML file.

    Args:
        record: What the cure found.
        lang: Language to write it in.

    Raises:
        BadInput: If the language is not known.
        MissingExtra: If altair or vl-convert is not installed.
    """
    with speaking(lang):
        return _cure_page(record)


def study_page(record: StudyRecord, *, command: str = "", lang: str = "en") -> str:
    """Return a comparison as one HTML file.

    Args:
        record: What the study found.
        command: The command that makes this again.
        lang: Language to write it in.

    Raises:
        BadInput: If the language is not known.
        MissingExtra: If altair or vl-convert is not installed.
    """
    with speaking(lang):
        return _study_page(record, command)


def diagnosis_page(
    diagnosis: Diagnosis,
    trace: Trace,
    title: str,
    *,
    notes: tuple[str, ...] = (),
    anatomy: Anatomy | None = None,
    fingerprint: str = "",
    command: str = "",
    lang: str = "en",
) -> str:
    """Return a diagnosis as one HTML file, with the gradients that it was judged on.

    Args:
        diagnosis: What was found.
        trace: What it was judged on.
        title: Name of the task or run.
        notes: What was done to the data before, as sentences.
        anatomy: The network, which is drawn if given.
        fingerprint: Digest of the data.
        command: The command that makes this again.
        lang: Language to write it in.

    Raises:
        BadInput: If the language is not known.
        MissingExtra: If altair or vl-convert is not installed.
    """
    with speaking(lang):
        return page(
            "diagnosis.html.j2",
            kind=say("diagnosis"),
            title=title,
            diagnosis=diagnosis,
            headline=diagnosis_headline(diagnosis),
            **diagnosis_drawings(diagnosis, trace, anatomy),
            quiet=nothing_silent(trace),
            notes=notes,
            command=command,
            again=again_lines(versions=installed(), fingerprint=fingerprint),
        )


def watched_page(program: WatchedProgram, *, lang: str = "en") -> str:
    """Return what was found in every network that a program trained as one HTML file.

    Args:
        program: The program with its networks.
        lang: Language to write it in.

    Raises:
        BadInput: If the language is not known.
        MissingExtra: If altair or vl-convert is not installed.
    """
    with speaking(lang):
        return page(
            "watched.html.j2",
            kind=say("watched program"),
            title=program.name,
            headline=watched_headline(program),
            networks=[
                {
                    "name": network_names(group),
                    "facts": network_facts(group),
                    "diagnosis": group[0].diagnosis,
                    "figures": diagnosis_figures(group[0].trace, group[0].diagnosis),
                    "quiet": nothing_silent(group[0].trace),
                }
                for group in program.groups()
            ],
        )


def _cure_page(record: CureRecord) -> str:
    task, proof = record.task, record.proof
    arms = proof.arms if proof is not None else ()
    return page(
        "cure.html.j2",
        kind=say("cure"),
        title=task.name,
        record=record,
        task=task,
        headline=cure_headline(record),
        facts=_facts(record),
        **cure_drawings(record),
        quiet=nothing_silent(record.trace),
        rate=f"{arms[-1].rate:g} ×" if arms else "",
        effects=arms[-1].runs[0].took_effect if arms and arms[-1].runs else (),
        loss_sentence=loss_sentence(record.verdict) if record.verdict else "",
        evidence=evidence_lines(task, arms),
        averaged=[averaged_sentence(averaged, task) for averaged in record.averaged],
        outlook=curve_sentences(record.learning_curve) if record.learning_curve else (),
        trials=_trials(record),
        unhelpful=unhelpful_lines(record),
        again=again_lines(
            seeds=proof.seeds if proof is not None else [run.seed for run in record.baseline],
            versions=record.versions,
            fingerprint=task.fingerprint,
            files=CURE_FILES,
        ),
        tried=say_many("{number} trial", "{number} trials", len(record.trials)),
        about=_about(task),
        notes=(*task.notes, *record.notes),
    )


def _study_page(record: StudyRecord, command: str) -> str:
    task = record.task
    verdicts = [arm.verdict for arm in record.arms if arm.verdict is not None]
    return page(
        "study.html.j2",
        kind=say("comparison"),
        title=task.name,
        task=task,
        headline=study_headline(task, record.arms),
        facts=[
            (say("untreated"), score(mean(record.arms[0].per_seed), task.metric)),
            (say("arms"), str(len(record.arms))),
            (say("seeds"), str(len(record.seeds))),
        ],
        sentences=[study_sentence(verdict, task) for verdict in verdicts],
        evidence=evidence_lines(task, record.arms),
        **study_drawings(record),
        arms=Data(
            (
                say("arm"),
                say("recipe"),
                say("learning rate"),
                metric_title(task.metric),
                say("diverged"),
            ),
            tuple(_arm_row(arm, task) for arm in record.arms),
        ),
        about=_about(task),
        command=command,
        again=again_lines(seeds=record.seeds, versions=installed(), fingerprint=task.fingerprint),
    )


def _arm_row(arm: ArmRecord, task: TaskRecord) -> tuple[str, ...]:
    return (
        arm_title(arm.name),
        recipe_label(arm.recipe),
        f"× {arm.rate:g}",
        score(mean(arm.per_seed), task.metric),
        say(
            "{some} of {all}",
            some=sum(run.diverged for run in arm.runs),
            all=len(arm.runs),
        ),
    )


def page(template: str, **content: Any) -> str:
    """Return a page made of a template, with the scripts and styles that all pages carry.

    Raises:
        MissingExtra: If altair or vl-convert is not installed.
    """
    environment = _environment()
    source = environment.get_template(template)
    style = Markup("\n").join([_script(colour_rules()), asset("style.css"), asset("network.css")])
    return source.render(
        lang=spoken(),
        vega=_vega(),
        style=style,
        look=look(),
        palettes={scheme: colours(scheme) for scheme in (LIGHT, DARK)},
        script=asset("figures.js"),
        **content,
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fitwell.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(say=say, say_many=say_many)
    environment.filters.update(
        told=told,
        condition=condition_title,
        arrows=lambda text: text.replace(" -> ", " \u2192 "),
        meaning=condition_sentence,
        story=chain_text,
        unexplained=unexplained,
        open=unjudged_sentence,
        worst=worst_of,
        quantity=lambda value: quantity(float(value)),
        remedy=remedy_label,
        says=remedy_sentence,
        unbroken=_unbroken,
    )
    return environment


@cache
def _vega() -> Markup:
    """Return Vega, Vega-Lite and Vega-Embed as one script, in the version that altair writes."""
    schema = require("altair").SCHEMA_VERSION
    bundle = require("vl_convert").javascript_bundle(vl_version=".".join(schema.split(".")[:2]))
    return _script(bundle)


def _unbroken(text: str) -> str:
    """Keep a number together with its sign: no line ends between them."""
    return (
        text.replace(" %", "\u00a0%")
        .replace("p < ", "p\u00a0<\u00a0")
        .replace("p = ", "p\u00a0=\u00a0")
    )


def asset(name: str) -> Markup:
    """Return one of our own scripts or styles."""
    return _script(template_text(name))


def _script(text: str) -> Markup:
    """Mark our own script or style as safe; nothing in it may end the element around it."""
    return Markup(text.replace("</script", "<\\/script").replace("<!--", "<\\!--"))  # noqa: S704


def _facts(record: CureRecord) -> list[tuple[str, str]]:
    task, verdict, proof = record.task, record.verdict, record.proof
    facts: list[tuple[str, str]] = [
        (say("untreated"), score(mean(scores_on_test(record.baseline)), task.metric))
    ]
    if verdict is not None and proof is not None:
        treated = say("cured") if record.recipe else say("best recipe tried")
        facts.append((treated, score(mean(proof.arms[-1].per_seed), task.metric)))
        low, high = (
            change(end, task.metric, unit=False)
            for end in (verdict.effect.low, verdict.effect.high)
        )
        facts.append((say("95 % interval"), say("{low} to {high}", low=low, high=high)))
        facts.append(("p", p_value(verdict.effect.p).removeprefix("p ").removeprefix("= ")))
    facts.append((say("training runs"), f"{record.runs:,}"))
    facts.append((say("time"), duration(record.seconds)))
    return facts


def _trials(record: CureRecord) -> Data:
    task = record.task
    return Data(
        (
            metric_title(task.metric),
            say("loss"),
            say("seeds"),
            say("learning rate"),
            say("recipe"),
        ),
        tuple(
            (
                score(trial.score.metric, task.metric),
                quantity(trial.score.loss),
                str(trial.seeds) if trial.seeds else say("first epochs"),
                f"× {trial.rate:g}",
                recipe_label(trial.recipe),
            )
            for trial in best_trials(task, record.trials)
        ),
    )


def _about(task: TaskRecord) -> Data:
    train, validation, test = task.rows
    better = say("larger is better") if task.higher_is_better else say("smaller is better")
    rows: list[tuple[str, str]] = [
        (
            say("network"),
            say_many(
                "{network} ({number} parameter)",
                "{network} ({number} parameters)",
                task.parameters,
                network=task.network,
            ),
        ),
        (
            say("rows"),
            say(
                "{train} for training, {validation} for validation, {test} for the test",
                train=f"{train:,}",
                validation=f"{validation:,}",
                test=f"{test:,}",
            ),
        ),
        (say("metric"), f"{metric_title(task.metric)} ({better})"),
        (say("loss"), task.loss.replace("_", " ")),
    ]
    if task.classes:
        rows.append((say("classes"), f"{len(task.classes)}: {some_of(task.classes, 12)}"))
    return Data((say("what"), say("value")), tuple(rows))
