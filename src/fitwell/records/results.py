"""What a study found: runs, arms, effects and verdicts, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from fitwell.records.diagnosis import Diagnosis
from fitwell.records.edits import Change
from fitwell.records.findings import RemedySpec
from fitwell.records.network import Anatomy
from fitwell.records.row_scores import RowScores
from fitwell.records.trace import Trace
from fitwell.records.weights import ArmWeights

if TYPE_CHECKING:
    from fitwell.records.learning_curve import LearningCurve

Outcome: TypeAlias = Literal["helps", "hurts", "no evidence"]


@final
@dataclass(frozen=True)
class Score:
    """Metric and mean loss over the same rows."""

    metric: float
    loss: float


@final
@dataclass(frozen=True)
class Curves:
    """One value an epoch, measured in evaluation mode; training on a fixed subset."""

    train_loss: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    train_metric: tuple[float, ...] = ()
    validation_metric: tuple[float, ...] = ()


@final
@dataclass(frozen=True)
class RunRecord:
    """One training run.

    Args:
        arm: Name of the arm.
        seed: Seed of initial weights, data order and treatment.
        rate: Learning rate as a multiple of the task's own.
        epochs: Epochs trained.
        best_epoch: Epoch with the lowest validation loss of those whose validation metric is the
            best within its noise, from 0; its weights were scored.
        diverged: Whether the loss or the weights became non-finite.
        validation: Score on the validation rows at the best epoch.
        test: Score on the test rows at the best epoch; None where they were not read.
        seconds: Wall time.
        parameters: Number of parameters of the network.
        curves: Per-epoch curves.
        took_effect: What each remedy was seen to do, as sentences.
        test_rows: Scores of the single test rows; None where they were not kept.
    """

    arm: str
    seed: int
    rate: float
    epochs: int
    best_epoch: int
    diverged: bool
    validation: Score
    test: Score | None
    seconds: float
    parameters: int
    curves: Curves = field(default_factory=Curves)
    took_effect: tuple[str, ...] = ()
    test_rows: RowScores | None = None


@final
@dataclass(frozen=True)
class Effect:
    """A paired difference with its 95 % interval; positive is better, in the metric's own unit.

    ``p`` is two-sided and comes from the same statistic as the interval.
    """

    mean: float
    low: float
    high: float
    p: float
    pairs: int

    def to_dict(self) -> dict[str, float]:
        """Return mean, low, high and p."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "p": self.p}


@final
@dataclass(frozen=True)
class Verdict:
    """What the study says of one arm against the untreated one.

    Args:
        arm: Name of the arm.
        outcome: ``"helps"``, ``"hurts"`` or ``"no evidence"``, of the metric.
        effect: Improvement of the metric.
        loss_effect: Improvement of the held-out loss (untreated minus treated).
        adjusted_p: p of the metric after Holm's correction over the arms.
        sign_flip_p: p of the same mean by flipping signs, before Holm's correction; None under
            8 pairs, which can hardly reach evidence that way.
        detectable: Smallest effect that a study of so many pairs finds with a chance of 80 %, at
            the deviation that was seen, or that of rounding to a row; None where there is neither.
        other_rows: The same improvement with the interval that holds for other test rows of this
            kind too; None where the scores of single rows were not kept.
        cautions: What makes the interval less certain than it looks, as sentences.
    """

    arm: str
    outcome: Outcome
    effect: Effect
    loss_effect: Effect
    adjusted_p: float
    sign_flip_p: float | None = None
    detectable: float | None = None
    other_rows: Effect | None = None
    cautions: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class ArmRecord:
    """One arm: a recipe at its own learning rate, its runs, and its verdict.

    The untreated arm is called ``"untreated"`` and has no verdict. ``changes`` says what the recipe
    does to the network, place by place; empty where nothing in it is changed, or it was not kept.
    """

    name: str
    recipe: tuple[RemedySpec, ...]
    rate: float
    runs: tuple[RunRecord, ...]
    verdict: Verdict | None = None
    changes: tuple[Change, ...] = ()

    @property
    def per_seed(self) -> tuple[float, ...]:
        """The metric on test of every run, in the order of the seeds."""
        return tuple(run.test.metric for run in self.runs if run.test is not None)


@final
@dataclass(frozen=True)
class TaskRecord:
    """What a task is, for a report.

    Args:
        name: Name of the task.
        description: One sentence.
        metric: Name of the metric.
        higher_is_better: Which way it points.
        loss: Name of the loss.
        rows: Number of training, validation and test rows.
        classes: Names of the classes; empty for a regression.
        parameters: Number of parameters of the untreated network.
        network: One line on the network's shape.
        notes: What was done to the data, as sentences.
        fingerprint: Digest of the data.
        anatomy: What the network is made of; None where it was not recorded.
    """

    name: str
    description: str
    metric: str
    higher_is_better: bool
    loss: str
    rows: tuple[int, int, int]
    classes: tuple[str, ...]
    parameters: int
    network: str
    notes: tuple[str, ...]
    fingerprint: str
    anatomy: Anatomy | None = None


@final
@dataclass(frozen=True)
class StudyRecord:
    """Arms on one task, always with the untreated one first."""

    task: TaskRecord
    arms: tuple[ArmRecord, ...]
    seeds: tuple[int, ...]

    def arm(self, name: str) -> ArmRecord:
        """Return the arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)


@final
@dataclass(frozen=True)
class Trial:
    """One recipe at one rate in the search, scored on validation.

    Args:
        recipe: Its remedies.
        rate: Learning rate as a multiple of the task's own.
        score: Mean validation score over the seeds that it ran on.
        seeds: How many seeds it ran on before it was dropped or kept; 0 if it was dropped after
            its first epochs.
    """

    recipe: tuple[RemedySpec, ...]
    rate: float
    score: Score
    seeds: int


@final
@dataclass(frozen=True)
class Contribution:
    """What one remedy of the winner adds: winner minus winner without it, on validation."""

    remedy: RemedySpec
    effect: Effect


@final
@dataclass(frozen=True)
class Averaged:
    """All networks of one arm of the proof as one: their outputs averaged, scored on test.

    It is one score, without an interval, and no remedy: what it adds can be had on top of any.

    Args:
        arm: Name of the arm.
        networks: How many networks were averaged; at least 2.
        together: Score on test of the averaged outputs.
        alone: Mean score on test of the same networks, each by itself.
    """

    arm: str
    networks: int
    together: Score
    alone: Score


@final
@dataclass(frozen=True)
class CureRecord:
    """Everything that ``cure`` found; reports and ``result.json`` are drawn from it.

    Args:
        task: What was trained.
        diagnosis: What was wrong with the untreated run.
        trace: What the probes recorded of it.
        recipe: The proven recipe; empty if nothing was proven to help.
        tested: The recipe that went into the proof; empty if none was worth proving.
        proof: The study on test data, or None if there was nothing to prove.
        baseline: The untreated runs that were scored on test, in the order of the seeds.
        contributions: What each remedy of ``tested`` adds.
        trials: What the search tried.
        runs: Number of training runs in all.
        seconds: Wall time from the first run to the verdict.
        notes: Further sentences for the report.
        command: The command that makes this again.
        versions: Versions of the libraries that matter.
        learning_curve: What more rows would give; None where that was not measured, and then a
            note says why.
        averaged: What averaging the networks of the proof gives, for the untreated arm and, if it
            was proven, the cured one.
        weights: How the trained weights are spread, of one network of each arm of the proof; empty
            where there was none.
    """

    task: TaskRecord
    diagnosis: Diagnosis
    trace: Trace
    recipe: tuple[RemedySpec, ...]
    tested: tuple[RemedySpec, ...]
    proof: StudyRecord | None
    baseline: tuple[RunRecord, ...]
    contributions: tuple[Contribution, ...]
    trials: tuple[Trial, ...]
    runs: int
    seconds: float
    notes: tuple[str, ...] = ()
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    learning_curve: LearningCurve | None = None
    averaged: tuple[Averaged, ...] = ()
    weights: tuple[ArmWeights, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on ``tested``, or None where nothing went into a proof."""
        return self.proof.arms[-1].verdict if self.proof else None

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``result.json``.

        Where nothing was proven to help, ``recipe`` is empty, ``cured`` is the baseline, and the
        effect is 0 with p 1; what was tried and fell short is kept under ``tested``.
        """
        baseline = [run.test.metric for run in self.baseline if run.test is not None]
        verdict = self.verdict
        proven = bool(self.recipe) and self.proof is not None and verdict is not None
        cured = list(self.proof.arms[-1].per_seed) if proven and self.proof else baseline
        nothing = {"mean": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
        result: dict[str, Any] = {
            "schema": 1,
            "task": self.task.name,
            "baseline": {"metric": self.task.metric, "per_seed": baseline},
            "diagnosis": {
                "healthy": self.diagnosis.healthy,
                "findings": [finding.to_dict() for finding in self.diagnosis],
            },
            "recipe": [spec.to_dict() for spec in self.recipe],
            "cured": {"metric": self.task.metric, "per_seed": cured},
            "effect": verdict.effect.to_dict() if proven and verdict else nothing,
            "contributions": [
                {"remedy": c.remedy.to_dict(), "effect": c.effect.to_dict()}
                for c in self.contributions
            ],
            "learning_curve": self.learning_curve.to_dict() if self.learning_curve else None,
            "ensemble": [asdict(averaged) for averaged in self.averaged],
            "runs": self.runs,
            "seconds": self.seconds,
            "notes": [*self.task.notes, *self.notes],
        }
        if verdict is not None and self.proof is not None:
            result["tested"] = {
                "recipe": [spec.to_dict() for spec in self.tested],
                "per_seed": list(self.proof.arms[-1].per_seed),
                "verdict": verdict.outcome,
                "effect": verdict.effect.to_dict(),
                "loss_effect": verdict.loss_effect.to_dict(),
                "sign_flip_p": verdict.sign_flip_p,
                "detectable": verdict.detectable,
                "other_rows": verdict.other_rows.to_dict() if verdict.other_rows else None,
                "cautions": list(verdict.cautions),
            }
        return result


def study_to_dict(study: StudyRecord) -> dict[str, Any]:
    """Return a study as JSON-ready data: the task, and every arm with its scores and verdict."""
    return {
        "schema": 1,
        "task": study.task.name,
        "metric": study.task.metric,
        "seeds": list(study.seeds),
        "arms": [
            {
                "name": arm.name,
                "recipe": [spec.to_dict() for spec in arm.recipe],
                "rate": arm.rate,
                "per_seed": list(arm.per_seed),
                "verdict": asdict(arm.verdict) if arm.verdict else None,
            }
            for arm in study.arms
        ],
    }
