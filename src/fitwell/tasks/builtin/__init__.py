"""The tasks that fitwell brings along, all on real data that ships in packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from fitwell.tasks.builtin.digits import digits_deep, digits_healthy, digits_rows_rnn, mnist_small
from fitwell.tasks.builtin.docstrings import docstrings
from fitwell.tasks.builtin.tables import breast_cancer, diabetes, wine
from fitwell.tasks.task import Task
from fitwell.words import say


@final
@dataclass(frozen=True)
class BuiltinTask:
    """A built-in task, described without loading its data.

    Args:
        name: What ``fitwell cure NAME`` takes.
        description: One sentence.
        rows: Number of training rows; about, where it depends on the machine.
        model: The network, in short.
        ails: What is wrong with it.
        make: Loads the data and returns the task.
    """

    name: str
    description: str
    rows: int
    model: str
    ails: str
    make: Callable[[], Task]


_TASKS = (
    BuiltinTask(
        "mnist-small",
        say("Handwritten digits of MNIST, 500 to learn from."),
        500,
        "MLP 784-256-256-10",
        say("overfits"),
        mnist_small,
    ),
    BuiltinTask(
        "digits-deep",
        say("Handwritten digits of 8 × 8 pixels, read by twenty layers of sigmoid units."),
        1078,
        "MLP 64-64×20-10, sigmoid, SGD",
        say("gradients vanish"),
        digits_deep,
    ),
    BuiltinTask(
        "digits-rows-rnn",
        say("Handwritten digits of MNIST read row by row by a plain recurrent network."),
        1000,
        "RNN 28-64, 28 steps, recurrent weights × 6, SGD",
        say("gradients explode"),
        digits_rows_rnn,
    ),
    BuiltinTask(
        "breast-cancer",
        say("Tumours told benign or malignant by 30 measurements."),
        341,
        "MLP 30-512×3-2",
        say("far too large"),
        breast_cancer,
    ),
    BuiltinTask(
        "wine",
        say("Wines of three growers told apart by 13 chemical measurements."),
        107,
        "MLP 13-512×3-3",
        say("far too large"),
        wine,
    ),
    BuiltinTask(
        "diabetes",
        say("Progress of diabetes after a year from 10 measurements."),
        265,
        "MLP 10-512×3-1",
        say("overfits"),
        diabetes,
    ),
    BuiltinTask(
        "docstrings",
        say("Docstrings of Python's standard library, classified by package."),
        1800,
        "MLP 1000-256-128-8 on a bag of words",
        say("overfits"),
        docstrings,
    ),
    BuiltinTask(
        "digits-healthy",
        say("Handwritten digits of 8 × 8 pixels, read by a sensible network."),
        1258,
        "MLP 64-64-10, dropout",
        say("nothing"),
        digits_healthy,
    ),
)


def builtin() -> Mapping[str, BuiltinTask]:
    """Return the built-in tasks by name."""
    return MappingProxyType({task.name: task for task in _TASKS})
