"""Which runs share a structure, and whether runs of a structure can train as one program."""

from __future__ import annotations

from collections.abc import Hashable
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from fitwell.errors import FitwellError
from fitwell.recipe import StackedRecipe
from fitwell.studies.job import Job
from fitwell.studies.stacked.chain import Chain, chain_of, is_written
from fitwell.studies.stacked.mapped import Mapped
from fitwell.studies.stacked.optimizers import refused
from fitwell.studies.stacked.program import Program, Unstackable
from fitwell.studies.stacked.trial import differs
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
    rows = task.data.train.x.to(device)
    try:
        with reproducible(job.seed, device):
            model = treated_network(task, job.recipe, rows, seed=job.seed).model
            optimizer = task.make_optimizer(model.parameters())
            if reason := refused(optimizer) or _loses(model, device):
                return reason
            program = program_for(model, rows[:TRIAL_ROWS])
            if isinstance(program, Chain) and not is_written(model):
                return None
            other = treated_network(task, job.recipe, rows, seed=job.seed + 1).model
            return differs(program, [model, other], rows[:TRIAL_ROWS])
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


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
