"""The story of a cure or of a comparison, for a terminal: plain text where output is piped."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from fitwell.records import CureRecord, Diagnosis, StudyRecord, TaskRecord, Trace
from fitwell.report.evidence import evidence_lines
from fitwell.report.network_lines import NetworkLines
from fitwell.report.numbers import duration, mean, printable, score, scores_on_test
from fitwell.report.series import best_trials
from fitwell.report.sparklines import Sparks, gradient_sparks, run_sparks, trace_sparks
from fitwell.report.tables import (
    arms_table,
    contributions_table,
    diagnosis_table,
    trials_table,
)
from fitwell.report.wording import (
    Headline,
    averaged_sentence,
    cure_headline,
    curve_sentences,
    loss_sentence,
    metric_title,
    remedy_label,
    remedy_sentence,
    rows_text,
    study_headline,
)
from fitwell.words import say, say_many, told

TONE_STYLES = {"good": "bold green", "bad": "bold red", "neutral": "bold"}


def cure_story(record: CureRecord) -> RenderableType:
    """Tell a cure step by step, from the untreated network to the verdict."""
    steps: list[RenderableType] = [task_line(record.task)]
    steps.append(_step(1, say("Train as it is"), _baseline(record)))
    found = Group(diagnosis_table(record.diagnosis), Sparks(tuple(gradient_sparks(record.trace))))
    steps.append(_step(2, say("Diagnose"), found))
    steps.append(_step(3, say("Search on validation data"), _search(record)))
    steps.append(_step(4, say("Prove on test data"), _proof(record)))
    took = say_many(
        "{number} run in {time}",
        "{number} runs in {time}",
        record.runs,
        time=duration(record.seconds),
    )
    verdict = Group(verdict_lines(cure_headline(record)), Text(took, style="dim"))
    steps.append(_step(5, say("Verdict"), verdict))
    if record.learning_curve is not None:
        sentences = curve_sentences(record.learning_curve)
        steps.append(Group(Text(), *(Text(printable(sentence)) for sentence in sentences)))
    steps.extend(_notes([*record.task.notes, *record.notes]))
    return Group(*steps)


def study_story(study: StudyRecord) -> RenderableType:
    """Tell a comparison: the arms with their intervals, then the verdict."""
    return Group(
        task_line(study.task),
        Text(),
        arms_table(study.task, study.arms),
        *_evidence(study),
        Text(),
        verdict_lines(study_headline(study.task, study.arms)),
        *_notes(study.task.notes),
    )


def diagnosis_story(
    task: TaskRecord, diagnosis: Diagnosis, trace: Trace, *, network: bool = False
) -> RenderableType:
    """Tell what was found in one run, and what was done to the data before it.

    Args:
        task: What was trained.
        diagnosis: What was found.
        trace: What it was judged on.
        network: Whether the network is drawn before.
    """
    drawn = Sparks(tuple(trace_sparks(trace)))
    parts = [task_line(task), Text(), diagnosis_table(diagnosis), drawn, *_notes(task.notes)]
    if network and task.anatomy is not None:
        parts[1:1] = [Text(), NetworkLines(task.anatomy)]
    return Group(*parts)


def task_line(task: TaskRecord) -> RenderableType:
    """Return what is trained: name, description, rows and network."""
    head = Text.assemble((printable(task.name), "bold"))
    if task.description:
        head.append(f"  {printable(told(task.description))}")
    body = say_many(
        "{rows}; {network} ({number} parameter)",
        "{rows}; {network} ({number} parameters)",
        task.parameters,
        rows=rows_text(task),
        network=printable(task.network),
    )
    return Group(head, Text(body, style="dim"))


def verdict_lines(headline: Headline) -> RenderableType:
    """Return the outcome: its number, then its sentence."""
    style = TONE_STYLES[headline.tone]
    return Group(Text(headline.number, style=style), Text(printable(headline.sentence)))


def files_written(folder: str) -> RenderableType:
    """Return where the results are."""
    where = say(
        "Written to {folder}: report.html tells it with figures, report.md for a pull request.",
        folder=printable(folder),
    )
    return Text(f"\n{where}")


def _step(number: int, title: str, body: RenderableType) -> RenderableType:
    head = Text.assemble("\n", (f"{number}  {title}", "bold"))
    return Group(head, Padding(body, (0, 0, 0, 3)))


def _baseline(record: CureRecord) -> RenderableType:
    scores = scores_on_test(record.baseline)
    name = metric_title(record.task.metric)
    lines: list[RenderableType] = [
        Text(
            say_many(
                "{metric} on test {score}, mean of {number} seed",
                "{metric} on test {score}, mean of {number} seeds",
                len(scores),
                metric=name,
                score=score(mean(scores), record.task.metric),
            )
        )
    ]
    lines.append(Sparks(tuple(run_sparks(record.baseline))))
    diverged = sum(run.diverged for run in record.baseline)
    if diverged:
        said = say_many(
            "{diverged} of {number} run diverged",
            "{diverged} of {number} runs diverged",
            len(record.baseline),
            diverged=diverged,
        )
        lines.append(Text(said, style="red"))
    return Group(*lines)


def _search(record: CureRecord) -> RenderableType:
    if not record.trials:
        return Text(say("No recipe was tried."))
    tried = say_many(
        "{number} recipe tried; the best by validation:",
        "{number} recipes tried; the best by validation:",
        len(record.trials),
    )
    lines: list[RenderableType] = [
        Text(tried),
        trials_table(record.task, best_trials(record.task, record.trials)[:3]),
    ]
    if record.contributions:
        lines.append(Text(say("What each remedy of the winner adds, on validation data:")))
        lines.append(contributions_table(record.task, record.contributions))
    return Group(*lines)


def _proof(record: CureRecord) -> RenderableType:
    if record.proof is None:
        return Group(Text(say("Nothing went into a proof.")), *_averaged(record))
    lines: list[RenderableType] = [arms_table(record.task, record.proof.arms)]
    if record.verdict is not None:
        lines.append(Text(loss_sentence(record.verdict), style="dim"))
        lines.extend(_evidence(record.proof))
    lines.extend(_averaged(record))
    if record.recipe:
        lines.append(Text(say("The recipe:")))
        lines.extend(_recipe_lines(record))
    return Group(*lines)


def _averaged(record: CureRecord) -> list[RenderableType]:
    sentences = [averaged_sentence(averaged, record.task) for averaged in record.averaged]
    return [Text(sentence, style="dim") for sentence in sentences]


def _evidence(study: StudyRecord) -> list[Text]:
    lines = evidence_lines(study.task, study.arms)
    return [Text(printable(line), style="dim") for line in lines]


def _recipe_lines(record: CureRecord) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for spec in record.recipe:
        sentence = remedy_sentence(spec)
        line = Text.assemble((printable(remedy_label(spec)), "bold"))
        line.append(f" {sentence}" if sentence else "")
        lines.append(Padding(line, (0, 0, 0, 2)))
    return lines


def _notes(notes: Sequence[str]) -> list[RenderableType]:
    if not notes:
        return []
    lines = [say("note: {sentence}", sentence=printable(told(note))) for note in notes]
    return [Text(), *(Text(line, style="dim") for line in lines)]
