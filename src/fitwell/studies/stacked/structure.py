"""Which runs share a structure, and whether runs of a structure can train as one program."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from fitwell.errors import FitwellError
from fitwell.recipe import Treated
from fitwell.recipe.stacked import StackedRecipe
from fitwell.studies.job import Job
from fitwell.studies.stacked.chain import chain_of
from fitwell.studies.stacked.mapped import Mapped
from fitwell.studies.stacked.masks import Masks
from fitwell.studies.stacked.optimizers import refused
from fitwell.studies.stacked.program import (
    Program,
    Unstackable,
    stacked,
    state_of,
    trained_parameters,
)
from fitwell.studies.training import reproducible, treated_network
from fitwell.tasks import Task

TRIAL_ROWS = 6
"""Rows of the batch on which a mapped network is compared with the network itself."""

_FAILURES = (
    *(RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError),
    *(NotImplementedError, Unstackable),
)
"""What a network raises that cannot be mapped over runs."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

_verdicts: WeakKeyDictionary[Task, dict[tuple[Hashable, str], str | None]] = WeakKeyDictionary()
"""What was found out in this process; it depends on task and structure alone."""


def structure(task: Task, job: Job) -> Hashable:
    """Return what jobs must have in common to be stacked; it builds nothing.

    Jobs of one structure differ in seed, learning rate, numeric doses, and whether they read the
    test rows.
    """
    return StackedRecipe.structure(job.recipe), job.epochs or task.epochs, job.share


def stackable(task: Task, job: Job, device: str = "cpu") -> str | None:
    """Say why runs of a job's structure cannot train as one program, or None if they can.

    It is decided by the treated network and the optimizer, once a structure and process.
    """
    known = _verdicts.setdefault(task, {})
    key = structure(task, job), device
    if key not in known:
        known[key] = _tried(task, job, device)
    return known[key]


def _tried(task: Task, job: Job, device: str) -> str | None:
    x = task.data.train.x[:TRIAL_ROWS].to(device)
    try:
        with reproducible(job.seed, device):
            treated = [
                treated_network(task, job.recipe, task.data.train.x.to(device), seed=seed)
                for seed in (job.seed, job.seed + 1)
            ]
            optimizer = task.make_optimizer(treated[0].model.parameters())
            return (
                refused(optimizer)
                or _loses(treated[0].model, device)
                or refused_network(treated, x)
            )
    except _FAILURES as error:
        return _first_line(error)
    except FitwellError as error:
        return f"it cannot be treated: {_first_line(error)}"


def _loses(model: nn.Module, device: str) -> str | None:
    """Say why runs of a network would be slower together."""
    if device == "cpu" and any(isinstance(m, _CONVOLUTIONS) for m in model.modules()):
        return "on a CPU, convolutions of many runs take longer together than one after the other"
    return None


def program_for(model: nn.Module, example: Tensor) -> Program:
    """Return how networks like this one are worked through."""
    return chain_of(model, example) or Mapped(model)


def refused_network(treated: list[Treated], x: Tensor) -> str | None:
    """Say why networks cannot be worked through together, by comparing two with each alone."""
    models = [each.model for each in treated]
    parameters = stacked([trained_parameters(model) for model in models])
    if not parameters:
        return "the network has no parameters that are trained"
    state = stacked([state_of(model) for model in models])
    if isinstance(program := program_for(models[0], x), Mapped):
        return _differs(program, models, parameters, state, x)
    return None


def _differs(
    program: Program,
    models: list[nn.Module],
    parameters: dict[str, Tensor],
    state: dict[str, Tensor],
    x: Tensor,
) -> str | None:
    """Compare outputs, gradients and buffers after one pass in training, and one in evaluation."""
    seeds = [11, 12]
    gradients = {name: torch.zeros_like(p) for name, p in parameters.items()}
    program.bind({**parameters, **state})
    program.accept(gradients)
    both = x.expand(2, *x.shape)
    outputs = program.train(both, Masks(models, seeds).draw(both))
    pull = torch.linspace(-1, 1, outputs.numel()).view(outputs.shape).to(outputs)
    program.backward(pull)
    evaluated = program.evaluate(both)
    for run, (model, seed) in enumerate(zip(models, seeds, strict=True)):
        alone = copy.deepcopy(model).train()
        torch.manual_seed(seed)
        own = alone(x)
        found = torch.autograd.grad(own, list(_trained(alone).values()), pull[run])
        moved = state_of(alone)
        alone.eval()
        with torch.no_grad():
            pairs = [
                *((own, outputs[run]), (alone(x), evaluated[run])),
                *zip(found, (gradients[name][run] for name in parameters), strict=True),
                *((moved[name], state[name][run]) for name in state),
            ]
            if not all(_close(a, b) for a, b in pairs):
                return "mapped over runs, the network gives other numbers"
    return None


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _close(one: Tensor, other: Tensor) -> bool:
    scale = float(one.detach().abs().amax()) if one.numel() else 0.0
    return torch.allclose(one, other, rtol=1e-3, atol=1e-4 * max(scale, 1e-6), equal_nan=True)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
