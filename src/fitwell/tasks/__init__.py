"""Tasks: what is to be learned, from a user's data or from data that ships in packages."""

from typing import TYPE_CHECKING, Any

from fitwell.errors import require
from fitwell.tasks.builtin import BuiltinTask, builtin
from fitwell.tasks.data import Data, Split
from fitwell.tasks.loading import load
from fitwell.tasks.losses import LOSSES
from fitwell.tasks.metrics import METRICS
from fitwell.tasks.preprocess import Preprocess
from fitwell.tasks.task import OPTIMIZERS, Task

if TYPE_CHECKING:
    from fitwell.tasks.table import from_frame

__all__ = [
    "LOSSES",
    "METRICS",
    "OPTIMIZERS",
    "BuiltinTask",
    "Data",
    "Preprocess",
    "Split",
    "Task",
    "builtin",
    "from_frame",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import ``from_frame`` when it is first asked for: it alone needs polars."""
    if name == "from_frame":
        return require("fitwell.tasks.table").from_frame
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
