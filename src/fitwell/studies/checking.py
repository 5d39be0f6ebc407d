"""The diagnosis of a task: one batch before training, then one run under watch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import torch
from torch import nn
from torch.optim import Optimizer

from fitwell.preflight import JUDGED, preflight
from fitwell.records import SEVERITIES, Diagnosis, Finding, RunRecord, Trace
from fitwell.studies.job import Job
from fitwell.studies.training import Listener, batches, fit, reproducible
from fitwell.tasks import Task
from fitwell.watch import Watch, watch

TIMED_EPOCHS = 2
"""Epochs that tell how long a run takes."""
EVERY = 10
"""Steps from one sample to the next after the dense start: no clock decides, and a run of 20 layers
takes twice as long as without a watch, not ten times as with every step."""


@final
@dataclass(frozen=True)
class Examination:
    """What one untreated run under watch showed.

    Args:
        diagnosis: Findings of the first batch and of the run, one a condition.
        trace: What the probes recorded.
        run: The run itself, the same as without the watch; its seconds are those without.
    """

    diagnosis: Diagnosis
    trace: Trace
    run: RunRecord


def check(task: Task, seed: int = 0) -> tuple[Diagnosis, Trace]:
    """Diagnose a task: preflight on its first batch, then one untreated run under watch.

    Args:
        task: What is to be learned; its test rows are not read.
        seed: Seed of initial weights and order of the data.

    Raises:
        TaskError: If the task cannot be trained on.
    """
    task.check()
    found = examine(task, seed=seed)
    return found.diagnosis, found.trace


def examine(task: Task, *, seed: int, device: str = "cpu") -> Examination:
    """Diagnose a task and hand back the run that it was judged by; see :func:`check`."""
    before = first_look(task, seed=seed, device=device)
    watches: list[Watch] = []

    @contextmanager
    def watching(model: nn.Module, optimizer: Optimizer) -> Iterator[Listener]:
        with watch(model, optimizer, every=EVERY) as watched:
            describe(watched, task)
            watches.append(watched)
            yield partial(_tell, watched, task.metric_name)

    job = Job((), seed, arm="untreated")
    run = fit(task, job, observer=watching, device=device).run
    run = replace(run, seconds=seconds_of(task, job, device=device))
    watched = watches[0]
    return Examination(merged(before, watched.diagnosis()), watched.trace, run)


def seconds_of(task: Task, job: Job, *, device: str = "cpu") -> float:
    """Return how long a run takes without a watch, from its first epochs."""
    epochs = job.epochs or task.epochs
    few = min(TIMED_EPOCHS, epochs)
    return fit(task, replace(job, epochs=few), device=device).run.seconds * epochs / few


def first_look(task: Task, *, seed: int, device: str = "cpu") -> Diagnosis:
    """Return the preflight of the untreated network on the first batch that it would train on."""
    with reproducible(seed, device):
        model = task.make_model().to(device)
        train = task.data.train
        order = torch.Generator().manual_seed(seed)
        rows = batches(len(train), task.batch_size, order)[0]
        return preflight(model, (train.x[rows].to(device), train.y[rows].to(device)), task.loss_fn)


def describe(watched: Watch, task: Task) -> None:
    """Tell a watch what it cannot see of a task."""
    data = task.data
    watched.describe(
        loss=task.loss_name,
        metric=task.metric_name,
        higher_is_better=task.higher_is_better,
        batch_size=task.batch_size,
        rows=len(data.train),
        validation_rows=len(data.validation),
        classes=len(data.classes),
        chance_loss=task.chance_loss,
        noisy_training_loss=False,
    )


def merged(before: Diagnosis, during: Diagnosis) -> Diagnosis:
    """Return both diagnoses as one: of two findings of one condition the graver stays.

    What the run says is kept where both are equally grave; the order is that of the run, root
    causes first, with what only the first batch showed ahead of it. What the first batch could be
    judged for is not left unjudged because the run could not.
    """
    found = {finding.condition: finding for finding in (*before, *during)}
    for finding in before:
        if _gravity(finding) > _gravity(found[finding.condition]):
            found[finding.condition] = finding
    alone = [f for f in before if f.condition not in during.conditions]
    order = [f.condition for f in (*alone, *during)]
    findings = sorted((found[c] for c in order), key=lambda f: f.cause is not None)
    open_before = {_condition(sentence) for sentence in before.unjudged}
    judged = set(found) | (set(JUDGED) - open_before)
    return Diagnosis(
        tuple(findings),
        tuple(s for s in dict.fromkeys(during.unjudged) if _condition(s) not in judged),
    )


def _condition(unjudged: str) -> str:
    """Condition that a sentence on what could not be judged begins with."""
    return unjudged.partition(":")[0]


def _gravity(finding: Finding) -> tuple[int, float]:
    return SEVERITIES.index(finding.severity), finding.confidence


def _tell(watched: Watch, metric: str, **numbers: float) -> None:
    """Log what an epoch ended with, the metric under its own name, as ``train_accuracy``."""
    renamed: dict[str, Any] = {
        name.replace("_metric", f"_{metric}"): value for name, value in numbers.items()
    }
    watched.log(**renamed)
