"""Training for claims: every seed of an arm at once, where the network can be stacked."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fitwell.recipe import Recipe
from fitwell.records import RunRecord
from fitwell.studies.job import Job
from fitwell.studies.stacked import fit_stacked, stackable, structure
from fitwell.studies.training import Fitted, fit
from fitwell.tasks import Split, Task


def trained(
    task: Task,
    seeds: Sequence[int],
    recipe: Recipe | None = None,
    *,
    rate: float = 1.0,
    share: float = 1.0,
) -> tuple[Fitted, ...]:
    """Train a task's network under a recipe, once a seed, and hand back runs and networks.

    Runs of one seed share the order of the data and, where the arms share them, the initial
    weights. The networks have the weights of the kept epoch; the curves go on to the last.

    Args:
        task: What is to be learned; the test rows are scored.
        seeds: One run each.
        recipe: Remedies; none is the untreated network.
        rate: Learning rate as a multiple of the task's own.
        share: Share of the training rows, in (0, 1]. The seed says which; those of a smaller share
            are among those of a larger one, and all shares make the same number of updates.
    """
    specs = tuple((recipe or Recipe()).specs)
    return _fitted(task, [Job(specs, seed, rate, test=True, share=share) for seed in seeds])


def compared(
    task: Task, seeds: Sequence[int], arms: Mapping[Any, Recipe]
) -> dict[str, tuple[Fitted, ...]]:
    """Train every arm as :func:`trained` does; those that differ in doses alone go together.

    Args:
        task: What is to be learned; the test rows are scored.
        seeds: One run of every arm each.
        arms: Recipes by the name of the arm.
    """
    jobs = {
        arm: [Job(tuple(recipe.specs), seed, test=True) for seed in seeds]
        for arm, recipe in arms.items()
    }
    alike: dict[Hashable, list[str]] = {}
    for arm, of in jobs.items():
        alike.setdefault(structure(task, of[0]), []).append(arm)
    done: dict[str, tuple[Fitted, ...]] = {}
    for together in alike.values():
        fitted = _fitted(task, [job for arm in together for job in jobs[arm]])
        for place, arm in enumerate(together):
            done[arm] = fitted[place * len(seeds) : (place + 1) * len(seeds)]
    return {arm: done[arm] for arm in arms}


def chosen(doses: Mapping[str, Sequence[Fitted]]) -> tuple[Fitted, ...]:
    """Return of every seed the run of the dose that is best on the validation rows.

    Args:
        doses: Runs of each dose, in the order of the seeds; of equal metrics the lower loss wins.
    """
    of_seeds = zip(*doses.values(), strict=True)
    return tuple(max(runs, key=lambda one: _standing(one.run)) for runs in of_seeds)


def simplest(task: Task, doses: Mapping[str, Sequence[Fitted]]) -> tuple[Fitted, ...]:
    """Return of every seed the run of the last dose whose validation loss is as good as the best.

    As good is: within one standard error of its mean over the rows.

    Args:
        task: What was learned; its loss is the cross-entropy.
        doses: Runs of each dose, the weakest first, in the order of the seeds.

    References:
        Breiman et al., "Classification and Regression Trees", 1984, section 3.4.3.
    """
    found = []
    for runs in zip(*doses.values(), strict=True):
        losses = [_row_losses(one.model, task.data.validation) for one in runs]
        best = min(losses, key=lambda loss: float(loss.mean()))
        limit = float(best.mean() + best.std() / len(best) ** 0.5)
        found.append(
            [one for one, loss in zip(runs, losses, strict=True) if float(loss.mean()) <= limit][-1]
        )
    return tuple(found)


def test_accuracies(fitted: Sequence[Fitted]) -> tuple[float, ...]:
    """Return the metric on the test rows at the kept epoch, one a run."""
    return tuple(one.run.test.metric for one in fitted if one.run.test is not None)


def _fitted(task: Task, jobs: Sequence[Job]) -> tuple[Fitted, ...]:
    """Do runs of one structure."""
    if stackable(task, jobs[0], "cpu") is None:
        return tuple(fit_stacked(task, jobs))
    return tuple(fit(task, job) for job in jobs)


def _standing(run: RunRecord) -> tuple[float, float]:
    return (run.validation.metric, -run.validation.loss)


@torch.no_grad()
def _row_losses(model: nn.Module, rows: Split) -> Tensor:
    return cross_entropy(model(rows.x), rows.y, reduction="none")
