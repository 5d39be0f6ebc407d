"""Records made up to be extreme: many runs, many layers, runs that diverge, names that attack."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fitwell.anatomy import inspect
from fitwell.records import (
    Anatomy,
    Answer,
    ArmRecord,
    Arrows,
    Bars,
    ClaimRecord,
    Contribution,
    CureRecord,
    Curves,
    Diagnosis,
    Effect,
    Facts,
    Finding,
    Heat,
    Histogram,
    Images,
    LayerFact,
    Lines,
    Measured,
    Quantity,
    RemedySpec,
    Row,
    RunRecord,
    Score,
    StudyRecord,
    TaskRecord,
    Trace,
    Trial,
    Units,
    Verdict,
    WatchedModel,
    WatchedProgram,
)

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "{{7*7}}{% raw %}${alert(3)}",
    "');alert(4)//\"`&lt;b&gt;\\",
    "\u202egnp.exe\u202c \u2067x\u2069",
    "datum.value, alert(5)",
    "<svg onload=alert(6)>%s{0}{name}",
)
"""Names that would run, end a script, be filled in, or be read from the right."""
DROPOUT, AUGMENT = RemedySpec("Dropout", {"p": 0.5}), RemedySpec("Augment", {"strength": 1.0})


class Residual(nn.Module):
    """Three layers with a way around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rise, self.norm = nn.Linear(8, width), nn.LayerNorm(width)
        self.turn, self.fall = nn.Linear(width, width), nn.Linear(width, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.fall(torch.relu(self.turn(torch.relu(self.norm(self.rise(x))))))


def deep_anatomy(layers: int = 300) -> Anatomy:
    """Return the anatomy of a real network of that many layers, no two blocks of it alike."""
    blocks = [Residual(4 + place) for place in range(layers // 3)]
    return inspect(nn.Sequential(*blocks), torch.randn(2, 8))


def trace_of(layers: Iterable[str], steps: int = 64) -> Trace:
    """Return what the probes record of a network whose gradients vanish, at that many steps."""
    rng, names = random.Random(3), tuple(layers)
    depth = len(names)
    sizes = {
        Quantity.GRADIENT_NORM: lambda place: math.exp(-12 * (1 - place / depth)),
        Quantity.WEIGHT_NORM: lambda place: 3.0,
        Quantity.UPDATE_NORM: lambda place: 3e-3 * math.exp(-6 * (1 - place / depth)),
        Quantity.OUTPUT_RMS: lambda place: 1.0,
        Quantity.SIGNAL_RMS: lambda place: math.exp(-3 * place / depth),
        Quantity.SATURATED_SHARE: lambda place: 0.6 * place / depth,
        Quantity.DEAD_SHARE: lambda place: 0.3,
    }
    rows = [
        Row(10 * step, quantity, size(place) * rng.uniform(0.7, 1.3), name)
        for step in range(steps)
        for quantity, size in sizes.items()
        for place, name in enumerate(names)
    ]
    rows += [
        Row(
            10 * step,
            Quantity.LOSS,
            2.0 + (1 if phase == "train" else -1) * -0.01 * step,
            "",
            phase,
        )
        for step in range(steps)
        for phase in ("train", "validation")
    ]
    return Trace(
        rows, Facts(tuple(LayerFact(n, "Linear", "hidden", i) for i, n in enumerate(names)))
    )


def vanishing(layers: tuple[str, ...]) -> Finding:
    return Finding(
        "vanishing_gradients",
        "severe",
        0.97,
        layers,
        20,
        {"gradient_ratio": 3e-5, "depth": float(len(layers))},
        "The gradient shrinks on its way back to the input.",
        (RemedySpec("BatchNorm"), RemedySpec("Activation", {"kind": "relu"})),
        phrase="the gradient vanishes",
    )


def curves(rng: random.Random, epochs: int, floor: float) -> Curves:
    train = tuple(2.2 * math.exp(-9 * e / epochs) * rng.uniform(0.9, 1.1) for e in range(epochs))
    rise = (floor + 1.8 * math.exp(-12 * e / epochs) + floor * e / epochs for e in range(epochs))
    return Curves(train, tuple(value + rng.gauss(0, 0.01) for value in rise))


def arm(
    name: str, gain: float, *, seeds: int = 8, epochs: int = 60, outcome: Any = None
) -> ArmRecord:
    """Return an arm with its runs; without an outcome it is the untreated one."""
    rng = random.Random(name)
    runs = tuple(
        RunRecord(
            name, seed, 1.0, epochs, epochs // 3, False, Score(0.86 + gain, 0.4),
            Score(0.86 + gain + rng.gauss(0, 0.005), 0.4), 0.9, 269_322,
            curves(rng, epochs, 0.4 - 2 * gain), ("Dropout has 2 layers active in training",),
        )
        for seed in range(seeds)
    )  # fmt: skip
    if outcome is None:
        return ArmRecord(name, (), 1.0, runs)
    effect = Effect(gain, gain - 0.006, gain + 0.006, 1e-4, seeds)
    verdict = Verdict(name, outcome, effect, Effect(2 * gain, gain, 3 * gain, 1e-4, seeds), 1e-4)
    return ArmRecord(name, (DROPOUT, AUGMENT), 2.0, runs, verdict)


def task(anatomy: Anatomy | None = None) -> TaskRecord:
    return TaskRecord(
        "mnist-small", "500 handwritten digits to learn from.", "accuracy", True, "cross_entropy",
        (500, 1000, 3500), tuple("0123456789"), 269_322, "MLP 784-256-256-10",
        ("12 duplicate rows were kept on one side of the split.",), "sha256:4be1d0f2", anatomy,
    )  # fmt: skip


def study(arms: int = 2, *, anatomy: Anatomy | None = None) -> StudyRecord:
    """Return a study of that many arms, each of eight runs, the untreated one among them."""
    others = (arm(f"recipe {n}", 0.004 * (n % 7), outcome="helps") for n in range(1, arms))
    return StudyRecord(task(anatomy), (arm("untreated", 0.0), *others), tuple(range(8)))


def cured(*, arms: int = 2, layers: int = 4) -> CureRecord:
    """Return a cure: untreated and treated runs, a search, and a sick network of so many layers."""
    anatomy = deep_anatomy(layers) if layers >= 3 else None
    names = tuple(node.path for node in anatomy.layers) if anatomy else ()
    proof = study(arms, anatomy=anatomy)
    rng = random.Random(5)
    trials = (
        Trial(
            (DROPOUT,), 2.0 ** (n % 4 - 1), Score(rng.uniform(0.85, 0.92), rng.uniform(0.3, 0.6)), 3
        )
        for n in range(40)
    )
    return CureRecord(
        task=proof.task,
        diagnosis=Diagnosis(
            (vanishing(names),), ("Underfitting: the trace holds no chance loss.",)
        ),
        trace=trace_of(names),
        recipe=proof.arms[-1].recipe,
        tested=proof.arms[-1].recipe,
        proof=proof,
        baseline=proof.arms[0].runs,
        contributions=(
            Contribution(AUGMENT, Effect(0.031, 0.024, 0.038, 1e-4, 5)),
            Contribution(DROPOUT, Effect(0.009, 0.002, 0.016, 0.02, 5)),
        ),
        trials=tuple(trials),
        runs=142,
        seconds=117.4,
        command="fitwell cure mnist-small --budget 2min",
        versions={"fitwell": "0.1.0", "torch": "2.13.0"},
    )


def not_helped() -> CureRecord:
    """Return a cure whose recipe fell short of proof."""
    found = cured()
    assert found.proof is not None
    untreated, treated = found.proof.arms
    nothing = Effect(0.002, -0.004, 0.008, 0.4, 8)
    verdict = Verdict(treated.name, "no evidence", nothing, nothing, 0.4)
    arms = (untreated, replace(treated, verdict=verdict))
    return replace(found, recipe=(), proof=replace(found.proof, arms=arms))


def diverged() -> CureRecord:
    """Return a cure whose untreated runs end in numbers that are none: they count as chance."""
    found = cured()
    assert found.proof is not None
    untreated, treated = found.proof.arms
    lost = Curves((2.3, 1e9, math.inf, math.nan), (2.3, 1e12, math.nan, math.nan))
    runs = tuple(
        replace(run, diverged=True, curves=lost, test=Score(0.1, 2.3), epochs=4)
        for run in untreated.runs
    )
    rows = [
        replace(row, value=math.nan) if row.step > 300 and row.module else row
        for row in found.trace
    ]
    effect = Effect(0.76, 0.755, 0.765, 1e-9, 8)
    verdict = Verdict(treated.name, "helps", effect, Effect(1.9, 1.8, 2.0, 1e-9, 8), 1e-9)
    arms = (replace(untreated, runs=runs), replace(treated, verdict=verdict))
    return replace(
        found, trace=Trace(rows, found.trace.facts), baseline=runs,
        proof=replace(found.proof, arms=arms),
    )  # fmt: skip


def program(*names: str) -> WatchedProgram:
    """Return a program that trained networks of these names, sick and healthy in turn."""
    layers = tuple(f"{name}.fc" for name in names) or ("fc1", "fc2")
    models = tuple(
        WatchedModel(
            name, "Sequential" if place % 2 else name, 1000 + place, "Adam", 640,
            Diagnosis(() if place % 2 else (vanishing(layers),)), 0.004, trace_of(layers),
        )
        for place, name in enumerate(names)
    )  # fmt: skip
    return WatchedProgram("train.py", 0, models)


def claims(*titles: str) -> tuple[ClaimRecord, ...]:
    """Return claims of these titles, each with a picture of every kind."""
    rng = random.Random(7)
    arms = ("plain", "dropout of 0.5")
    normal = tuple(rng.gauss(0, 0.1) for _ in range(400))
    pictures = (
        Lines("Loss", "epoch", "loss", tuple((a, e, 1 / (e + n), 0.9 / (e + n), 1.1 / (e + n))
              for n, a in enumerate(arms, 1) for e in range(1, 30)), log_y=True),
        Bars("Gap", "layer", "gap", tuple((f"fc{n}", a, n / 3) for n in (1, 2, 3) for a in arms)),
        Histogram("Weights", "weight", {arms[0]: normal, arms[1]: (0.0,) * 200 + normal[:200]}),
        Heat("Means", "unit", "row", tuple((f"row {r}", f"unit {u}", r * u / 6)
             for r in range(4) for u in range(3)), cut="rows", written=True),
        Units("Units", tuple(tuple(rng.random() < 0.5 for _ in range(n)) for n in (6, 9, 4))),
        Arrows("Gradients", (("before", 3.0, 4.0), ("after", 0.6, 0.8)), 1.0),
        Images("Digits", (("seven", tuple(tuple(rng.random() for _ in range(14))
               for _ in range(14))),) * 4),
    )  # fmt: skip
    effects = {"supported": 0.1, "not supported": 0.0, "reversed": -0.1}
    answers = tuple(
        Answer(
            "larger", "gap", arms[1], arms[0], (0.0, math.inf),
            Effect(mean, mean - 0.05, mean + 0.05, 0.01, 8), outcome,
        )
        for outcome, mean in effects.items()
    )  # fmt: skip
    values = {"gap": {arm: tuple(rng.random() for _ in range(8)) for arm in arms}}
    return tuple(
        ClaimRecord(
            number, f"claim-{number}", title, f"Is it so: {title}", "500 digits",
            r"\frac{1}{n} \sum_i \max(0, x_i)", title, f"nn.Dropout(0.5)  # {title}",
            "keras.layers.Dropout(0.5)", tuple(range(8)), Measured(values, pictures),
            (answers[number % 3],), 3.5,
        )
        for number, title in enumerate(titles, 1)
    )  # fmt: skip


def hostile() -> CureRecord:
    """Return a cure in which every name and every text attacks the page."""
    found, first = cured(), HOSTILE[0]
    assert found.proof is not None
    whole = " ".join(HOSTILE)
    specs = tuple(
        RemedySpec(name, {"kind": text}) for name, text in zip(HOSTILE, HOSTILE, strict=True)
    )
    finding = replace(
        vanishing(HOSTILE), explanation=whole, advice=whole, phrase=whole, remedies=specs,
        evidence=dict.fromkeys(HOSTILE, 1.0),
    )  # fmt: skip
    nodes = tuple(
        replace(node, path=HOSTILE[n % len(HOSTILE)], kind=HOSTILE[-1])
        for n, node in enumerate(deep_anatomy(9).nodes)
    )
    about = replace(
        found.task, name=first, description=whole, metric=HOSTILE[3], loss=HOSTILE[1],
        classes=HOSTILE, network=whole, notes=HOSTILE, fingerprint=first, anatomy=Anatomy(nodes),
    )  # fmt: skip
    attack = partial(arm, outcome="helps")
    arms = (arm("untreated", 0.0), *(replace(attack(name, 0.01), recipe=specs) for name in HOSTILE))
    return replace(
        found, task=about, diagnosis=Diagnosis((finding,), HOSTILE), trace=trace_of(HOSTILE),
        recipe=specs, tested=specs, proof=StudyRecord(about, arms, tuple(range(8))), notes=HOSTILE,
        command=whole, versions=dict.fromkeys(HOSTILE, first),
        contributions=tuple(Contribution(s, Effect(0.01, 0.0, 0.02, 0.01, 5)) for s in specs),
        trials=(Trial(specs, 1.0, Score(0.9, 0.3), 3),),
    )  # fmt: skip
