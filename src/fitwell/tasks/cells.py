"""What a cell of a table means: missing, a number, a date, words.

Training tables and the rows of a later prediction are read by these same rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fitwell.errors import TaskError

Floats: TypeAlias = NDArray[np.float64]

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null"})
"""Spellings, in lower case, that mean that a value is missing."""

DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
)
"""Spellings of dates that are recognised; where day and month could be swapped, the first that
fits every row is taken, months first."""

_WORD = re.compile(r"\b\w\w+\b")


def is_missing(value: object) -> bool:
    """Say whether a cell holds no value: None, NaN, or a spelling of it."""
    if value is None:
        return True
    if isinstance(value, float):  # numpy's float64 is one
        return value != value
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    if isinstance(value, np.floating):
        return bool(np.isnan(value))
    return type(value).__name__ in {"NAType", "NaTType"}  # pandas, which need not be installed


def present(values: Sequence[object]) -> list[object]:
    """Return the cells that hold a value."""
    return [value for value in values if not is_missing(value)]


def as_numbers(values: Sequence[object], column: str) -> Floats:
    """Read cells as numbers, NaN where they are missing.

    Raises:
        TaskError: If a cell is no number, or infinite.
    """
    try:
        numbers: Floats = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.array([_number(v, row, column) for row, v in enumerate(values)])
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise TaskError(
            f"Column {column!r} must be finite, but {len(infinite)} of {len(numbers)} are "
            f"infinite (first: row {infinite[0] + 1}): correct them, or leave the cells empty."
        )
    return numbers


def _number(value: object, row: int, column: str) -> float:
    if is_missing(value):
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]  # what cannot be read is caught
    except (TypeError, ValueError):
        raise TaskError(
            f"Column {column!r} holds numbers, but row {row + 1} has {value!r}: "
            "give a number, written with a decimal point, or leave it empty."
        ) from None


def as_text(value: object) -> str:
    """Spell a category or a class: whole numbers without a fraction, no spaces around."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def date_format(values: Sequence[object]) -> str | None:
    """Return the format that all cells with a value are dates of, or None.

    Values that are dates already have the format ``"iso"``.
    """
    cells = present(values)
    if not cells:
        return None
    if all(isinstance(value, date) for value in cells):
        return "iso"
    if not all(isinstance(value, str) for value in cells):
        return None
    spelled = sorted({str(value) for value in cells})
    fitting = [f for f in DATE_FORMATS if _parsed(spelled[0], f) is not None]
    return next((f for f in fitting if all(_parsed(s, f) is not None for s in spelled)), None)


def as_dates(values: Sequence[object], form: str, column: str) -> list[datetime | None]:
    """Read cells as dates of a format; None where they are missing.

    Raises:
        TaskError: If a cell is no date of this format.
    """
    dates: list[datetime | None] = []
    known: dict[object, datetime] = {}
    for row, value in enumerate(values):
        if is_missing(value):
            dates.append(None)
            continue
        read = known.get(value) or _date(value, form)
        if read is None:
            raise TaskError(
                f"Column {column!r} holds dates such as {_example(form)}, "
                f"but row {row + 1} has {value!r}."
            )
        known[value] = read
        dates.append(read.replace(tzinfo=None))
    return dates


def _date(value: Any, form: str) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if form == "iso":
        try:
            return datetime.fromisoformat(str(value).strip())
        except ValueError:
            return None
    return _parsed(str(value), form)


def _parsed(spelled: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(spelled.strip(), form)
    except ValueError:
        return None


def _example(form: str) -> str:
    moment = datetime(2024, 3, 31, 14, 5)
    return moment.isoformat(" ") if form == "iso" else moment.strftime(form)


def words_of(text: object) -> list[str]:
    """Words of two letters or more, in lower case."""
    return [] if is_missing(text) else _WORD.findall(str(text).lower())
