"""The files of a cure: weights, recipe, code, report, and ``result.json`` last."""

from __future__ import annotations

import io
import json
import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import nn

from fitwell.cure.networks import WEIGHTS, ensemble, network
from fitwell.cure.source import treated_source
from fitwell.modules.ensemble import Ensemble
from fitwell.recipe import Recipe
from fitwell.records import ArmRecord, CureRecord, RemedySpec, RunRecord
from fitwell.report.formats import report_of
from fitwell.studies.folder import RESULT, Folder
from fitwell.tasks import Task
from fitwell.words import say


def write_outputs(
    folder: Folder, task: Task, record: CureRecord, *, device: str, lang: str
) -> tuple[nn.Module, Ensemble | None]:
    """Write everything that a cure leaves behind, and return the network that it kept.

    Returns:
        The network, and all of its arm as one where that is better on validation.

    Raises:
        OutputError: If a file cannot be written.
    """
    kept = kept_arm(record)
    run = best_of(kept.runs, higher_is_better=task.higher_is_better)
    recipe = Recipe(*kept.recipe)
    model = network(folder.path, task, kept, run, device=device)
    together = ensemble(folder.path, task, kept, device=device)
    folder.write("model.pt", _state(model))
    if together is not None:
        folder.write("ensemble.pt", _state(together))
    folder.write("recipe.json", recipe.to_json() + "\n")
    preprocess = task.data.preprocess
    if preprocess is not None:
        folder.write("preprocess.json", json.dumps(preprocess.to_dict(), indent=2) + "\n")
    source = treated_source(
        task,
        recipe,
        seed=run.seed,
        folder=folder.path,
        networks=len(together.networks) if together is not None else 0,
    )
    folder.write("treated.py", source)
    for name in ("report.html", "report.md"):
        folder.write(name, report_of(record, name, lang=lang))
    folder.write(RESULT, json.dumps(record.to_dict(), indent=2, allow_nan=False) + "\n")
    shutil.rmtree(folder.path / WEIGHTS, ignore_errors=True)
    return model, together


def _state(model: nn.Module) -> bytes:
    """Return a state dict as the content of a file."""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return file.getvalue()


def kept_arm(record: CureRecord) -> ArmRecord:
    """Return the arm whose network is handed over: the cured one if it was proven to help."""
    if record.recipe and record.proof is not None:
        return record.proof.arms[-1]
    rate = record.baseline[0].rate
    return ArmRecord("untreated", (), rate, record.baseline)


def best_of(runs: Sequence[RunRecord], *, higher_is_better: bool) -> RunRecord:
    """Return the run with the best score on validation; test scores choose nothing."""
    sign = 1.0 if higher_is_better else -1.0
    return max(runs, key=lambda run: (sign * run.validation.metric, -run.validation.loss))


def versions() -> dict[str, str]:
    """Return the versions of the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for name in ("fitwell", "torch", "numpy", "scikit-learn", "scipy", "optuna", "kornia"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def recipe_sentence(recipe: Sequence[RemedySpec], rate: float) -> str:
    """Say at which learning rate a recipe was trained, where that is not the task's own."""
    if recipe:
        return say(
            "The treated network was trained at {times} times the task's learning rate, which "
            "suits it best.",
            times=f"{rate:g}",
        )
    return say(
        "The untreated network was trained at {times} times the task's learning rate, which suits "
        "it best.",
        times=f"{rate:g}",
    )
