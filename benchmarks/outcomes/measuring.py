"""One cure of one split of a ground, measured and kept in a folder."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from benchmarks.outcomes.ground import Ground

import fitwell
from fitwell.cure import cure
from fitwell.recipe import Recipe
from fitwell.records import RemedySpec, RunRecord, Score
from fitwell.studies.executor import InProcess
from fitwell.studies.study import compare
from fitwell.studies.training import batches, evaluate, reproducible
from fitwell.tasks import Task

SINGLE = {
    "bag": (
        RemedySpec("Dropout"),
        RemedySpec("L2", {"strength": 0.1}),
        RemedySpec("BatchNorm"),
        RemedySpec("LabelSmoothing"),
        RemedySpec("Mixup"),
        RemedySpec("Augment", {"kind": "bag"}),
        RemedySpec("WeightAverage", {"decay": 0.99}),
        RemedySpec("Shrink", {"width": 0.125}),
    )
}
"""Single remedies to be matched, by the kind of rows."""
LAST_SEEDS = 2
"""Runs to the last epoch, as a loop without a choice of epoch makes them."""


def measured(ground: Ground, split: int, folder: Path) -> dict[str, Any]:
    """Return what a cure of the split gave: looked up where it is known, else measured.

    The name of the file is made of the data, the settings and the source of fitwell: it is
    measured anew where one of them has changed.
    """
    task = ground.make(split)
    path = folder / f"{ground.name}-{split}-{_digest(ground, task)}.json"
    if path.exists():
        known: dict[str, Any] = json.loads(path.read_text())
        return known
    found = _measure(ground, task) | {"ground": ground.name, "split": split}
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1))
    return found


def _measure(ground: Ground, task: Task) -> dict[str, Any]:
    last = [_to_the_end(task, seed) for seed in range(LAST_SEEDS)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        found = cure(task, ground.budget, ground.runs, ground.seeds, out=Path(folder) / "out")
        wall = time.perf_counter() - started
    record = found.record
    single = _best_single(task, ground) if ground.family == "text" else None
    cured = record.proof.arms[-1].runs if record.proof and record.recipe else record.baseline
    tested = record.proof.arms[-1] if record.proof else None
    return {
        "last": {"metric": [s.metric for s in last], "loss": [s.loss for s in last]},
        "untreated": _scores(record.baseline),
        "cured": _scores(cured),
        "recipe": [str(spec) for spec in record.recipe],
        "tested": [str(spec) for spec in record.tested],
        "rates": [record.baseline[0].rate, tested.runs[0].rate if tested else None],
        "tested_scores": _scores(tested.runs) if tested else None,
        "found": list(record.diagnosis.conditions),
        "test_rows": len(task.data.test),
        "train_rows": len(task.data.train) + len(task.data.validation),
        "averaged": [
            {"arm": a.arm, "networks": a.networks, **asdict(a.together)} for a in record.averaged
        ],
        "single": single,
        "runs": record.runs,
        "seconds": record.seconds,
        "wall": wall,
        "trials": [
            [" + ".join(map(str, t.recipe)), t.rate, t.score.metric, t.score.loss, t.seeds]
            for t in record.trials
        ],
    }


def _scores(runs: Sequence[RunRecord]) -> dict[str, list[float]]:
    tests = [run.test for run in runs if run.test is not None]
    return {"metric": [s.metric for s in tests], "loss": [s.loss for s in tests]}


def _best_single(task: Task, ground: Ground) -> dict[str, Any]:
    """Return the scores of the remedy that is best on test by itself, at the task's own rate."""
    arms = {spec.name: Recipe(spec) for spec in SINGLE[task.data.kind]}
    study = compare(task, arms, ground.seeds, executor=InProcess()).record
    best = max(study.arms[1:], key=lambda arm: fmean(arm.per_seed))
    return {"name": best.name, **_scores(best.runs)}


def _to_the_end(task: Task, seed: int) -> Score:
    """Train as a plain loop does, and return the score on test after the last epoch."""
    with reproducible(seed):
        model = task.make_model()
        optimizer = task.make_optimizer(model.parameters())
        order = torch.Generator().manual_seed(seed)
        train = task.data.train
        model.train()
        for _ in range(task.epochs):
            for rows in batches(len(train), task.batch_size, order):
                optimizer.zero_grad()
                task.loss_fn(model(train.x[rows]), train.y[rows]).backward()
                optimizer.step()
        return evaluate(task, model, task.data.test)


def _digest(ground: Ground, task: Task) -> str:
    digest = hashlib.sha256()
    settings = (ground.budget, ground.runs, ground.seeds, task.batch_size, task.epochs)
    network = repr(task.make_model())
    digest.update(f"{task.data.fingerprint} {settings} {network}".encode())
    for file in sorted(Path(fitwell.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
