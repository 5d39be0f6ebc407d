"""What findings, remedies and verdicts are called, and the sentence that tells the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from fitwell.records import (
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
from fitwell.report.conditions import condition_title
from fitwell.report.numbers import (
    SHARES,
    change,
    count,
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
    "Activation": "replaces the activation functions of the hidden layers",
    "Initialization": "draws the initial weights anew, scaled to the width of each layer",
    "LSUV": "scales the initial weights so that every layer puts out unit variance",
    "BatchNorm": "normalises what each layer puts out over the batch, before its activation",
    "LayerNorm": "normalises what each layer puts out over its units, before its activation",
    "GroupNorm": "normalises what each layer puts out over groups of channels",
    "FoldBatchNorm": "folds batch normalisation into the weights before it, for fast prediction",
    "Dropout": "switches hidden units off at random in training, so that none relies on another",
    "L1": "pulls weights towards zero by a fixed amount; those that matter little become exactly 0",
    "L2": "pulls weights towards zero in proportion to their size, so that none grows large",
    "ClipNorm": "scales a gradient down when its norm over all parameters passes a limit",
    "ClipValue": "cuts every entry of the gradient at a limit",
    "AdaptiveClip": "scales a gradient down when it is large against the weights that it changes",
    "PercentileClip": "scales a gradient down when its norm is large against those seen before",
    "Augment": "shows varied copies of the training rows, so that they cannot be learned by heart",
    "Mixup": "trains on mixtures of pairs of rows and of their targets",
    "CutMix": "trains on rows with a part of another row pasted in, and mixes their losses alike",
    "LabelSmoothing": "asks for a little less than certainty in the right class",
    "Shrink": "makes the hidden layers narrower: less room to learn rows by heart",
    "Prune": "removes the weights that matter least",
    "EarlyStopping": "ends training when the validation loss stops falling",
    "WeightAverage": "keeps the average of the weights over the last steps",
    "LearningRate": "changes the learning rate over the run",
    "ScaleInputs": "brings every input to the same scale",
}
"""What each remedy does, as the end of a sentence that begins with its name."""


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
    known = {"r2": "R²", "macro_f1": "macro F1", "mae": "MAE", "mse": "MSE", "rmse": "RMSE"}
    return known.get(slug, slug.replace("_", " "))


def remedy_label(spec: RemedySpec) -> str:
    """Return a remedy with its doses: ``"Dropout(p=0.5)"``, or its bare name."""
    inner = ", ".join(f"{name}={_dose(value)}" for name, value in spec.args.items())
    return f"{spec.name}({inner})" if inner else spec.name


def remedy_sentence(spec: RemedySpec) -> str:
    """Return what a remedy does, as a sentence without its subject; "" if it is not known."""
    return REMEDY_WORDS.get(spec.name, "")


def recipe_label(recipe: Sequence[RemedySpec]) -> str:
    """Return the remedies of a recipe joined by plus signs; ``"untreated"`` if it is empty."""
    return " + ".join(remedy_label(spec) for spec in recipe) or "untreated"


def rows_text(task: TaskRecord) -> str:
    """Return the number of training, validation and test rows in words."""
    train, validation, test = task.rows
    return f"{train:,} training, {validation:,} validation and {test:,} test rows"


def improvement(effect: float, metric: str) -> str:
    """Return an effect that reads right whichever way the metric points.

    ``"+4.9 points"`` for a share; ``"better by 4.2"`` for an error, where a plus would mislead.
    """
    if metric in SHARES:
        return change(effect, metric)
    return "no change" if effect == 0 else _moved(effect, metric).removeprefix("is ")


def study_sentence(verdict: Verdict, task: TaskRecord) -> str:
    """Return one arm's verdict against the untreated network in one sentence."""
    effect = verdict.effect
    said = {
        "helps": f"{verdict.arm} helps",
        "hurts": f"{verdict.arm} hurts",
        "no evidence": f"No evidence that {verdict.arm} helps or hurts",
    }[verdict.outcome]
    return (
        f"{said}: {metric_title(task.metric)} {_moved(effect.mean, task.metric)} "
        f"(95 % interval {interval(effect, task.metric)}, {p_value(verdict.adjusted_p)} "
        f"over {count(effect.pairs, 'paired seed')})."
    )


def loss_sentence(verdict: Verdict) -> str:
    """Return what an arm does to the loss on test, with the interval."""
    effect = verdict.loss_effect
    numbers = f"{quantity(effect.low)} to {quantity(effect.high)}"
    if effect.mean == 0:
        return "The loss on test does not change."
    verb = "falls" if effect.mean > 0 else "rises"
    return (
        f"The loss on test {verb} by {quantity(abs(effect.mean))} "
        f"(95 % interval of the fall: {numbers})."
    )


def averaged_sentence(averaged: Averaged, task: TaskRecord) -> str:
    """Return what averaging the networks of an arm gives, against one of them."""
    sign = 1.0 if task.higher_is_better else -1.0
    gain = sign * (averaged.together.metric - averaged.alone.metric)
    return (
        f"Averaging the {averaged.networks} {averaged.arm} networks already trained: "
        f"{metric_title(task.metric)} {score(averaged.together.metric, task.metric)}, "
        f"{improvement(gain, task.metric)} over one of them; loss "
        f"{quantity(averaged.together.loss)} instead of {quantity(averaged.alone.loss)}."
    )


def study_headline(task: TaskRecord, arms: Iterable[ArmRecord]) -> Headline:
    """Return the outcome of a comparison: the best arm that was proven to help, if one was."""
    verdicts = [arm.verdict for arm in arms if arm.verdict is not None]
    if not verdicts:
        return Headline("0", "Only the untreated network was trained.", "neutral")
    helping = [verdict for verdict in verdicts if verdict.outcome == "helps"]
    best = max(helping or verdicts, key=lambda verdict: verdict.effect.mean)
    tone: Tone = "good" if helping else "bad" if best.outcome == "hurts" else "neutral"
    number = improvement(best.effect.mean, task.metric)
    return Headline(best.outcome if tone == "neutral" else number, study_sentence(best, task), tone)


def cure_headline(record: CureRecord) -> Headline:
    """Return the outcome of a cure: what was proven, or that nothing was."""
    task, verdict = record.task, record.verdict
    baseline = scores_on_test(record.baseline)
    now = f"{metric_title(task.metric)} on test {score(mean(baseline), task.metric)}"
    nothing = improvement(0.0, task.metric)
    if record.recipe and verdict is not None and record.proof is not None:
        sentence = (
            f"Cured: {_from_to(record.proof.arms[0], record.proof.arms[-1], task)} "
            f"({improvement(verdict.effect.mean, task.metric)}, 95 % interval "
            f"{interval(verdict.effect, task.metric)}, {p_value(verdict.effect.p)} "
            f"over {count(verdict.effect.pairs, 'fresh seed')})."
        )
        return Headline(improvement(verdict.effect.mean, task.metric), sentence, "good")
    if verdict is not None:
        why = (
            "was worse on test"
            if verdict.outcome == "hurts"
            else "was not proven to be better on test"
        )
        sentence = (
            f"No evidence that a treatment helps: the best recipe of the search {why} "
            f"({improvement(verdict.effect.mean, task.metric)}, 95 % interval "
            f"{interval(verdict.effect, task.metric)}, {p_value(verdict.effect.p)}). "
            f"Leave the network as it is: {now}."
        )
        return Headline(nothing, sentence, "neutral")
    if record.diagnosis.healthy:
        sentence = f"Healthy: nothing was found that needs treatment ({now})."
        return Headline(nothing, sentence, "good")
    if _something_was_better(record):
        sentence = f"Nothing was proven, though recipes were better on validation data: {now}."
    else:
        sentence = f"Nothing that was tried beat the untreated network on validation data: {now}."
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
        unit=" points" if curve.metric in SHARES else "",
    )


def diagnosis_headline(diagnosis: Diagnosis) -> Headline:
    """Return how many illnesses there are, and the root cause of each."""
    if diagnosis.healthy:
        return Headline("healthy", "Nothing was found that needs treatment.", "good")
    chains = diagnosis.chains()
    named = [f"{condition_title(c[0].condition).lower()} ({worst_of(c)})" for c in chains]
    tone: Tone = "bad" if diagnosis.worst() == "severe" else "neutral"
    return Headline(count(len(chains), "illness", "illnesses"), f"Found: {', '.join(named)}.", tone)


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
    verb = "rises" if new > old else "falls"
    return (
        f"{metric_title(task.metric)} on test {verb} from {score(old, task.metric)} "
        f"to {score(new, task.metric)}"
    )


def _moved(effect: float, metric: str) -> str:
    if effect == 0:
        return "does not change"
    size = change(abs(effect), metric).removeprefix("+")
    return f"is {'better' if effect > 0 else 'worse'} by {size}"


def _dose(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
