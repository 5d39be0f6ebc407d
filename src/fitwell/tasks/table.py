"""A table with a target column as a task: cleaned, split, encoded, with a network to suit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

import numpy as np
import polars as pl

from fitwell.errors import TaskError
from fitwell.tasks.cells import Floats, as_dates, as_text, date_format
from fitwell.tasks.columns import class_names, told_kind, unusable
from fitwell.tasks.data import Data, Split
from fitwell.tasks.frames import as_polars, plain, require_column
from fitwell.tasks.models import mlp
from fitwell.tasks.preparing import SHARES, enough, split_keeping_copies
from fitwell.tasks.preprocess import Preprocess
from fitwell.tasks.reading import read_table
from fitwell.tasks.splits import Ints, copies, joined, split_by_time, split_rows, strata_of
from fitwell.tasks.task import Task
from fitwell.words import say

Learning: TypeAlias = Literal["classification", "regression"]

DOMINATED = 0.9
"""Share of the largest class from which accuracy means little."""


@final
@dataclass(frozen=True)
class Choices:
    """What a user may decide about a table.

    Args:
        kind: ``"classification"`` or ``"regression"``; told by the target if None.
        group: Column whose equal values stay on one side of the split.
        time: Column to split by: the earliest rows train, the latest test.
        seed: Seed of the split.
    """

    kind: Learning | None = None
    group: str | None = None
    time: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in (None, "classification", "regression"):
            raise TaskError(f"kind must be classification or regression, got {self.kind!r}.")
        if self.group is not None and self.time is not None:
            raise TaskError("A table is split by group or by time, not by both: give one of them.")


def from_file(path: Path, column: str | None, choices: Choices) -> Task:
    """Make a task of a CSV or Parquet file.

    Raises:
        TaskError: If the file cannot be read or learned from.
    """
    frame, notes = read_table(path)
    if column is None:
        raise TaskError(
            f"Which column of {path.name} shall be predicted? Give --target with one of: "
            f"{', '.join(frame.columns)}."
        )
    data, learning = table_data(frame, column, choices, notes=notes)
    about = say("Predict {column} of {file}.", column=repr(column), file=path.name)
    return task_of(path.stem, data, learning, description=about)


def from_frame(
    frame: Any,
    column: str,
    *,
    name: str = "table",
    kind: Learning | None = None,
    group: str | None = None,
    time: str | None = None,
    seed: int = 0,
) -> Task:
    """Make a task of a data frame, with all that a CSV file gets.

    Missing values are filled in, categories, dates and text encoded, numbers scaled, all learned
    from training rows alone; numbers to predict are scaled while learning and scored in their
    own unit.

    Args:
        frame: A pandas or polars data frame, or a dict of columns.
        column: Name of the target column.
        name: What to call the task.
        kind: ``"classification"`` or ``"regression"``; told by the target if None.
        group: Column whose equal values stay on one side of the split.
        time: Column to split by: the earliest rows train, the latest test.
        seed: Seed of the split.

    Raises:
        TaskError: If it cannot be learned from.
    """
    choices = Choices(kind, group, time, seed)
    data, learning = table_data(as_polars(frame), column, choices)
    about = say("Predict {column}.", column=repr(column))
    return task_of(name, data, learning, description=about)


def task_of(name: str, data: Data, learning: Learning, *, description: str) -> Task:
    """Make a task of a prepared table: a perceptron of two layers of 256, trained by AdamW."""
    outputs = len(data.classes) or 1
    classifies = learning == "classification"
    counts = Counter(data.train.y.tolist()) if classifies else Counter()
    dominated = classifies and max(counts.values()) >= DOMINATED * len(data.train)
    batch_size = next((b for b in (32, 64, 128, 256) if len(data.train) <= 64 * b), 512)
    steps = max(1, len(data.train) // batch_size)
    return Task(
        name,
        partial(mlp, (data.train.x.shape[1], 256, 256, outputs)),
        data,
        "cross_entropy" if classifies else "mse",
        ("balanced_accuracy" if dominated else "accuracy") if classifies else "r2",
        batch_size=batch_size,
        epochs=min(60, max(10, 1500 // steps)),
        description=description,
    )


def table_data(
    frame: pl.DataFrame, column: str, choices: Choices, *, notes: tuple[str, ...] = ()
) -> tuple[Data, Learning]:
    """Clean, split and encode a table.

    Args:
        frame: The table.
        column: Name of the target column.
        choices: What the user decided.
        notes: What was done before.

    Returns:
        The prepared data, and whether classes or numbers are learned.

    Raises:
        TaskError: If the table cannot be learned from.
    """
    said = list(notes)
    for name, what in ((column, "target"), (choices.group, "group"), (choices.time, "time")):
        if name is not None:
            require_column(frame, name, what)
    _apart(column, choices)
    frame, left_out = plain(frame)
    require_column(frame, column, "target of numbers, names or truth values as")
    said += left_out
    frame = _without_gaps(frame, column, "target", said)
    if choices.time is not None:
        frame = _without_gaps(frame, choices.time, "time", said)
    learning, classes, strata = _learning(frame.get_column(column).to_list(), column, choices)
    said += _on_classes(classes, strata, column) if classes else [_on_numbers(column)]
    sides = _sides(frame, column, strata, choices, said)
    features = frame.drop([n for n in (choices.group, choices.time) if n is not None])
    train, validation, test = (features[rows] for rows in sides)
    preprocess, unused = Preprocess.fit(train, column, classes=classes)
    splits = [
        Split(preprocess.transform(p), preprocess.targets(p)) for p in (train, validation, test)
    ]
    data = Data(splits[0], splits[1], splits[2], "table", classes, (*said, *unused), preprocess)
    return data, learning


def _apart(column: str, choices: Choices) -> None:
    if column in (choices.group, choices.time):
        raise TaskError(
            f"The target {column!r} cannot also split the rows: choose another column for that."
        )


def _without_gaps(frame: pl.DataFrame, column: str, what: str, said: list[str]) -> pl.DataFrame:
    """Drop the rows where a column is missing, and say so."""
    kept = frame.filter(pl.col(column).is_not_null())
    dropped = len(frame) - len(kept)
    if dropped:
        said.append(
            say(
                "{dropped} of {rows} rows have no {what} ({column}) and were dropped.",
                dropped=dropped,
                rows=len(frame),
                what=what,
                column=repr(column),
            )
        )
    return kept


def _learning(
    values: list[Any], column: str, choices: Choices
) -> tuple[Learning, tuple[str, ...], Ints]:
    """Tell what is learned, the names of the classes, and the stratum of every row."""
    enough(len(values), None)
    if values and date_format(values) == "iso":
        raise TaskError(f"The target {column!r} holds dates: give a column of numbers or classes.")
    kind = choices.kind or told_kind(values)
    if kind == "classification":
        classes = class_names(values)
        numbers = {name: number for number, name in enumerate(classes)}
        labels: Ints = np.array([numbers[as_text(value)] for value in values])
        enough(len(values), labels, classes)
        return "classification", classes, labels
    if any(isinstance(value, str) for value in values):
        example = next(value for value in values if isinstance(value, str))
        raise TaskError(
            f"A regression needs numbers, but the target {column!r} holds {example!r}: "
            "correct it, or choose classification."
        )
    targets = np.array(values, dtype=float)
    if len(np.unique(targets)) < 2:
        raise TaskError(f"The target {column!r} must vary, but every row has {targets[0]:g}.")
    return "regression", (), strata_of(targets)


def _on_classes(classes: tuple[str, ...], labels: Ints, column: str) -> list[str]:
    counts = np.bincount(labels)
    said: list[str] = [
        say("{column} is learned as {classes} classes.", column=repr(column), classes=len(classes))
    ]
    if counts.max() >= DOMINATED * len(labels):
        share = 100 * counts.max() / len(labels)
        said.append(
            say(
                "{share} % of the rows are of class {name}: accuracy means little here, so "
                "balanced accuracy is scored.",
                share=f"{share:.3g}",
                name=repr(classes[counts.argmax()]),
            )
        )
    return said


def _on_numbers(column: str) -> str:
    return say(
        "{column} is learned as a number, scaled by its mean and deviation in training rows.",
        column=repr(column),
    )


def _sides(
    frame: pl.DataFrame, column: str, strata: Ints, choices: Choices, said: list[str]
) -> list[Ints]:
    """Choose the rows of training, validation and test."""
    same = _equal_rows(frame, column, choices)
    if choices.time is not None:
        said.append(
            say(
                "Rows were split by {column}, which is no input: the earliest train, the latest "
                "test.",
                column=repr(choices.time),
            )
        )
        times = _times(frame.get_column(choices.time))
        return _without_copies(split_by_time(times, shares=SHARES), same, said)
    if choices.group is not None:
        values = frame.get_column(choices.group).to_list()
        groups = copies((i, None) if v is None else v for i, v in enumerate(values))
        said.append(
            say(
                "Rows were split by {column}: each value stays on one side; it is no input.",
                column=repr(choices.group),
            )
        )
        both = joined(groups, same)
        if len(np.unique(both)) >= 3 and np.bincount(both).max() <= len(frame) / 2:
            groups = both
        return split_rows(strata, shares=SHARES, seed=choices.seed, groups=groups)
    sides, notes = split_keeping_copies(strata, same, SHARES, choices.seed)
    said += notes
    return sides


def _equal_rows(frame: pl.DataFrame, column: str, choices: Choices) -> Ints:
    """Number the rows so that those that agree in all columns that say something share one."""
    aside = {column, choices.group, choices.time}
    telling = [
        name
        for name in frame.columns
        if name not in aside and unusable(name, frame.get_column(name).to_list()) is None
    ]
    return copies(frame.select(telling).iter_rows()) if telling else np.arange(len(frame))


def _times(column: pl.Series) -> Floats:
    """The times as numbers that order them."""
    values = column.to_list()
    form = date_format(values)
    if form is not None:
        dates = as_dates(values, form, column.name)
        return np.array([moment.timestamp() for moment in dates if moment is not None])
    if column.dtype.is_numeric():
        return np.array(values, dtype=float)
    raise TaskError(
        f"The time column {column.name!r} must hold numbers or dates, got {values[0]!r}: "
        "write dates as 2024-03-31."
    )


def _without_copies(sides: list[Ints], same: Ints, said: list[str]) -> list[Ints]:
    """Drop later rows that repeat an earlier side's, unless that would take half of a side."""
    kept = [sides[0]]
    for rows in sides[1:]:
        seen = same[np.concatenate(kept)]
        kept.append(rows[~np.isin(same[rows], seen)])
    dropped = sum(map(len, sides)) - sum(map(len, kept))
    if any(len(after) < len(before) / 2 for before, after in zip(sides, kept, strict=True)):
        said.append(
            say(
                "{rows} later rows repeat earlier ones and were kept: they are most rows.",
                rows=dropped,
            )
        )
        return sides
    if dropped:
        said.append(
            say("{rows} later rows repeat rows of an earlier side and were dropped.", rows=dropped)
        )
    return kept
