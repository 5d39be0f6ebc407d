"""Records of a made-up cure, exact enough to check sentences, tables and figures on."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from fitwell.records import (
    ArmRecord,
    Augmented,
    BackTest,
    Contribution,
    CureRecord,
    CurvePoint,
    Curves,
    Diagnosis,
    Effect,
    Facts,
    Finding,
    Forecast,
    LayerFact,
    LearningCurve,
    PowerLaw,
    Quantity,
    RemedySpec,
    Row,
    RowsWorth,
    RunRecord,
    Score,
    StudyRecord,
    TaskRecord,
    Trace,
    Trial,
    Verdict,
)

SEEDS = tuple(range(1000, 1008))
LAYERS = ("fc1", "fc2", "fc3", "out")
AUGMENT = RemedySpec("Augment", {"strength": 1.0})
BATCH_NORM = RemedySpec("BatchNorm")
DROPOUT = RemedySpec("Dropout", {"p": 0.5})
INITIALIZATION = RemedySpec("Initialization", {"scheme": "he_normal"})


def _curves(rng: random.Random, *, cured: bool) -> Curves:
    floor, rise, speed = (0.16, 0.0, 0.14) if cured else (0.0, 0.011, 0.35)
    train = tuple(
        floor + 2.2 * math.exp(-speed * e) * rng.uniform(0.92, 1.08) for e in range(1, 41)
    )
    validation = tuple(
        (0.30 if cured else 0.46) + 1.8 * math.exp(-speed * e) + rise * e + rng.gauss(0, 0.012)
        for e in range(1, 41)
    )
    return Curves(train, validation)


def _run(arm: str, seed: int, metric: float) -> RunRecord:
    rng = random.Random(f"{arm}{seed}")
    score = Score(metric, 0.46 if arm == "untreated" else 0.30)
    return RunRecord(
        arm=arm,
        seed=seed,
        rate=1.0 if arm == "untreated" else 2.0,
        epochs=40,
        best_epoch=8 if arm == "untreated" else 36,
        diverged=False,
        validation=score,
        test=score,
        seconds=0.9,
        parameters=269_322,
        curves=_curves(rng, cured=arm != "untreated"),
        took_effect=() if arm == "untreated" else ("Dropout has 2 layers active in training",),
    )


def _trace() -> Trace:
    rng = random.Random(3)
    steps = [*range(21), *range(30, 640, 10)]
    rows = [
        Row(
            step,
            Quantity.GRADIENT_NORM,
            math.exp(rng.gauss(-1.2 * (3 - place) - 0.006 * step, 0.25)),
            layer,
        )
        for step in steps
        for place, layer in enumerate(LAYERS)
    ]
    facts = Facts(tuple(LayerFact(n, "Linear", "hidden", i) for i, n in enumerate(LAYERS)))
    return Trace(rows, facts)


@pytest.fixture
def task() -> TaskRecord:
    return TaskRecord(
        name="mnist-small",
        description="500 handwritten digits to learn from: the network learns them by heart.",
        metric="accuracy",
        higher_is_better=True,
        loss="cross_entropy",
        rows=(500, 1000, 3500),
        classes=tuple("0123456789"),
        parameters=269_322,
        network="MLP 784-256-256-10",
        notes=("12 duplicate rows were kept on one side of the split.",),
        fingerprint="sha256:4be1d0f2",
    )


@pytest.fixture
def diagnosis() -> Diagnosis:
    initial = Finding(
        "bad_initialization",
        "mild",
        0.7,
        ("fc1", "fc2"),
        None,
        {"signal_ratio": 0.031, "std": 1e-4},
        "The signal shrinks on its way through the network before the first step.",
        (INITIALIZATION,),
    )
    overfitting = Finding(
        "overfitting",
        "severe",
        0.98,
        (),
        96,
        {"validation_loss_rise": 0.38, "gap": 0.89, "best_epoch": 8.0},
        "Validation loss has risen by 0.38 since epoch 8 while training loss went on falling: "
        "the network learns the training rows by heart.",
        (AUGMENT, DROPOUT, RemedySpec("L2", {"strength": 0.01})),
        initial,
    )
    return Diagnosis((overfitting, initial), ("Underfitting: the trace holds no chance loss.",))


@pytest.fixture
def verdict() -> Verdict:
    return Verdict(
        "treated",
        "helps",
        Effect(0.0492, 0.0441, 0.0543, 2e-7, 8),
        Effect(0.162, 0.149, 0.175, 1e-8, 8),
        2e-7,
    )


@pytest.fixture
def proof(task: TaskRecord, verdict: Verdict) -> StudyRecord:
    rng = random.Random(1)
    before = [0.861 + rng.gauss(0, 0.004) for _ in SEEDS]
    after = [value + rng.gauss(0.0492, 0.006) for value in before]
    recipe = (BATCH_NORM, DROPOUT, AUGMENT)
    untreated = [
        _run("untreated", seed, metric) for seed, metric in zip(SEEDS, before, strict=True)
    ]
    treated = [_run("treated", seed, metric) for seed, metric in zip(SEEDS, after, strict=True)]
    arms = (
        ArmRecord("untreated", (), 1.0, tuple(untreated)),
        ArmRecord("treated", recipe, 2.0, tuple(treated), verdict),
    )
    return StudyRecord(task, arms, SEEDS)


@pytest.fixture
def cured(task: TaskRecord, diagnosis: Diagnosis, proof: StudyRecord) -> CureRecord:
    recipe = proof.arms[1].recipe
    rng = random.Random(5)
    trials = [
        Trial(
            recipe[: 1 + place % 3],
            2.0 ** (place % 4 - 1),
            Score(rng.uniform(0.85, 0.925), rng.uniform(0.28, 0.6)),
            1 + 2 * (place % 3),
        )
        for place in range(24)
    ]
    return CureRecord(
        task=task,
        diagnosis=diagnosis,
        trace=_trace(),
        recipe=recipe,
        tested=recipe,
        proof=proof,
        baseline=proof.arms[0].runs,
        contributions=(
            Contribution(AUGMENT, Effect(0.031, 0.024, 0.038, 1e-4, 5)),
            Contribution(DROPOUT, Effect(0.009, 0.002, 0.016, 0.02, 5)),
            Contribution(BATCH_NORM, Effect(0.004, -0.003, 0.011, 0.21, 5)),
        ),
        trials=tuple(trials),
        runs=142,
        seconds=117.4,
        notes=("Learning rates were tuned for every arm.",),
        command="fitwell cure mnist-small --budget 2min",
        versions={"fitwell": "0.1.0", "torch": "2.13.0", "python": "3.11.9"},
    )


@pytest.fixture
def unproven(cured: CureRecord) -> CureRecord:
    """A recipe went into the proof and was not proven to help."""
    assert cured.proof is not None
    untreated, treated = cured.proof.arms
    flat = Verdict(
        "treated", "no evidence", Effect(0.003, -0.004, 0.01, 0.35, 8), Effect(0, -1, 1, 1, 8), 0.35
    )
    study = replace(cured.proof, arms=(untreated, replace(treated, verdict=flat)))
    return replace(cured, recipe=(), proof=study)


@pytest.fixture
def healthy(cured: CureRecord) -> CureRecord:
    """Nothing was found, and nothing went into a proof."""
    return replace(
        cured,
        diagnosis=Diagnosis(),
        recipe=(),
        tested=(),
        proof=None,
        contributions=(),
        trials=(),
    )


@pytest.fixture
def curve() -> LearningCurve:
    """0.95 minus 2 / sqrt(rows): half of the way to the floor with four times the rows."""
    seeds = (1, 2, 3)

    def law(rows: int) -> float:
        return 0.95 - 2 * rows**-0.5

    return LearningCurve(
        task="mnist-small",
        metric="accuracy",
        higher_is_better=True,
        seeds=seeds,
        points=tuple(
            CurvePoint(n, n / 500, tuple(law(n) + 0.01 * (seed - 2) for seed in seeds))
            for n in (62, 125, 250, 500)
        ),
        law=PowerLaw(0.05, 2.0, 0.5),
        line=tuple(
            Forecast(n, law(n), law(n) - 0.02, law(n) + 0.02)
            for n in (62, 125, 250, 500, 1000, 2000)
        ),
        forecasts=(
            Forecast(1000, law(1000), 0.871, 0.9),
            Forecast(2000, law(2000), 0.88, 0.93),
        ),
        back_test=BackTest(Forecast(500, 0.862, 0.85, 0.88), 250, law(500), law(250), 0.875),
        augmented=Augmented(
            AUGMENT,
            (0.88, 0.89, 0.9),
            Effect(0.0294, 0.02, 0.04, 0.01, 3),
            1.7,
            RowsWorth(2.22, 1.6, None),
        ),
    )
