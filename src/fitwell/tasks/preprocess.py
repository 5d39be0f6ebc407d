"""Raw rows of a table to inputs, and outputs back to names and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
import torch
from torch import Tensor

from fitwell.errors import BadInput, TaskError
from fitwell.tasks.cells import as_numbers, as_text
from fitwell.tasks.columns import fitted, unusable
from fitwell.tasks.encoders import ENCODERS, Encoder, moments
from fitwell.words import say

SCHEMA = 1

Rows: TypeAlias = Any
"""A list of dicts, a dict of columns, or a polars or pandas data frame."""


@final
@dataclass(frozen=True)
class Preprocess:
    """What was learned from the training rows of a table.

    Args:
        target: Name of the target column.
        encoders: What to make of every column that is used.
        classes: Names of the classes in the order of their numbers; empty for numbers.
        mean: Mean of the training targets, for numbers.
        scale: Standard deviation of the training targets, for numbers; above 0.
    """

    target: str
    encoders: tuple[Encoder, ...]
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(
        cls, rows: Rows, target: str, *, classes: Sequence[str] = ()
    ) -> tuple[Preprocess, tuple[str, ...]]:
        """Learn from training rows; no other row may be among them.

        Args:
            rows: Training rows, with the target.
            target: Name of the target column.
            classes: Names of all classes; empty if the target is a number.

        Returns:
            The preprocessing, and the columns left out with the reason, as sentences.

        Raises:
            TaskError: If no column can be used.
        """
        encoders: list[Encoder] = []
        left_out: dict[str, list[str]] = {}
        for name in column_names(rows):
            if name == target:
                continue
            values = column_of(rows, name)
            reason = unusable(name, values)
            encoder = None if reason else fitted(name, values)
            if encoder is not None and encoder.features:
                encoders.append(encoder)
            else:
                nothing = say("without anything that repeats")
                left_out.setdefault(reason or nothing, []).append(name)
        if not encoders:
            raise TaskError(
                f"No column but the target {target!r} tells rows apart: "
                + "; ".join(f"{', '.join(map(repr, n))}: {why}" for why, n in left_out.items())
            )
        notes = tuple(_left_out(reason, names) for reason, names in left_out.items())
        if classes:
            return cls(target, tuple(encoders), tuple(classes)), notes
        mean, scale = moments(as_numbers(column_of(rows, target), target))
        return cls(target, tuple(encoders), (), mean, scale), notes

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the network's inputs, in order."""
        return tuple(feature for encoder in self.encoders for feature in encoder.features)

    def transform(self, rows: Rows) -> Tensor:
        """Return the inputs (rows, features) of raw rows, in float32.

        Args:
            rows: A list of dicts, a dict of columns, or a data frame; the target may be among
                the columns or not, and further columns are passed over.

        Raises:
            TaskError: If a column is missing, or holds something else than in training.
        """
        names = column_names(rows)
        missing = [e.column for e in self.encoders if e.column not in names]
        if missing:
            raise TaskError(
                f"Rows to predict need the columns {', '.join(map(repr, missing))}: "
                f"got {', '.join(map(repr, names)) or 'none'}."
            )
        parts = [encoder.encode(column_of(rows, encoder.column)) for encoder in self.encoders]
        return torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float32))

    def targets(self, rows: Rows) -> Tensor:
        """Return the targets of rows: class numbers (rows,), or scaled numbers (rows, 1)."""
        values = column_of(rows, self.target)
        if self.classes:
            numbers = {name: number for number, name in enumerate(self.classes)}
            return torch.tensor([numbers[as_text(value)] for value in values], dtype=torch.long)
        scaled = (as_numbers(values, self.target) - self.mean) / self.scale
        return torch.from_numpy(scaled[:, None].astype(np.float32))

    def restored(self, numbers: Tensor) -> Tensor:
        """Return scaled outputs or targets in the unit of the table; those of classes as is."""
        return numbers if self.classes else numbers.double() * self.scale + self.mean

    def named(self, outputs: Tensor) -> list[str] | list[float]:
        """Return what outputs of the network predict: names of classes, or numbers.

        Args:
            outputs: Logits (rows, classes), or scaled numbers (rows, 1).
        """
        if self.classes:
            return [self.classes[number] for number in outputs.argmax(1).tolist()]
        return [float(number) for number in self.restored(outputs).flatten().tolist()]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data, the content of ``preprocess.json``."""
        return {
            "schema": SCHEMA,
            "target": self.target,
            "classes": list(self.classes),
            "mean": self.mean,
            "scale": self.scale,
            "columns": [encoder.to_dict() for encoder in self.encoders],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Preprocess:
        """Read what :meth:`to_dict` wrote.

        Raises:
            BadInput: If the schema is not one that this version reads.
        """
        if data.get("schema") != SCHEMA:
            raise BadInput(
                f"Expected preprocessing of schema {SCHEMA}, got {data.get('schema')!r}: "
                "make it again with this version of fitwell."
            )
        encoders = tuple(ENCODERS[column["kind"]].from_dict(column) for column in data["columns"])
        return cls(data["target"], encoders, tuple(data["classes"]), data["mean"], data["scale"])


def column_names(rows: Rows) -> list[str]:
    """Names of the columns that every row has.

    Raises:
        TaskError: If there are no rows, or they are of another form.
    """
    if isinstance(rows, Mapping):
        return list(rows)
    if hasattr(rows, "columns"):
        return [str(name) for name in rows.columns]
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise TaskError(
            "Rows must be a list of dicts or a data frame, "
            f"got {type(rows).__name__}: give [{{'column': value, ...}}, ...]."
        )
    if not rows:
        raise TaskError("Rows must hold at least one row, got an empty list.")
    return [name for name in rows[0] if all(name in row for row in rows)]


def column_of(rows: Rows, name: str) -> Sequence[object]:
    """Return the cells of a column as plain Python values."""
    if isinstance(rows, Mapping) or hasattr(rows, "columns"):
        cells = rows[name]
        values: Sequence[object] = cells.tolist() if hasattr(cells, "tolist") else list(cells)
        return values
    return [row[name] for row in rows]


def _left_out(reason: str, names: Sequence[str]) -> str:
    """One sentence on columns that are not used."""
    columns = ", ".join(repr(name) for name in names)
    if len(names) > 1:
        return say(
            "Columns {columns} were left out: each is {reason}.", columns=columns, reason=reason
        )
    return say("Column {column} was left out: it is {reason}.", column=columns, reason=reason)
