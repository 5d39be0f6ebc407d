"""Reports as GitHub Markdown, for a pull request: the same records as the pages.

Every text passes :func:`fitwell.report.github.prose` or stands as code, so that no name out of a
run becomes a cell, a link or HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fitwell.records import (
    Chain,
    CureRecord,
    Diagnosis,
    Finding,
    RemedySpec,
    StudyRecord,
    TaskRecord,
    Trial,
    WatchedProgram,
    chain_text,
    worst_of,
)
from fitwell.report.afterword import again_lines, unhelpful_lines
from fitwell.report.conditions import condition_title, severity_word, unexplained, unjudged_sentence
from fitwell.report.evidence import evidence_lines
from fitwell.report.github import block, bullets, code, folded, joined, prose, table
from fitwell.report.measures import evidence_title
from fitwell.report.numbers import change, duration, interval, mean, p_value, quantity, score
from fitwell.report.series import best_trials
from fitwell.report.wording import (
    Headline,
    arm_title,
    averaged_sentence,
    cure_headline,
    curve_sentences,
    diagnosis_headline,
    loss_sentence,
    metric_title,
    network_facts,
    network_names,
    outcome_word,
    remedy_label,
    remedy_sentence,
    rows_text,
    study_headline,
    watched_headline,
)
from fitwell.words import say, say_many, speaking, told

TRIALS = 12
"""So many recipes of a search are listed that did not help."""


def cure_markdown(record: CureRecord, *, lang: str = "en") -> str:
    """Return the report of a cure in a language.

    Raises:
        BadInput: If the language is not known.
    """
    with speaking(lang):
        return joined(_cure_parts(record))


def study_markdown(record: StudyRecord, *, command: str = "", lang: str = "en") -> str:
    """Return the report of a comparison, as :func:`cure_markdown` does.

    Args:
        record: What the study found.
        command: What makes it again.
        lang: Language to write it in.
    """
    with speaking(lang):
        return joined(_study_parts(record, command))


def watched_markdown(program: WatchedProgram, *, lang: str = "en") -> str:
    """Return the report of a program under watch, one section a network."""
    with speaking(lang):
        return joined(_watched_parts(program))


def _cure_parts(record: CureRecord) -> list[str]:
    task, proof = record.task, record.proof
    return [
        *_head(task.name, cure_headline(record)),
        _section(say("What was wrong")),
        *findings_parts(record.diagnosis),
        *(_arms_parts(proof) if proof is not None else ()),
        prose(loss_sentence(record.verdict)) if record.verdict is not None else "",
        bullets(prose(averaged_sentence(one, task)) for one in record.averaged),
        *_recipe_parts(record),
        *_outlook(record),
        *_unhelpful(record),
        *_unjudged(record.diagnosis),
        *_cure_again(record),
    ]


def _study_parts(record: StudyRecord, command: str) -> list[str]:
    task = record.task
    lines = again_lines(seeds=record.seeds, fingerprint=task.fingerprint)
    recipes = [
        f"{prose(arm_title(arm.name))}: {_recipe(arm.recipe)}"
        for arm in record.arms
        if arm.verdict is not None
    ]
    return [
        *_head(task.name, study_headline(task, record.arms)),
        *_arms_parts(record),
        bullets(recipes),
        *_again(command, (_task_line(task), *lines, *map(told, task.notes))),
    ]


def diagnosis_markdown(
    diagnosis: Diagnosis,
    title: str,
    *,
    notes: Iterable[str] = (),
    command: str = "",
    fingerprint: str = "",
    lang: str = "en",
) -> str:
    """Return the report of one run under watch.

    Args:
        diagnosis: What was found.
        title: Name of the task or run.
        notes: What was done to the data before, as sentences.
        command: What makes it again.
        fingerprint: Digest of the data.
        lang: Language to write it in.
    """
    with speaking(lang):
        parts = [
            *_head(title, diagnosis_headline(diagnosis)),
            _section(say("Findings")),
            *findings_parts(diagnosis),
            *_unjudged(diagnosis),
            *_again(command, (*again_lines(fingerprint=fingerprint), *map(told, notes))),
        ]
        return joined(parts)


def _watched_parts(program: WatchedProgram) -> list[str]:
    parts = _head(program.name, watched_headline(program))
    for group in program.groups():
        diagnosis = group[0].diagnosis
        parts += [
            _section(network_names(group)),
            prose(network_facts(group)),
            *findings_parts(diagnosis),
            *_unjudged(diagnosis),
        ]
    return parts


def findings_parts(diagnosis: Diagnosis) -> list[str]:
    """Return the findings as a table, and below it what each illness is, root cause first."""
    if diagnosis.healthy:
        return [prose(say("Healthy: nothing was found."))]
    rows = [
        _finding_row(finding, chain[0] is finding)
        for chain in diagnosis.chains()
        for finding in chain
    ]
    columns = (say("finding"), say("severity"), say("where"), say("evidence"), say("worth trying"))
    parts = [table(columns, rows), bullets(_story(chain) for chain in diagnosis.chains())]
    if diagnosis.muted:
        named = ", ".join(condition_title(name) for name in diagnosis.muted)
        parts.append(prose(say("Muted: {conditions}", conditions=named)))
    return parts


def arms_rows(record: StudyRecord) -> list[tuple[str, ...]]:
    """Return one row an arm: name, mean on test, effect, interval, p and outcome."""
    task, rows = record.task, []
    for arm in record.arms:
        row = [prose(arm_title(arm.name)), score(mean(arm.per_seed), task.metric)]
        if arm.verdict is not None:
            effect = arm.verdict.effect
            row += [
                change(effect.mean, task.metric),
                interval(effect, task.metric),
                p_value(arm.verdict.adjusted_p),
                f"**{outcome_word(arm.verdict.outcome)}**",
            ]
        diverged = sum(run.diverged for run in arm.runs)
        rows.append((*row, *[""] * (6 - len(row)), f"{diverged} / {len(arm.runs)}"))
    return [tuple(prose(c) if 0 < n < 5 else c for n, c in enumerate(row)) for row in rows]


def _head(title: str, headline: Headline) -> list[str]:
    return [_section(title, 2), _verdict(headline)]


def _section(title: str, level: int = 3) -> str:
    return f"{'#' * level} {prose(title)}"


def _verdict(headline: Headline) -> str:
    return f"**{prose(headline.number)}**: {prose(headline.sentence)}"


def _finding_row(finding: Finding, root: bool) -> tuple[str, ...]:
    title = prose(condition_title(finding.condition))
    evidence = "; ".join(
        f"{evidence_title(name)} {quantity(float(value))}"
        for name, value in finding.evidence.items()
    )
    return (
        f"**{title}**" if root else f"↳ {title}",
        prose(severity_word(finding.severity)),
        prose(finding.place),
        prose(evidence),
        ", ".join(code(remedy_label(spec)) for spec in finding.remedies),
    )


def _story(chain: Chain) -> str:
    root = chain[0]
    sentences = [
        f"**{prose(condition_title(root.condition))}** ({prose(severity_word(worst_of(chain)))})"
    ]
    if len(chain) > 1:
        sentences.append(f"*{prose(chain_text(chain).replace(' -> ', ' → '))}.*")
    sentences += [prose(told(finding.explanation)) for finding in chain]
    sentences += [
        prose(say("Change: {advice}", advice=told(finding.advice)))
        for finding in chain
        if finding.advice
    ]
    if root.cause is not None:
        sentences.append(prose(unexplained(chain)))
    return " ".join(sentences)


def _arms_parts(record: StudyRecord) -> list[str]:
    columns = (
        say("arm"),
        prose(say("{metric} on test", metric=metric_title(record.task.metric))),
        say("better than untreated by"),
        say("95 % interval"),
        "p",
        say("verdict"),
        say("diverged"),
    )
    lines = evidence_lines(record.task, record.arms)
    return [
        _section(say("The arms")),
        table(columns, arms_rows(record)),
        prose(
            say(
                "Mean over {seeds}, in pairs of the same seed.",
                seeds=say_many("{number} seed", "{number} seeds", len(record.seeds)),
            )
        ),
        bullets(prose(line) for line in lines),
    ]


def _recipe_parts(record: CureRecord) -> list[str]:
    parts = [_section(say("The recipe"))]
    if not record.recipe:
        return [*parts, prose(say("The recipe is empty: nothing was proven to help."))]
    adds = {one.remedy: one.effect for one in record.contributions}
    rows = []
    for spec in record.recipe:
        effect = adds.get(spec)
        metric = record.task.metric
        span = interval(effect, metric, unit=False) if effect else ""
        said = f"{change(effect.mean, metric)} [{span}]" if effect else ""
        rows.append((code(remedy_label(spec)), prose(remedy_sentence(spec)), prose(said)))
    parts.append(table((say("remedy"), say("what it does"), say("adds on validation")), rows))
    if record.proof is not None:
        rate = f"{record.proof.arms[-1].rate:g}"
        parts.append(prose(say("At {rate} × the learning rate of the task.", rate=rate)))
    return parts


def _outlook(record: CureRecord) -> list[str]:
    if record.learning_curve is None:
        return []
    sentences = curve_sentences(record.learning_curve)
    return [_section(say("Would more data help?")), " ".join(prose(one) for one in sentences)]


def _unhelpful(record: CureRecord) -> list[str]:
    """Return what was tried and is not in the recipe, the best by validation first."""
    trials = [
        trial
        for trial in best_trials(record.task, record.trials)
        if trial.recipe and trial.recipe not in (record.recipe, record.tested)
    ]
    doubtful = [
        one for one in record.contributions if one.remedy in record.recipe and one.effect.low <= 0
    ]
    vain = unhelpful_lines(record)
    if not trials and not doubtful:
        return []
    parts = [_section(say("What did not help")), bullets(prose(line) for line in vain)]
    if doubtful:
        named = ", ".join(code(remedy_label(one.remedy)) for one in doubtful)
        said = say("Dispensable as far as was seen, as the interval touches zero:")
        parts.append(f"{prose(said)} {named}")
    if trials:
        columns = (
            say("recipe"),
            say("learning rate"),
            prose(metric_title(record.task.metric)),
            say("seeds"),
        )
        shown = [_trial_row(record.task, trial) for trial in trials[:TRIALS]]
        summary = say_many(
            "{number} recipe fell behind on validation data",
            "{number} recipes fell behind on validation data",
            len(trials),
        )
        parts.append(folded(prose(summary), table(columns, shown)))
    return parts


def _trial_row(task: TaskRecord, trial: Trial) -> tuple[str, ...]:
    seeds = str(trial.seeds) if trial.seeds else say("first epochs")
    return (
        _recipe(trial.recipe),
        f"× {trial.rate:g}",
        prose(score(trial.score.metric, task.metric)),
        prose(seeds),
    )


def _recipe(recipe: Sequence[RemedySpec]) -> str:
    return " + ".join(code(remedy_label(spec)) for spec in recipe)


def _unjudged(diagnosis: Diagnosis) -> list[str]:
    if not diagnosis.unjudged:
        return []
    sentences = [prose(unjudged_sentence(text)) for text in diagnosis.unjudged]
    return [_section(say("What could not be judged")), bullets(sentences)]


def _cure_again(record: CureRecord) -> list[str]:
    proof, notes = record.proof, (*record.task.notes, *record.notes)
    took = say_many(
        "{number} training run in {time}.",
        "{number} training runs in {time}.",
        record.runs,
        time=duration(record.seconds),
    )
    lines = again_lines(
        seeds=proof.seeds if proof is not None else [run.seed for run in record.baseline],
        versions=record.versions,
        fingerprint=record.task.fingerprint,
    )
    told_notes = map(told, notes)
    return _again(record.command, (_task_line(record.task), took, *lines, *told_notes))


def _again(command: str, lines: Iterable[str]) -> list[str]:
    """Return the command that makes a report again, and what else it rests on."""
    items = [prose(line) for line in lines if line]
    if not command and not items:
        return []
    return [
        _section(say("How to reproduce")),
        block(command, "sh") if command else "",
        bullets(items),
    ]


def _task_line(task: TaskRecord) -> str:
    about = say("{rows}; {network}.", rows=rows_text(task), network=task.network)
    return f"{told(task.description)} {about}".strip()
