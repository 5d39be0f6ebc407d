"""The networks of the proof: one to hand over, and all of an arm as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor, nn

from fitwell.modules.ensemble import Ensemble
from fitwell.records import ArmRecord, Averaged, RunRecord, Score
from fitwell.studies.job import Job
from fitwell.studies.performing import OUTPUTS, outputs_name, weights_name
from fitwell.studies.training import fit, predicted, reproducible, scored, treated_network
from fitwell.tasks import Task

WEIGHTS = "weights"
"""Folder of what every proven run left, until the files are written."""


def network(folder: Path, task: Task, arm: ArmRecord, run: RunRecord, *, device: str) -> nn.Module:
    """Return the network of a run with its weights, in evaluation mode, on the CPU."""
    file = folder / WEIGHTS / weights_name(run.arm, run.seed)
    if not file.exists():  # lost with an earlier process: the same run gives the same weights
        return fit(task, Job(arm.recipe, run.seed, run.rate), device=device).model.cpu()
    with reproducible(run.seed):
        model = treated_network(task, arm.recipe, task.data.train.x, seed=run.seed).model
    model.load_state_dict(torch.load(file, weights_only=True))
    return model.eval()


def averaged(folder: Path, task: Task, arm: ArmRecord, *, device: str) -> Averaged | None:
    """Score the mean of what the networks of an arm put out for the test rows in the proof.

    A network that put out nothing finite is left out.

    Returns:
        The score, or None where fewer than two networks are left.
    """
    runs = _sound(arm.runs)
    outputs = [_outputs(folder, task, arm, run, device=device) for run in runs]
    if len(outputs) < 2:
        return None
    tests = [run.test for run in runs if run.test is not None]
    return Averaged(
        arm.name,
        len(outputs),
        scored(task, task.average(torch.stack(outputs)), task.data.test),
        _mean(tests),
    )


def ensemble(folder: Path, task: Task, arm: ArmRecord, *, device: str) -> Ensemble | None:
    """Return the networks of an arm as one, if on validation that beats one of them on average.

    Returns:
        The ensemble in evaluation mode, or None where it is not better or there are fewer than
        two networks.
    """
    runs = _sound(arm.runs)
    if len(runs) < 2:
        return None
    networks = [network(folder, task, arm, run, device=device) for run in runs]
    together = Ensemble(networks, task.average).eval()
    score = scored(task, predicted(together, task.data.validation), task.data.validation)
    alone = _mean([run.validation for run in runs])
    return together if _rank(task, score) > _rank(task, alone) else None


def _sound(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the runs that had an epoch before they diverged, if they did."""
    return [run for run in runs if not run.diverged or len(run.curves.validation_loss) > 1]


def _outputs(folder: Path, task: Task, arm: ArmRecord, run: RunRecord, *, device: str) -> Tensor:
    """Return what a network put out for the test rows when it was scored on them."""
    file = folder / WEIGHTS / outputs_name(run.arm, run.seed)
    if file.exists():
        loaded: dict[str, Tensor] = torch.load(file, weights_only=True)
        return loaded[OUTPUTS]
    model = network(folder, task, arm, run, device=device)  # lost with an earlier process
    return predicted(model, task.data.test)


def _mean(scores: Sequence[Score]) -> Score:
    return Score(fmean(score.metric for score in scores), fmean(score.loss for score in scores))


def _rank(task: Task, score: Score) -> tuple[float, float]:
    sign = 1.0 if task.higher_is_better else -1.0
    return sign * score.metric, -score.loss
