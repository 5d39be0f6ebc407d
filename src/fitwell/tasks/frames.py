"""Data frames of any maker as polars frames that a task can be made of."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl
import polars.selectors as cs

from fitwell.errors import TaskError
from fitwell.tasks.cells import MISSING, is_missing
from fitwell.words import say

_SHOWN = 20


def as_polars(frame: Any) -> pl.DataFrame:
    """Return a polars or pandas data frame, or a dict of columns, as polars.

    Raises:
        TaskError: If it is something else, or has duplicate column names.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if not hasattr(frame, "keys") or not hasattr(frame, "__getitem__"):
        raise TaskError(f"Expected a pandas or polars data frame, got {type(frame).__name__}.")
    names = [str(name) for name in frame.keys()]  # noqa: SIM118  # a frame iterates its own way
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise TaskError(
            f"The data frame has duplicate column names: {', '.join(map(repr, repeated))}. "
            "Rename them so that each is unique."
        )
    return pl.DataFrame(
        [_series(name, frame[key]) for name, key in zip(names, frame.keys(), strict=True)]
    )


def _series(name: str, cells: Any) -> pl.Series:
    values = cells.tolist() if hasattr(cells, "tolist") else list(cells)
    values = [None if is_missing(value) else value for value in values]
    if any(isinstance(value, str) for value in values):
        return pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String)
    return pl.Series(name, values, strict=False)


def plain(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Reduce columns to numbers, truth values, strings and dates; missing is null throughout.

    Returns:
        The frame, and the columns of other types that were left out, as sentences.

    Raises:
        TaskError: If a value is infinite.
    """
    frame = frame.with_columns(
        cs.by_dtype(pl.Categorical, pl.Enum).cast(pl.String),
        cs.decimal().cast(pl.Float64),
        cs.duration().dt.total_seconds(fractional=True),
    ).with_columns(cs.float().cast(pl.Float64).fill_nan(None), cs.string().map_batches(_nulled))
    usable = cs.numeric() | cs.boolean() | cs.string() | cs.date() | cs.datetime()
    kept = frame.select(usable).columns
    other = [name for name in frame.columns if name not in kept]
    for name in frame.select(cs.float()).columns:
        refuse_infinite(frame.get_column(name))
    notes: list[str] = [
        say(
            "Column {column} was left out: {kind} is not understood.",
            column=repr(name),
            kind=str(frame.schema[name]),
        )
        for name in other
    ]
    return frame.select(kept), notes


def _nulled(strings: pl.Series) -> pl.Series:
    """Strings with null where their spelling means that the value is missing."""
    return strings.set(strings.str.strip_chars().str.to_lowercase().is_in(list(MISSING)), None)


def refuse_infinite(column: pl.Series) -> None:
    """Refuse a column of floats that holds an infinity.

    Raises:
        TaskError: If one does.
    """
    rows = column.is_infinite().arg_true()
    if len(rows):
        raise TaskError(
            f"Column {column.name!r} must be finite, but {len(rows)} "
            f"{'value is' if len(rows) == 1 else 'values are'} infinite "
            f"(first: row {rows[0] + 1}): correct {'it' if len(rows) == 1 else 'them'} "
            "or leave the cell empty."
        )


def require_column(frame: pl.DataFrame, name: str, what: str) -> None:
    """Check that a column is there.

    Args:
        frame: The table.
        name: Name of the column.
        what: What it is wanted as, as ``"target"``.

    Raises:
        TaskError: If it is not; names the columns there are, and the nearest.
    """
    if name in frame.columns:
        return
    near = difflib.get_close_matches(name, frame.columns, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise TaskError(f"No {what} column {name!r}: the columns are {_shown(frame.columns)}.{hint}")


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more
