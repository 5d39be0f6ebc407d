"""Three tables of scikit-learn, each read by a network that is far too large for it."""

from __future__ import annotations

from functools import partial
from typing import Any

from fitwell.errors import require
from fitwell.tasks.models import mlp
from fitwell.tasks.task import Task
from fitwell.words import say

HIDDEN = (512, 512, 512)


def breast_cancer() -> Task:
    """Tell malignant tumours from benign ones.

    References:
        Street, Wolberg and Mangasarian, "Nuclear feature extraction for breast tumor diagnosis",
        1993.
    """
    loaded = require("sklearn.datasets").load_breast_cancer()
    return _task("breast-cancer", loaded, "diagnosis", say("Tumours told benign or malignant."))


def wine() -> Task:
    """Tell the wines of three growers apart.

    References:
        Forina et al., PARVUS, 1988.
    """
    loaded = require("sklearn.datasets").load_wine()
    return _task("wine", loaded, "grower", say("Wines of three growers told apart."))


def diabetes() -> Task:
    """Predict the progress of diabetes after a year.

    References:
        Efron et al., "Least angle regression", 2004.
    """
    loaded = require("sklearn.datasets").load_diabetes(scaled=False)
    return _task("diabetes", loaded, "progression", say("Progress of diabetes after a year."))


def _task(name: str, loaded: Any, target: str, description: str) -> Task:
    """Make a task of what scikit-learn loaded, prepared as a CSV file would be."""
    table = require("fitwell.tasks.table")
    columns = {str(c): loaded.data[:, i] for i, c in enumerate(loaded.feature_names)}
    names = getattr(loaded, "target_names", None)
    columns[target] = loaded.target if names is None else names[loaded.target].astype(object)
    data, learning = table.table_data(table.as_polars(columns), target, table.Choices())
    classifies = learning == "classification"
    return Task(
        name,
        partial(mlp, (data.train.x.shape[1], *HIDDEN, len(data.classes) or 1)),
        data,
        "cross_entropy" if classifies else "mse",
        "accuracy" if classifies else "r2",
        batch_size=32,
        epochs=60,
        description=description,
    )
