"""Every error that fitwell raises on purpose.

::

    FitwellError
    ├── BadInput            what was given cannot be used: wanted, got, what to do
    │   ├── TaskError       a task, its data or its model cannot be trained on
    │   ├── ThresholdError  an argument of a detector, a remedy or a study is out of range
    │   └── OutputError     an output folder cannot be written, or holds something else
    ├── NotApplicable       a remedy cannot serve this network, with the reason
    ├── BudgetTooSmall      the time allowed does not cover the least that must be run
    ├── MissingExtra        an optional dependency is not installed
    ├── ScriptRefused       a script under watch needs what is not there
    ├── WorkerLost          worker processes were killed again and again at the same run
    ├── RunFailed           a run raised an error in another process
    ├── TrainingStopped     a watch was told to stop at such a finding; a checkpoint is kept
    └── Interrupted         stopped by the user; what was finished is kept

The first line of a message stands alone; further lines hold details.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any


class FitwellError(Exception):
    """Base of every error that fitwell raises on purpose."""


class BadInput(FitwellError, ValueError):
    """What was given cannot be used."""


class TaskError(BadInput):
    """A task, its data or its model cannot be trained on."""


class ThresholdError(BadInput):
    """An argument is out of its range."""


class OutputError(BadInput):
    """An output folder cannot be written, or holds something else."""


class NotApplicable(FitwellError):
    """A remedy cannot serve this network."""


class BudgetTooSmall(FitwellError):
    """The time allowed does not cover the least that must be run."""


class MissingExtra(FitwellError, ImportError):
    """An optional dependency is not installed."""


class ScriptRefused(FitwellError):
    """A script under watch needs what is not there: Keras, or TensorFlow itself."""


class WorkerLost(FitwellError):
    """Worker processes were killed again and again at the same run."""


class RunFailed(FitwellError):
    """A run raised an error in another process; further lines are its traceback."""


class Interrupted(FitwellError):
    """Stopped by the user; what was finished is kept and can be resumed."""


class TrainingStopped(FitwellError):
    """A watched run was stopped, as it was asked to be.

    Args:
        diagnosis: What was found: a :class:`fitwell.records.Diagnosis`.
        checkpoint: File with the last good state of model and optimizer.
        finding: The one in it that the run was stopped for.
        steps: Optimizer steps that were made.
    """

    def __init__(self, diagnosis: Any, checkpoint: Path, finding: Any, steps: int) -> None:
        super().__init__(
            f"Training was stopped after {steps} steps: {finding.severity} {finding.condition}.\n"
            f"  {finding.explanation}\n"
            f"  last good state: {checkpoint}"
        )
        self.diagnosis, self.checkpoint = diagnosis, checkpoint
        self.finding, self.steps = finding, steps

    def __reduce__(self) -> tuple[type[TrainingStopped], tuple[object, ...]]:
        return type(self), (self.diagnosis, self.checkpoint, self.finding, self.steps)


def require(module: str, extra: str = "lab") -> ModuleType:
    """Import an optional dependency, or say which extra brings it.

    Args:
        module: Dotted name of the module to import.
        extra: The extra of fitwell that installs it.

    Raises:
        MissingExtra: If the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise _missing(error.name or module, extra) from error


def needs(*modules: str, extra: str = "lab") -> None:
    """Check that optional dependencies are there, before a long job; nothing is imported.

    Args:
        modules: Names of the modules.
        extra: The extra of fitwell that installs them.

    Raises:
        MissingExtra: If one is not installed.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise _missing(module, extra)


def _missing(module: str, extra: str) -> MissingExtra:
    name = module.partition(".")[0]
    return MissingExtra(
        f"This needs {name}, which is not installed: pip install 'fitwell[{extra}]'"
    )


def in_range(name: str, value: float, low: float, high: float, *, open_low: bool = False) -> None:
    """Check that a numeric argument lies in its range.

    Args:
        name: Name of the argument, for the message.
        value: What was given.
        low: Smallest value allowed; excluded if ``open_low``.
        high: Largest value allowed.
        open_low: Whether ``low`` itself is refused.

    Raises:
        ThresholdError: If ``value`` is outside, or not a number.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (low < value if open_low else low <= value) or not value <= high:
        bracket = "(" if open_low else "["
        raise ThresholdError(f"{name} must lie in {bracket}{low:g}, {high:g}], got {value!r}.")


def is_flag(name: str, value: object) -> None:
    """Check that an argument is True or False: the word "false" would count as true.

    Args:
        name: Name of the argument, for the message.
        value: What was given.

    Raises:
        BadInput: If it is anything else.
    """
    if not isinstance(value, bool):
        raise BadInput(f"{name} must be True or False, got {value!r}.")
