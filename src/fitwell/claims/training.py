"""Training for claims: every seed of an arm at once, where the network can be stacked."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from fitwell.recipe import Recipe
from fitwell.records import RunRecord
from fitwell.studies.job import Job
from fitwell.studies.stacked import fit_stacked, stackable
from fitwell.studies.training import Fitted, fit
from fitwell.tasks import Task


def trained(
    task: Task, seeds: Sequence[int], recipe: Recipe | None = None, *, rate: float = 1.0
) -> tuple[Fitted, ...]:
    """Train a task's network under a recipe, once a seed, and hand back runs and networks.

    Runs of one seed share the order of the data and, where the arms share them, the initial
    weights. The networks have the weights of the kept epoch; the curves go on to the last.

    Args:
        task: What is to be learned; the test rows are scored.
        seeds: One run each.
        recipe: Remedies; none is the untreated network.
        rate: Learning rate as a multiple of the task's own.
    """
    specs = tuple((recipe or Recipe()).specs)
    jobs = [Job(specs, seed, rate, test=True) for seed in seeds]
    if stackable(task, jobs[0], "cpu") is None:
        return tuple(fit_stacked(task, jobs))
    return tuple(fit(task, job) for job in jobs)


def final_gap(run: RunRecord) -> float:
    """Return by how much the validation loss stood above the training loss after the last epoch."""
    return run.curves.validation_loss[-1] - run.curves.train_loss[-1]


def test_accuracies(fitted: Sequence[Fitted]) -> tuple[float, ...]:
    """Return the metric on the test rows at the kept epoch, one a run."""
    return tuple(one.run.test.metric for one in fitted if one.run.test is not None)


def mean_curve(name: str, fitted: Sequence[Fitted], curve: str) -> list[tuple[str, float, float]]:
    """Return rows for :class:`fitwell.records.Lines`: a curve of the runs, averaged epoch by epoch.

    Args:
        name: What the line is called.
        fitted: The runs; one that ended early counts as far as it went.
        curve: A field of :class:`fitwell.records.results.Curves`, as ``"validation_loss"``.
    """
    curves = [getattr(one.run.curves, curve) for one in fitted]
    epochs = range(max(map(len, curves)))
    return [
        (name, epoch + 1, fmean(c[epoch] for c in curves if epoch < len(c))) for epoch in epochs
    ]
