"""What findings, remedies and verdicts are called, and the sentence that tells the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from fitwell.records import (
    NO_STEP,
    ArmRecord,
    Averaged,
    CureRecord,
    Diagnosis,
    LearningCurve,
    RemedySpec,
    TaskRecord,
    Verdict,
    WatchedModel,
    WatchedProgram,
    curve_in_words,
    worst_of,
)
from fitwell.records.watched import NOTHING_SEEN
from fitwell.report.conditions import condition_title, severity_word
from fitwell.report.numbers import (
    SHARES,
    change,
    interval,
    mean,
    p_value,
    quantity,
    score,
    scores_on_test,
)
from fitwell.words import say, say_many, told

Tone: TypeAlias = Literal["good", "bad", "neutral"]

NAMED = 3
"""So many networks of a group are named; of more, the first and their number."""

REMEDY_WORDS = {
    "Activation": say("replaces the activation functions of the hidden layers"),
    "Initialization": say("draws the initial weights anew, scaled to the width of each layer"),
    "LSUV": say("scales the initial weights so that every layer puts out unit variance"),
    "BatchNorm": say("normalises what each layer puts out over the batch, before its activation"),
    "LayerNorm": say("normalises what each layer puts out over its units, before its activation"),
    "GroupNorm": say("normalises what each layer puts out over groups of channels"),
    "FoldBatchNorm": say(
        "folds batch normalisation into the weights before it, for fast prediction"
    ),
    "Dropout": say(
        "switches hidden units off at random in training, so that none relies on another"
    ),
    "L1": say(
        "pulls weights towards zero by a fixed amount; those that matter little become exactly 0"
    ),
    "L2": say("pulls weights towards zero in proportion to their size, so that none grows large"),
    "ClipNorm": say("scales a gradient down when its norm over all parameters passes a limit"),
    "ClipValue": say("cuts every entry of the gradient at a limit"),
    "AdaptiveClip": say(
        "scales a gradient down when it is large against the weights that it changes"
    ),
    "PercentileClip": say(
        "scales a gradient down when its norm is large against those seen before"
    ),
    "Augment": say(
        "shows varied copies of the training rows, so that they cannot be learned by heart"
    ),
    "Mixup": say("trains on mixtures of pairs of rows and of their targets"),
    "CutMix": say(
        "trains on rows with a part of another row pasted in, and mixes their losses alike"
    ),
    "LabelSmoothing": say("asks for a little less than certainty in the right class"),
    "Shrink": say("makes the hidden layers narrower: less room to learn rows by heart"),
    "Prune": say("removes the weights that matter least"),
    "EarlyStopping": say("ends training when the validation loss stops falling"),
    "WeightAverage": say("keeps the average of the weights over the last steps"),
    "LearningRate": say("changes the learning rate over the run"),
    "ScaleInputs": say("brings every input to the same scale"),
}
"""What each remedy does, as the end of a sentence that begins with its name."""

METRIC_TITLES = {
    "accuracy": say("accuracy"),
    "balanced_accuracy": say("balanced accuracy"),
    "macro_f1": say("macro F1"),
    "r2": "R²",
    "mae": "MAE",
    "mse": "MSE",
    "rmse": "RMSE",
}
"""What the metrics are called."""

ARM_TITLES = {"untreated": say("untreated"), "cured": say("cured")}
"""What the arms are called that fitwell names itself."""

OUTCOME_WORDS = {
    "helps": say("helps"),
    "hurts": say("hurts"),
    "no evidence": say("no evidence"),
}
"""What the outcomes are called."""


@final
@dataclass(frozen=True)
class Headline:
    """The outcome in one number and one sentence.

    Args:
        number: The proven improvement, as ``"+4.9 points"``; or a word where there is none.
        sentence: What it means, standing alone.
        tone: Whether that is good news.
    """

    number: str
    sentence: str
    tone: Tone


def headline_line(headline: Headline) -> str:
    """Return an outcome in one line: its number, then its sentence."""
    return say("{number}: {sentence}", number=headline.number, sentence=headline.sentence)


def metric_title(slug: str) -> str:
    """Return ``"balanced accuracy"`` for ``"balanced_accuracy"``; short names as they are known."""
    return told(METRIC_TITLES.get(slug, slug.replace("_", " ")))


def arm_title(name: str) -> str:
    """Return what an arm is called: its name, but for those that fitwell gives."""
    return told(ARM_TITLES.get(name, name)) if name in ARM_TITLES else name


def remedy_label(spec: RemedySpec) -> str:
    """Return a remedy with its doses: ``"Dropout(p=0.5)"``, or its bare name."""
    inner = ", ".join(f"{name}={_dose(value)}" for name, value in spec.args.items())
    return f"{spec.name}({inner})" if inner else spec.name


def remedy_sentence(spec: RemedySpec) -> str:
    """Return what a remedy does, as a sentence without its subject; "" if it is not known."""
    return told(REMEDY_WORDS.get(spec.name, ""))


def recipe_label(recipe: Sequence[RemedySpec]) -> str:
    """Return the remedies of a recipe joined by plus signs; ``"untreated"`` if it is empty."""
    return " + ".join(remedy_label(spec) for spec in recipe) or say("untreated")


def rows_text(task: TaskRecord) -> str:
    """Return the number of training, validation and test rows in words."""
    train, validation, test = task.rows
    return say(
        "{train} training, {validation} validation and {test} test rows",
        train=f"{train:,}",
        validation=f"{validation:,}",
        test=f"{test:,}",
    )


def improvement(effect: float, metric: str) -> str:
    """Return an effect that reads right whichever way the metric points.

    ``"+4.9 points"`` for a share; ``"better by 4.2"`` for an error, where a plus would mislead.
    """
    if metric in SHARES:
        return change(effect, metric)
    if effect == 0:
        return say("no change")
    size = _size(effect, metric)
    return say("better by {size}", size=size) if effect > 0 else say("worse by {size}", size=size)


def study_sentence(verdict: Verdict, task: TaskRecord) -> str:
    """Return one arm's verdict against the untreated network in one sentence."""
    effect, arm = verdict.effect, arm_title(verdict.arm)
    said = {
        "helps": say("{arm} helps", arm=arm),
        "hurts": say("{arm} hurts", arm=arm),
        "no evidence": say("No evidence that {arm} helps or hurts", arm=arm),
    }[verdict.outcome]
    return say_many(
        "{verdict}: {metric} {moved} (95 % interval {interval}, {p} over {number} paired seed).",
        "{verdict}: {metric} {moved} (95 % interval {interval}, {p} over {number} paired seeds).",
        effect.pairs,
        verdict=said,
        metric=metric_title(task.metric),
        moved=_moved(effect.mean, task.metric),
        interval=interval(effect, task.metric),
        p=p_value(verdict.adjusted_p),
    )


def loss_sentence(verdict: Verdict) -> str:
    """Return what an arm does to the loss on test, with the interval."""
    effect = verdict.loss_effect
    if effect.mean == 0:
        return say("The loss on test does not change.")
    of = {
        "size": quantity(abs(effect.mean)),
        "low": quantity(effect.low),
        "high": quantity(effect.high),
    }
    if effect.mean > 0:
        return say(
            "The loss on test falls by {size} (95 % interval of the fall: {low} to {high}).", **of
        )
    return say(
        "The loss on test rises by {size} (95 % interval of the fall: {low} to {high}).", **of
    )


def averaged_sentence(averaged: Averaged, task: TaskRecord) -> str:
    """Return what averaging the networks of an arm gives, against one of them."""
    sign = 1.0 if task.higher_is_better else -1.0
    gain = sign * (averaged.together.metric - averaged.alone.metric)
    return say(
        "Averaging the {networks} {arm} networks already trained: {metric} {score}, {gain} over "
        "one of them; loss {loss} instead of {before}.",
        networks=averaged.networks,
        arm=arm_title(averaged.arm),
        metric=metric_title(task.metric),
        score=score(averaged.together.metric, task.metric),
        gain=improvement(gain, task.metric),
        loss=quantity(averaged.together.loss),
        before=quantity(averaged.alone.loss),
    )


def study_headline(task: TaskRecord, arms: Iterable[ArmRecord]) -> Headline:
    """Return the outcome of a comparison: the best arm that was proven to help, if one was."""
    verdicts = [arm.verdict for arm in arms if arm.verdict is not None]
    if not verdicts:
        return Headline("0", say("Only the untreated network was trained."), "neutral")
    helping = [verdict for verdict in verdicts if verdict.outcome == "helps"]
    best = max(helping or verdicts, key=lambda verdict: verdict.effect.mean)
    tone: Tone = "good" if helping else "bad" if best.outcome == "hurts" else "neutral"
    number = improvement(best.effect.mean, task.metric)
    if tone == "neutral":
        number = outcome_word(best.outcome)
    return Headline(number, study_sentence(best, task), tone)


def outcome_word(outcome: str) -> str:
    """Return ``"helps"``, ``"hurts"`` or ``"no evidence"`` in the reader's language."""
    return told(OUTCOME_WORDS.get(outcome, outcome))


def cure_headline(record: CureRecord) -> Headline:
    """Return the outcome of a cure: what was proven, or that nothing was."""
    task, verdict = record.task, record.verdict
    now = say(
        "{metric} on test {score}",
        metric=metric_title(task.metric),
        score=score(mean(scores_on_test(record.baseline)), task.metric),
    )
    nothing = improvement(0.0, task.metric)
    if verdict is not None:
        gain = improvement(verdict.effect.mean, task.metric)
        proof = {
            "gain": gain,
            "interval": interval(verdict.effect, task.metric),
            "p": p_value(verdict.effect.p),
        }
        if record.recipe and record.proof is not None:
            sentence = say_many(
                "Cured: {change} ({gain}, 95 % interval {interval}, {p} over {number} fresh seed).",
                "Cured: {change} ({gain}, 95 % interval {interval}, {p} over {number} fresh "
                "seeds).",
                verdict.effect.pairs,
                change=_from_to(record.proof.arms[0], record.proof.arms[-1], task),
                **proof,
            )
            return Headline(gain, sentence, "good")
        if verdict.outcome == "hurts":
            sentence = say(
                "No evidence that a treatment helps: the best recipe of the search was worse on "
                "test ({gain}, 95 % interval {interval}, {p}). Leave the network as it is: {now}.",
                now=now,
                **proof,
            )
        else:
            sentence = say(
                "No evidence that a treatment helps: the best recipe of the search was not proven "
                "to be better on test ({gain}, 95 % interval {interval}, {p}). Leave the network "
                "as it is: {now}.",
                now=now,
                **proof,
            )
        return Headline(nothing, sentence, "neutral")
    if record.diagnosis.healthy:
        sentence = say("Healthy: nothing was found that needs treatment ({now}).", now=now)
        return Headline(nothing, sentence, "good")
    if _something_was_better(record):
        sentence = say(
            "Nothing was proven, though recipes were better on validation data: {now}.", now=now
        )
    else:
        sentence = say(
            "Nothing that was tried beat the untreated network on validation data: {now}.", now=now
        )
    return Headline(nothing, sentence, "neutral")


def _something_was_better(record: CureRecord) -> bool:
    """Whether a recipe of the search scored above the untreated network at every rate."""
    sign = 1.0 if record.task.higher_is_better else -1.0
    scores = [(bool(trial.recipe), sign * trial.score.metric) for trial in record.trials]
    untreated = max((score for treated, score in scores if not treated), default=float("inf"))
    return any(treated and score > untreated for treated, score in scores)


def curve_sentences(curve: LearningCurve) -> tuple[str, str, str]:
    """Return what more rows and augmentation would give, and how far to believe it."""
    return curve_in_words(
        curve,
        score=lambda value: score(value, curve.metric),
        gain=lambda value: change(value, curve.metric, unit=False),
        points=curve.metric in SHARES,
    )


def diagnosis_headline(diagnosis: Diagnosis) -> Headline:
    """Return how many illnesses there are, and the root cause of each."""
    if diagnosis.healthy and NO_STEP in diagnosis.unjudged:
        return Headline(say("no finding"), say("No step of the run was seen."), "neutral")
    if diagnosis.healthy:
        return Headline(say("healthy"), say("Nothing was found that needs treatment."), "good")
    chains = diagnosis.chains()
    named = [
        f"{condition_title(c[0].condition).lower()} ({severity_word(worst_of(c))})" for c in chains
    ]
    tone: Tone = "bad" if diagnosis.worst() == "severe" else "neutral"
    number = say_many("{number} illness", "{number} illnesses", len(chains))
    return Headline(number, say("Found: {conditions}.", conditions=", ".join(named)), tone)


def watched_headline(program: WatchedProgram) -> Headline:
    """Return what ails the networks that a program trained, one after another."""
    groups = program.groups()
    if not groups:
        return Headline(say("nothing seen"), told(NOTHING_SEEN), "neutral")
    if len(groups) == 1:
        return diagnosis_headline(groups[0][0].diagnosis)
    heads = [(network_names(group), diagnosis_headline(group[0].diagnosis)) for group in groups]
    ill = sum(not model.diagnosis.healthy for model in program.models)
    number = say(
        "{ill} of {networks} ill",
        ill=ill,
        networks=say_many("{number} network", "{number} networks", len(program.models)),
    )
    sentences = (say("{name}: {outcome}", name=name, outcome=head.sentence) for name, head in heads)
    tone: Tone = "good" if not ill else "bad" if program.worst() == "severe" else "neutral"
    return Headline(number if ill else say("healthy"), " ".join(sentences), tone)


def network_names(group: Sequence[WatchedModel]) -> str:
    """Return the names of networks that ail alike; of many the first and how many are like it."""
    if len(group) <= NAMED:
        return ", ".join(model.name for model in group)
    others = say_many("{number} network like it", "{number} networks like it", len(group) - 1)
    return say("{first}, {others}", first=group[0].name, others=others)


def network_facts(group: Sequence[WatchedModel]) -> str:
    """Return the class, the size and the steps of networks that ail alike."""
    first, steps = group[0], sorted({model.steps for model in group})
    made = say_many("{number} step", "{number} steps", steps[-1])
    if len(steps) > 1:
        made = say("{least} to {most}", least=f"{steps[0]:,}", most=made)
    return say(
        "{kind}, {parameters}; {steps} of {optimizer}",
        kind=first.kind,
        parameters=say_many("{number} parameter", "{number} parameters", first.parameters),
        steps=made,
        optimizer=first.optimizer,
    )


def _from_to(before: ArmRecord, after: ArmRecord, task: TaskRecord) -> str:
    old, new = mean(before.per_seed), mean(after.per_seed)
    of = {
        "metric": metric_title(task.metric),
        "before": score(old, task.metric),
        "after": score(new, task.metric),
    }
    if new > old:
        return say("{metric} on test rises from {before} to {after}", **of)
    return say("{metric} on test falls from {before} to {after}", **of)


def _moved(effect: float, metric: str) -> str:
    if effect == 0:
        return say("does not change")
    size = _size(effect, metric)
    if effect > 0:
        return say("is better by {size}", size=size)
    return say("is worse by {size}", size=size)


def _size(effect: float, metric: str) -> str:
    return change(abs(effect), metric).removeprefix("+")


def _dose(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
